"""
The matrix: every way in which a task that waits for Freddy can stop, and in which styles it can happen.

``row`` is the number of the way in docs/guarantees.md. A style that a way does not have is not in its ``styles``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from . import deeds
from .deeds import Deed

OPERATOR, DEFERRABLE, FUNCTION = "operator", "deferrable", "function"
ALL = (OPERATOR, DEFERRABLE, FUNCTION)
IN_WORKER = (OPERATOR, FUNCTION)
IN_TRIGGERER = (DEFERRABLE,)
TODAY = "today"


@dataclass(frozen=True)
class Path:
    """
    One way.

    :param row: its number.
    :param name: what happens, as the second half of "a task that waits for Freddy ...".
    :param deed: what is done to the task.
    :param styles: in which styles it can happen.
    :param kind: which DAG of the style.
    :param conf: for the run.
    :param within: seconds after the deed in which the response must have ended.
    :param state: how the task ends, as it would without the provider; by style where that differs.
    :param tries: in which try.
    :param wanted: whether somebody still waits for the response, so that nothing may cancel it.
    :param prepared: whether the deed finds the task by itself, so that nobody waits for it to wait.
    :param may_alarm: whether a hook has to give up and says so, before another one cancels.
    :param told: ``killed`` if Airflow calls a kill hook.
    :param in_make_test: the styles that every test run measures.
    """

    row: str
    name: str
    deed: Deed
    styles: tuple[str, ...] = ALL
    kind: str = "plain"
    conf: Mapping[str, object] = field(default_factory=dict)
    within: float = 20
    state: str | Mapping[str, str] = "failed"
    tries: int = 1
    wanted: bool = False
    prepared: bool = False
    may_alarm: bool = False
    told: str = ""
    in_make_test: tuple[str, ...] = ()

    def ends(self, style: str) -> str:
        """Return the state in which the task ends."""
        return self.state if isinstance(self.state, str) else self.state[style]


def some(
    paths: Sequence[Path], *rows: str, styles: tuple[str, ...] = ALL, in_make_test: tuple[str, ...] = ()
) -> list[Path]:
    """Return the ways of these rows, in those of their styles that are among these."""
    chosen = [replace(path, styles=tuple(style for style in path.styles if style in styles)) for path in paths]
    return [replace(path, in_make_test=in_make_test) for path in chosen if path.row in rows and path.styles]


WHILE_IT_WAITS = [
    Path("1", "fails on its last try", deeds.fails, in_make_test=(DEFERRABLE,)),
    Path("2", "fails with a retry left", deeds.fails, kind="retry", state="success", tries=2, in_make_test=(OPERATOR,)),
    # The operators are an author's subclass that makes this of Freddy's refusal to tell the status.
    Path("3a", "raises AirflowFailException", deeds.fails, kind="own_end_retry", conf={"how": "fail"}),
    Path("3a", "calls sys.exit", deeds.fails, kind="own_end", conf={"how": "exit"}, in_make_test=(FUNCTION,)),
    Path("3b", "skips itself", deeds.fails, kind="own_end", conf={"how": "skip"}, state="skipped"),
    Path("4", "runs into its execution_timeout", deeds.execution_timeout, kind="timeout", told="killed",
         in_make_test=(DEFERRABLE,)),
    # The task learns of it when its DAG goes on.
    Path("4", "runs into its execution_timeout while its DAG is paused", deeds.while_paused(deeds.execution_timeout),
         IN_TRIGGERER, "timeout", state=""),
    Path("5a", "is marked failed", deeds.mark("failed"), told="killed", in_make_test=(FUNCTION,)),
    Path("5a", "is marked success", deeds.mark("success"), state="success", told="killed"),
    Path("5a", "is marked skipped", deeds.mark("skipped"), state="skipped", told="killed"),
    Path("5b", "is cleared", deeds.clear, state="success", tries=2, told="killed",
         in_make_test=(OPERATOR, DEFERRABLE)),
    Path("5c", "has its run marked failed", deeds.mark_run("failed"), told="killed"),
    Path("5c", "has its run marked success", deeds.mark_run("success"), state="success", told="killed"),
    Path("6a", "has its process killed on its last try", deeds.kill_task, IN_WORKER, in_make_test=(FUNCTION,)),
    Path("6a", "has its process killed just before it is deferred", deeds.kill_task, IN_TRIGGERER, "slow",
         prepared=True),
    Path("6b", "has its process killed with a retry left", deeds.kill_task, IN_WORKER, "retry", state="success",
         tries=2, in_make_test=(OPERATOR,)),
    Path("7a", "has its process and supervisor killed", deeds.kill_both, IN_WORKER, within=30),
    Path("7b", "has its supervisor killed", deeds.kill_supervisor, IN_WORKER, within=40,
         in_make_test=(FUNCTION,)),
    Path("8", "has a run that runs into its dagrun_timeout", deeds.dagrun_timeout, kind="short_run", state="skipped",
         told="killed", in_make_test=(DEFERRABLE,)),
    Path("9a", "has a trigger that breaks", deeds.nothing, IN_TRIGGERER, "broken_trigger", prepared=True, within=30),
    Path("9b", "runs into Airflow's own time limit of a deferral", deeds.nothing, IN_TRIGGERER, "trigger_timeout",
         within=40, prepared=True),
    Path("9c", "has its DAG deleted", deeds.delete_dag, IN_TRIGGERER, "deleted", state=""),
    Path("9h", "is marked failed just before it is deferred", deeds.mark("failed"), IN_TRIGGERER, "slow",
         prepared=True, in_make_test=IN_TRIGGERER),
    Path("10", "is in a run that misses its deadline", deeds.deadline, kind="deadline",
         state={OPERATOR: "failed", DEFERRABLE: "failed", FUNCTION: "success"}, in_make_test=(OPERATOR,)),
    Path("13d", "has its worker told to stop", deeds.tell_supervisor_to_stop, IN_WORKER, told="killed",
         # Airflow does not tell a function to stop: this one sees that its response has ended, and ends too.
         state={OPERATOR: "failed", FUNCTION: "success"}, in_make_test=(FUNCTION,)),
    Path("14a", "has its DAG paused", deeds.pause, conf={"duration": 14}, state="success", wanted=True),
    Path("14c", "is cleared on the command line", deeds.clear_on_the_command_line, state="success", tries=2,
         told="killed"),
    Path("14c", "fails in a backfill", deeds.fails, kind="backfill"),
    Path("14c", "is in a backfill that is cancelled", deeds.cancel_backfill, kind="backfill", conf={"duration": 14},
         state="success", wanted=True),
    Path("16", "is in a fail_fast DAG whose other task fails", deeds.give_the_cue, kind="fail_fast",
         conf={"how": "leave it to the other task"}, told="killed",
         state={OPERATOR: "failed", DEFERRABLE: "skipped", FUNCTION: "failed", TODAY: "failed"}),
]  # fmt: skip

BESIDE_SIBLINGS = [
    Path("1", "fails beside others", deeds.fails, kind="mapped"),
    Path("5a", "is marked failed beside others", deeds.mark("failed"), kind="mapped", told="killed"),
    Path("5b", "is cleared beside others", deeds.clear, kind="mapped", state="success", tries=2, told="killed"),
    Path("6a", "has its process killed beside others", deeds.kill_task, IN_WORKER, kind="mapped"),
]

WHILE_FREDDY_MISBEHAVES = [
    Path("1", "fails while Freddy answers 503 twice", deeds.while_freddy(deeds.fails, "status", 2, status=503)),
    # The API server is the first to cancel, and is the one that is not answered.
    Path("5a", "is marked failed while Freddy does not answer the API server",
         deeds.while_freddy(deeds.mark("failed"), "hang"), told="killed"),
    Path("5b", "is cleared while Freddy drops a connection", deeds.while_freddy(deeds.clear, "drop_before"),
         state="success", tries=2, told="killed"),
    Path("5b", "is cleared while Freddy takes 3 s to answer", deeds.while_freddy(deeds.clear, "delay", seconds=3),
         state="success", tries=2, told="killed"),
    Path("6a", "has its process killed while Freddy answers garbage",
         deeds.while_freddy(deeds.kill_task, "garbage", 2, body="html", work=False), IN_WORKER),
    Path("4", "runs into its execution_timeout while Freddy answers 429",
         deeds.while_freddy(deeds.execution_timeout, "status", status=429, retry_after=1), kind="timeout",
         told="killed"),
    Path("5a", "is marked failed while Freddy answers garbage, and no status",
         deeds.while_freddy(deeds.while_freddy(deeds.mark("failed"), "garbage", body="html", work=False),
                            "status", 2, method="GET", status=500), told="killed"),
    # It is longer than a kill hook has time for.
    Path("5b", "is cleared while Freddy once does not answer", deeds.while_freddy(deeds.clear, "hang"), within=60,
         state="success", tries=2, told="killed", may_alarm=True),
    Path("5b", "is cleared while Freddy drops a connection after the cancel",
         deeds.while_freddy(deeds.clear, "drop_after"), state="success", tries=2, told="killed"),
    # Before it tries again it waits for as long as the connection's timeout says: 30 seconds.
    Path("6a", "has its process killed while Freddy once does not answer",
         deeds.while_freddy(deeds.kill_task, "hang"), IN_WORKER, within=60),
    Path("8", "has a run that runs into its dagrun_timeout while Freddy once does not answer",
         deeds.while_freddy(deeds.dagrun_timeout, "hang"), IN_TRIGGERER, "short_run", state="skipped", within=60),
    Path("10", "is in a run that misses its deadline while Freddy answers garbage",
         deeds.while_freddy(deeds.deadline, "garbage", 2, body="html", work=False), kind="deadline",
         state={OPERATOR: "failed", DEFERRABLE: "failed", FUNCTION: "success"}),
]  # fmt: skip

WHILE_TRIGGERERS_DIE = [
    Path("9b", "runs into Airflow's own time limit of a deferral while no triggerer runs",
         deeds.between_deferral_and_pick_up(deeds.airflow_ends_the_deferral), IN_TRIGGERER, "trigger_timeout",
         prepared=True, within=60),
    Path("9d", "has its triggerers restarted", deeds.triggerers_restarted_in_order, IN_TRIGGERER,
         conf={"duration": 45}, state="success", wanted=True, in_make_test=IN_TRIGGERER),
    Path("9d", "has its triggerer killed, and another one takes over", deeds.triggerer_killed, IN_TRIGGERER,
         conf={"duration": 50}, state="success", wanted=True),
    Path("9e", "is taken over from a triggerer that lives", deeds.trigger_taken_over, IN_TRIGGERER,
         conf={"duration": 50}, state="success", wanted=True),
    Path("9f", "is marked failed while no triggerer runs", deeds.without_triggerer(deeds.mark("failed")),
         IN_TRIGGERER, within=40),
    Path("9g", "is cleared while no triggerer runs", deeds.without_triggerer(deeds.clear), IN_TRIGGERER,
         within=40, state="success", tries=2),
    Path("9i", "is marked failed before a triggerer has picked it up",
         deeds.between_deferral_and_pick_up(deeds.mark("failed")), IN_TRIGGERER, prepared=True, within=40,
         in_make_test=IN_TRIGGERER),
    Path("9i", "has its run marked failed before a triggerer has picked it up",
         deeds.between_deferral_and_pick_up(deeds.mark_run("failed")), IN_TRIGGERER, prepared=True, within=40),
    Path("9i", "is cleared before a triggerer has picked it up",
         deeds.between_deferral_and_pick_up(deeds.clear), IN_TRIGGERER, prepared=True, within=60, state="success",
         tries=2),
    Path("9i", "has a run that times out before a triggerer has picked it up",
         deeds.between_deferral_and_pick_up(deeds.dagrun_timeout), IN_TRIGGERER, "short_run", prepared=True,
         within=40, state="skipped"),
]  # fmt: skip

WHILE_SERVERS_DIE = [
    Path("7c", "loses the API server for good", deeds.api_server_away(60), IN_WORKER, within=60, told="killed"),
    Path("7c", "loses the API server for a while", deeds.api_server_away(20), IN_TRIGGERER, conf={"duration": 45},
         state="success", wanted=True),
    Path("13a", "is lost with the scheduler and all its workers", deeds.scheduler_killed(with_workers=True),
         IN_WORKER, within=60, state="success", tries=2),
    Path("13b", "outlives its scheduler", deeds.scheduler_killed(with_workers=False), IN_WORKER, within=60,
         state="success", tries=2, told="killed"),
    Path("13", "loses its scheduler while it is deferred", deeds.scheduler_killed(with_workers=True), IN_TRIGGERER,
         conf={"duration": 20}, state="success", wanted=True),
    Path("13", "has a scheduler that is stopped in good order", deeds.scheduler_stopped_in_order, ALL,
         conf={"duration": 15}, state="success", wanted=True),
]  # fmt: skip

WITHOUT_WATCHDOG = [
    *some(WHILE_IT_WAITS, "6a", styles=IN_WORKER, in_make_test=(FUNCTION,)),
    *some(WHILE_IT_WAITS, "6b", "7a", "7b", styles=IN_WORKER),
]
# A response whose task was killed is not taken over.
KILLED_BEFORE_IT_RESUMES = [
    Path("6b", "has its process killed with a retry left that would resume", deeds.kill_task, (OPERATOR,), "resume",
         state="success", tries=2),
]  # fmt: skip
# The operator brings the callback that Airflow calls for a lost worker.
COVERED_WITHOUT_WATCHDOG = [
    *some(WITHOUT_WATCHDOG, "6b"),
    *KILLED_BEFORE_IT_RESUMES,
    *some(WITHOUT_WATCHDOG, "7a", styles=(OPERATOR,), in_make_test=(OPERATOR,)),
    *some(WITHOUT_WATCHDOG, "7b", styles=(OPERATOR,)),
]
# Airflow calls nothing of the task, or nothing that stands in the DAG file, and no other try follows.
UNCOVERED_WITHOUT_WATCHDOG = [
    *some(WITHOUT_WATCHDOG, "6a"),
    *some(WITHOUT_WATCHDOG, "7a", "7b", styles=(FUNCTION,)),
]
# Then it is the DAG processor that cancels.
WITHOUT_WATCHDOG_WHILE_FREDDY_MISBEHAVES = [
    Path("7a", "has its process and supervisor killed while Freddy answers 500, then garbage",
         deeds.while_freddy(deeds.while_freddy(deeds.kill_both, "garbage", body="html", work=False), "status",
                            status=500), IN_WORKER, within=40),
]  # fmt: skip

EVERY_PATH = [
    *WHILE_IT_WAITS,
    *BESIDE_SIBLINGS,
    *WHILE_FREDDY_MISBEHAVES,
    *WHILE_TRIGGERERS_DIE,
    *WHILE_SERVERS_DIE,
    *KILLED_BEFORE_IT_RESUMES,
    *WITHOUT_WATCHDOG_WHILE_FREDDY_MISBEHAVES,
]
