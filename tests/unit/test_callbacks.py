"""The callbacks with their options, and the line that they leave in the log."""

from __future__ import annotations

import math
import time
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_freddy import callback_run, metrics, stored_record
from airflow_provider_freddy.callbacks import CancelResponseCallback, cancel_response_on_failure, with_ours
from airflow_provider_freddy.exceptions import FreddyError
from airflow_provider_freddy.hooks.freddy import FreddyHook
from airflow_provider_freddy.notifications.freddy import CancelResponseNotifier
from airflow_provider_freddy.stored_record import RECORD_KEY
from airflow_provider_freddy.testing import FakeFreddy
from tests.airflow_versions import needs_airflow, not_on_airflow
from tests.unit.test_rules import Store, Ti, entry, failed, started_elsewhere, task, xcoms_in_the_dag_processor

__all__ = ["task"]


@pytest.fixture
def run_id(request: pytest.FixtureRequest) -> str:
    return request.node.nodeid


class Templates:
    """Renders as an operator does: ``{{ name }}`` is a value of the context, also within a list."""

    def render_template(self, value: Any, context: dict[str, Any]) -> Any:
        if isinstance(value, str):
            return context[value.strip("{} ")] if "{{" in value else value
        return [self.render_template(one, context) for one in value]


@pytest.fixture
def context(fake_freddy_connection: FakeFreddy) -> dict[str, Any]:
    """What the DAG processor gives to a task's callback."""
    return {"ti": Ti(), "task": Templates()}


def last_line(caplog: pytest.LogCaptureFixture) -> tuple[str, str]:
    line = [one for one in caplog.records if one.name == "airflow_provider_freddy.callbacks"][-1]
    return line.levelname, line.getMessage()


@pytest.fixture(autouse=True)
def _all_levels(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")


@pytest.mark.parametrize("given", ["{{ the_id }}", ["{{ the_id }}"], "{{ the_ids }}"])
def test_a_response_may_be_given_as_a_template(
    context: dict[str, Any], fake_freddy_connection: FakeFreddy, given: Any
) -> None:
    mine, other = started_elsewhere(2)
    CancelResponseCallback(response_id=given)({**context, "the_id": mine, "the_ids": (mine,)})
    assert fake_freddy_connection.left_running == [other]


def test_connection_and_organization_may_be_templates_too(
    context: dict[str, Any], fake_freddy_connection: FakeFreddy, monkeypatch: pytest.MonkeyPatch
) -> None:
    (response_id,) = started_elsewhere()
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", fake_freddy_connection.connection_json())
    monkeypatch.delenv("AIRFLOW_CONN_FREDDY_DEFAULT")
    callback = CancelResponseCallback(response_id=response_id, freddy_conn_id="{{ conn }}", organization_id="{{ org }}")
    callback({**context, "conn": "other", "org": "org_fake"})
    assert fake_freddy_connection.left_running == []
    assert fake_freddy_connection.requests[-1].query["organizationId"] == "org_fake"


@pytest.mark.parametrize("nothing", ["{{ none }}", []])
def test_a_template_that_renders_to_nothing_cancels_nothing(
    context: dict[str, Any], caplog: pytest.LogCaptureFixture, nothing: Any
) -> None:
    CancelResponseCallback(response_id=nothing)({**context, "none": None})
    assert last_line(caplog)[1].endswith(
        ": no record of a response found (that of a killed try is gone once the next try has started)"
    )


def test_an_id_that_is_none_is_told(context: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    CancelResponseCallback(response_id="../x")(context)
    level, line = last_line(caplog)
    assert level == "ERROR"
    assert "what it has started MAY STILL RUN AND COST MONEY. ValueError: " in line
    assert "response id" in line


def test_one_that_freddy_does_not_know_is_no_error(context: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    CancelResponseCallback(response_id="resp_gone")(context)
    level, line = last_line(caplog)
    assert level == "INFO"
    assert "resp_gone" in line


@xcoms_in_the_dag_processor
def test_of_named_tasks_all_is_cancelled_also_what_is_to_outlive_its_own_task(
    context: dict[str, Any], fake_freddy_connection: FakeFreddy
) -> None:
    first, second = started_elsewhere(2)
    ti = context["ti"]
    ti.xcoms = [
        [entry(first, ti, task_id="u", cancel_on_failure=False)],
        [entry(second, ti, task_id="u", map_index=3, try_number=2)],
    ]
    CancelResponseCallback(task_ids="u")(context)
    assert fake_freddy_connection.left_running == []


def test_every_recorded_response_is_cancelled_by_its_own_connection_and_organization(
    context: dict[str, Any],
) -> None:
    ti = context["ti"]
    recorded = [("resp_1", "one", "org_one"), ("resp_2", "two", "org_two")]
    ti.xcoms = [
        [
            {**entry(response_id, ti), "freddy_conn_id": conn_id, "organization_id": organization_id}
            for response_id, conn_id, organization_id in recorded
        ]
    ]
    targets = callback_run._recorded_targets(stored_record.recorded_by_try(context, ask_store=False))
    assert [(one.response_id, one.freddy_conn_id, one.organization_id) for one in targets] == recorded


def test_what_the_process_has_started_itself_is_cancelled_with_the_organization_it_was_started_for(
    fake_freddy_connection: FakeFreddy, task: dict[str, Any]
) -> None:
    FreddyHook().track_response("resp_1", organization_id="org_other")
    cancel_response_on_failure(failed(task))
    assert fake_freddy_connection.requests[-1].query["organizationId"] == "org_other"


def test_tasks_are_named_alone_or_in_any_list() -> None:
    assert CancelResponseCallback(task_ids="u").task_ids == ["u"]
    assert CancelResponseCallback(task_ids=(name for name in "uv")).task_ids == ["u", "v"]
    assert CancelResponseCallback().task_ids is None
    assert repr(CancelResponseCallback(task_ids=["u"])) == "CancelResponseCallback(task_ids=['u'], response_id=None)"


@xcoms_in_the_dag_processor
def test_as_a_dags_callback_it_cancels_what_the_run_has_started_but_what_is_to_outlive_it(
    context: dict[str, Any], fake_freddy_connection: FakeFreddy, caplog: pytest.LogCaptureFixture
) -> None:
    first, second, kept = started_elsewhere(3)
    ti = context["ti"]
    ti.xcoms = [
        [entry(first, ti), entry(second, ti, task_id="u", try_number=2)],
        [entry(kept, ti, cancel_on_failure=False)],
    ]
    dag = SimpleNamespace(dag_id="d", task_ids=["t", "u"])
    cancel_response_on_failure({**context, "dag": dag, "run_id": "r", "reason": "task_failure"})
    assert fake_freddy_connection.left_running == [kept]
    level, line = last_line(caplog)
    assert level == "INFO"
    assert line.startswith(f"Freddy callback for run r of DAG d: {kept} is left running, as asked for")
    assert f"; {first} cancelled at" in line


def run_failed(context: dict[str, Any]) -> None:
    """Call the callback as that of a DAG."""
    dag = SimpleNamespace(dag_id="d", task_ids=["t", "u", "v"])
    cancel_response_on_failure({**context, "dag": dag, "run_id": "r", "reason": "task_failure"})


@xcoms_in_the_dag_processor
@not_on_airflow("3.1", "3.2", because="their DAG processors do not say which state a task is in")
def test_as_a_dags_callback_it_spares_tasks_that_were_cleared_meanwhile(
    context: dict[str, Any], fake_freddy_connection: FakeFreddy, monkeypatch: pytest.MonkeyPatch
) -> None:
    *again, ended, other = started_elsewhere(5)
    ti = context["ti"]
    ti.xcoms = [
        [entry(one, ti, map_index=index, try_number=2) for index, one in enumerate([*again[:2], ended])],
        [entry(again[2], ti, task_id="u"), entry(other, ti, task_id="v")],
    ]
    enum = SimpleNamespace(value="scheduled")
    states = {("d", "r"): {"t_0": "running", "t_1": enum, "t_2": "failed", "u": "up_for_retry", "v": "success"}}
    monkeypatch.setattr(callback_run, "states_of_run", lambda dag_id, run_id: {run_id: states[dag_id, run_id]})
    run_failed(context)
    assert sorted(fake_freddy_connection.left_running) == sorted(again)


@xcoms_in_the_dag_processor
@pytest.mark.parametrize("what", ["no such run", "no answer", "not to be asked"])
def test_as_a_dags_callback_it_spares_nobody_where_airflow_does_not_say_who_runs_again(
    context: dict[str, Any],
    fake_freddy_connection: FakeFreddy,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    what: str,
) -> None:
    (response_id,) = started_elsewhere()
    context["ti"].xcoms = [[entry(response_id, context["ti"])]]

    def states_of_run(dag_id: str, run_id: str) -> dict[str, Any]:
        if what == "no answer":
            raise RuntimeError("not today")
        return {} if what == "no such run" else {run_id: {"t": "running"}}

    monkeypatch.setattr(callback_run, "can_read_states_in_callback", lambda: what != "not to be asked")
    monkeypatch.setattr(callback_run, "states_of_run", states_of_run)
    run_failed(context)
    assert fake_freddy_connection.left_running == []
    said = "Airflow does not say which tasks run again: RuntimeError('not today')"
    assert (said in [one.getMessage() for one in caplog.records]) == (what == "no answer")


@pytest.mark.parametrize(
    ("since_the_last", "since_the_first", "asked", "share"),
    [
        (5.1, 1000.0, math.inf, 40 / 3),
        (5.0, 10.0, math.inf, 10.0),
        (0.0, 31.0, 8.0, 3.0),
        (0.0, 31.0, 2.0, 2.0),
        (0.0, 39.5, 8.0, 0.3),
        (0.0, 50.0, 8.0, 0.3),
    ],
)
def test_each_callback_of_a_batch_leaves_time_to_those_that_follow(
    monkeypatch: pytest.MonkeyPatch, since_the_last: float, since_the_first: float, asked: float, share: float
) -> None:
    monkeypatch.setattr(callback_run, "time", SimpleNamespace(monotonic=lambda: 100.0))
    monkeypatch.setattr(callback_run, "_batch_ended", 100.0 - since_the_last)
    monkeypatch.setattr(callback_run, "_batch_began", 100.0 - since_the_first)
    assert callback_run._share_of_batch(asked) == pytest.approx(share)


def test_many_callbacks_of_a_dag_processor_share_the_time_that_it_has(
    context: dict[str, Any], fake_freddy_connection: FakeFreddy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callback_run, "BATCH_SECONDS", 3.0)
    monkeypatch.setattr(callback_run, "_batch_ended", float("-inf"))
    fake_freddy_connection.fault("hang", method="DELETE", times=None)
    responses = started_elsewhere(5)
    start = time.monotonic()
    for response_id in responses:
        CancelResponseCallback(response_id=response_id)(context)
    # Each with its own 8 s would take 40.
    assert time.monotonic() - start < 5


@xcoms_in_the_dag_processor
def test_without_a_task_instance_a_dags_callback_says_what_it_lacks(
    fake_freddy_connection: FakeFreddy, caplog: pytest.LogCaptureFixture
) -> None:
    dag = SimpleNamespace(dag_id="d", task_ids=["t"])
    cancel_response_on_failure({"dag": dag, "run_id": "r", "reason": "timed_out"})
    assert last_line(caplog) == (
        "ERROR",
        "Freddy callback for run r of DAG d: what it has started MAY STILL RUN AND COST MONEY. FreddyError: "
        "Airflow gave this callback no task instance to read the record with.",
    )


@xcoms_in_the_dag_processor
def test_in_the_dag_processor_the_line_names_dag_run_task_and_try(
    context: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    context["ti"].map_index = 2
    cancel_response_on_failure(context)
    assert last_line(caplog)[1].startswith("Freddy callback for d.t[2], run r, try 1 (in the DAG processor): no record")


@needs_airflow("3.0", "before, callbacks of every process have the same context")
def test_in_the_tasks_own_log_the_line_names_task_and_try(
    fake_freddy_connection: FakeFreddy, task: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    task["ti"].resume_with(None)
    cancel_response_on_failure(failed(task))
    assert last_line(caplog) == ("INFO", "Freddy callback for t, try 1: it had started no response")


@needs_airflow("3.0", "before, callbacks of every process have the same context")
@pytest.mark.parametrize(
    ("trouble", "words"), [("hangs", "Airflow does not answer"), ("broken", "an answer to another question")]
)
def test_earlier_tries_that_are_not_known_are_told(
    fake_freddy_connection: FakeFreddy,
    task: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    trouble: str,
    words: str,
) -> None:
    monkeypatch.setattr(callback_run, "STORE_SECONDS", 0.1)
    task["ti"].resume_with(None)
    task["ti"].try_number = 2
    task["task_state_store"] = Store(**{trouble: True})
    cancel_response_on_failure(failed(task))
    assert last_line(caplog)[1].endswith(f": what earlier tries have left is not known ({words})")


def test_a_callback_in_the_tasks_process_cancels_what_earlier_tries_have_left(
    fake_freddy_connection: FakeFreddy, task: dict[str, Any]
) -> None:
    left, kept = started_elsewhere(2)
    ti = task["ti"]
    ti.try_number = 2
    earlier = [entry(left, ti, try_number=1), entry(kept, ti, try_number=1, cancel_on_failure=False)]
    task["task_state_store"].set(RECORD_KEY, earlier)
    cancel_response_on_failure(failed(task))
    assert fake_freddy_connection.left_running == [kept]


@xcoms_in_the_dag_processor
def test_airflow_that_does_not_answer_in_the_dag_processor_costs_no_more_than_a_share_of_its_time(
    context: dict[str, Any], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Ti, "xcom_pull", lambda *_, **__: time.sleep(60))
    monkeypatch.setattr(callback_run, "BATCH_SECONDS", 0.6)
    monkeypatch.setattr(callback_run, "_batch_ended", float("-inf"))
    CancelResponseCallback()(context)
    level, line = last_line(caplog)
    assert level == "ERROR"
    assert line.endswith("FreddyError: Airflow did not say within 0.3 s what was started.")


@needs_airflow("3.0", "before, callbacks of every process have the same context")
def test_airflow_that_does_not_answer_in_the_tasks_process_costs_no_more_than_the_budget(
    fake_freddy_connection: FakeFreddy,
    task: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Ti, "xcom_pull", lambda *_, **__: time.sleep(60))
    task["ti"].resume_with("resume")
    CancelResponseCallback(budget=0.2)(failed(task))
    assert last_line(caplog)[1].endswith("FreddyError: Airflow did not say within 0.2 s what was started.")


@xcoms_in_the_dag_processor
def test_an_answer_of_airflows_that_takes_long_is_not_missing_for_the_cancel(
    context: dict[str, Any], fake_freddy_connection: FakeFreddy, monkeypatch: pytest.MonkeyPatch
) -> None:
    (response_id,) = started_elsewhere()
    context["ti"].xcoms = [[entry(response_id, context["ti"])]]
    pull = Ti.xcom_pull
    monkeypatch.setattr(callback_run, "_batch_ended", float("-inf"))
    monkeypatch.setattr(Ti, "xcom_pull", lambda *args, **kwargs: (time.sleep(0.5), pull(*args, **kwargs))[1])
    CancelResponseCallback(budget=0.4)(context)
    assert fake_freddy_connection.left_running == []


@xcoms_in_the_dag_processor
def test_an_error_of_airflows_is_told_as_it_is(
    context: dict[str, Any], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise FreddyError("no XComs today")

    counted: list[str] = []
    monkeypatch.setattr(metrics, "count", counted.append)
    monkeypatch.setattr(Ti, "xcom_pull", broken)
    cancel_response_on_failure(context)
    assert counted == [metrics.CANCEL_FAILED]
    assert last_line(caplog)[1].endswith("MAY STILL RUN AND COST MONEY. FreddyError: no XComs today")


@needs_airflow("3.0", "before, callbacks of every process have the same context")
@pytest.mark.parametrize(
    ("try_number", "task_ids", "asked"),
    [(1, None, []), (2, None, ["targets", "earlier tries"]), (1, ["t"], ["targets"])],
)
def test_only_a_first_try_that_knows_what_it_has_started_asks_nobody(
    fake_freddy_connection: FakeFreddy,
    task: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    try_number: int,
    task_ids: list[str] | None,
    asked: list[str],
) -> None:
    names: list[str] = []
    bounded = callback_run.run_bounded

    def run_bounded(jobs: Any, seconds: float) -> Any:
        names.extend(job.name for job in jobs)
        return bounded(jobs, seconds)

    task["ti"].try_number = try_number
    FreddyHook().create_response("hello")
    monkeypatch.setattr(callback_run, "run_bounded", run_bounded)
    CancelResponseCallback(task_ids=task_ids)(failed(task))
    assert names == asked
    assert fake_freddy_connection.left_running == []


def test_one_that_may_still_run_makes_the_line_an_error_whatever_becomes_of_the_others(
    context: dict[str, Any], fake_freddy_connection: FakeFreddy, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = started_elsewhere(2)
    fake_freddy_connection.fault("status", method="DELETE", response_id=first, status=403, code="no", times=None)
    CancelResponseCallback(response_id=[first, "resp_gone", second])(context)
    level, line = last_line(caplog)
    assert level == "ERROR"
    assert f"{first} MAY STILL RUN" in line
    assert f"{second} cancelled at" in line


@pytest.mark.parametrize("budget", [0, -1, "8", None])
def test_a_budget_that_is_none_is_refused(budget: Any) -> None:
    with pytest.raises(ValueError, match="The budget must be"):
        CancelResponseCallback(budget=budget)


def own_callback(context: Any) -> None:
    """Stand for what an author has set."""


OF_ANOTHER_TASK = CancelResponseCallback(task_ids="u")
OURS = cancel_response_on_failure
OUR_NOTIFIER = CancelResponseNotifier()


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (None, [OURS]),
        ([], [OURS]),
        (own_callback, [own_callback, OURS]),
        ([own_callback], [own_callback, OURS]),
        ((own_callback, OF_ANOTHER_TASK), [own_callback, OF_ANOTHER_TASK, OURS]),
        (OURS, [OURS]),
        ([OURS, own_callback], [OURS, own_callback]),
        ([OUR_NOTIFIER], [OUR_NOTIFIER]),
    ],
)
def test_ours_is_added_to_what_an_author_has_set_unless_it_is_there(given: Any, wanted: list[Any]) -> None:
    assert with_ours(given) == wanted
