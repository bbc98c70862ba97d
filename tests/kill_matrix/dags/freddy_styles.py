"""
The same task in the three styles in which authors use the provider, and in the kinds of DAG that the deeds need.

The response of a first try outlives every test, unless the conf says otherwise; that of a second try ends by itself.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import DAG, AirflowException, AirflowFailException, AirflowSkipException, task

from airflow_provider_freddy.deadlines import cancel_responses_of_run
from airflow_provider_freddy.guard import guard
from airflow_provider_freddy.hooks.freddy import FreddyHook
from airflow_provider_freddy.operators.freddy import CreateResponseOperator
from airflow_provider_freddy.version_compat import AIRFLOW_V_3_0_PLUS, AIRFLOW_V_3_1_PLUS

DURATION = "{{ dag_run.conf.get('duration', 300) if ti.try_number == 1 else 2 }}"


class SlowToDefer(CreateResponseOperator):
    """Works for a while between the start of its response and the deferral."""

    def _defer(self, *args: Any) -> None:
        time.sleep(4)
        super()._defer(*args)


class WithBrokenTrigger(CreateResponseOperator):
    """Its trigger raises at once."""

    def defer(self, **kwargs: Any) -> None:
        """Defer with an argument that no trigger can take."""
        kwargs["trigger"].poll_interval = "never"
        super().defer(**kwargs)


class WithoutTriggerDeadline(CreateResponseOperator):
    """Leaves its time limit to Airflow's own, as an operator would that has no deadline in its trigger."""

    def defer(self, **kwargs: Any) -> None:
        """Defer with Airflow's time limit only."""
        kwargs["trigger"].deadline = None
        super().defer(**{**kwargs, "timeout": timedelta(seconds=4)})


class EndsInItsOwnWay(CreateResponseOperator):
    """Makes of an error what the run's conf says, as an author's subclass may."""

    def execute(self, context: Any) -> Any:
        """Wait in the worker, or defer."""
        with own_way_out(context):
            return super().execute(context)

    def execute_complete(self, context: Any, event: Any = None, **kwargs: Any) -> Any:
        """Go on after the deferral."""
        with own_way_out(context):
            return super().execute_complete(context, event, **kwargs)


@contextmanager
def own_way_out(context: Any) -> Generator[None, None, None]:
    """End the task as the run's conf says when it would end with an error."""
    try:
        yield
    except AirflowException:
        WAYS_OUT[context["dag_run"].conf["how"]]()


def operator(
    *, cls: type[CreateResponseOperator] = CreateResponseOperator, mapped: bool = False, **arguments: Any
) -> Any:
    """Wait in the worker, or in the triggerer."""
    arguments = {"parameters": {"metadata": {"fake_duration": DURATION}}, **arguments}
    if mapped:
        return cls.partial(**arguments).expand(inputs=["a", "b"])
    return cls(inputs="hello", **arguments)


def wait_for_freddy(_number: int = 0, ti: Any = None, dag_run: Any = None) -> None:
    """Start a response and wait for its end; the first try ends otherwise, as the conf says, on a cue."""
    conf = dag_run.conf
    first = (ti.task_id, ti.try_number) == ("ask", 1) and ti.map_index < 1
    hook = FreddyHook()
    duration = conf.get("duration", 300) if ti.try_number == 1 else 2
    response = hook.create_response("hello", metadata={"fake_duration": duration})
    while not hook.get_response(response.id).is_final:
        if first and conf["how"] in WAYS_OUT and Path(conf["cue"]).exists():
            WAYS_OUT[conf["how"]]()
        time.sleep(0.2)


def _raise(error: Exception) -> None:
    raise error


WAYS_OUT: dict[str, Callable[[], Any]] = {
    "raise": lambda: _raise(RuntimeError("the task's own error")),
    "fail": lambda: _raise(AirflowFailException("no use in another try")),
    "skip": lambda: _raise(AirflowSkipException("not today")),
    "exit": lambda: sys.exit(3),
}


def function(*, mapped: bool = False, cls: object = None, on_retry: object = None, **arguments: Any) -> Any:
    """Wait in a plain function, which needs no class of its own to end as it likes, and takes nothing over."""
    asked = task(**arguments)(wait_for_freddy)
    return asked.expand(_number=[0, 1]) if mapped else asked()


def stumble(dag_run: Any = None) -> None:
    """Fail on a cue."""
    while not Path(dag_run.conf["cue"]).exists():
        time.sleep(0.2)
    raise RuntimeError("no luck")


# It is never due again, so that a backfill is all that runs.
SCHEDULES = {"backfill": "@daily"}
ONE_DAY_LONG_AGO = {
    "start_date": datetime(2020, 1, 1, tzinfo=UTC),
    "end_date": datetime(2020, 1, 1, tzinfo=UTC),
    "catchup": False,
}
ONE_RETRY = {"retries": 1, "retry_delay": timedelta(0)}
DAG_KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "retry": {},
    "timeout": {},
    "short_run": {"dagrun_timeout": timedelta(seconds=10)},
    "mapped": {},
    "deleted": {},
    "own_end": {},
    "own_end_retry": {},
    "resume": {},
    "backfill": ONE_DAY_LONG_AGO,
}
if AIRFLOW_V_3_0_PLUS:
    DAG_KINDS["fail_fast"] = {"fail_fast": True}
if AIRFLOW_V_3_1_PLUS:
    try:
        from airflow.sdk import AsyncCallback, DeadlineAlert, DeadlineReference
    except ImportError:
        # 3.1 has them elsewhere.
        from airflow.sdk.definitions.deadline import AsyncCallback, DeadlineAlert, DeadlineReference

    DAG_KINDS["deadline"] = {
        "deadline": DeadlineAlert(
            reference=DeadlineReference.DAGRUN_QUEUED_AT,
            interval=timedelta(seconds=12),
            callback=AsyncCallback(cancel_responses_of_run),
        )
    }
TASK_KINDS: dict[str, dict[str, Any]] = {
    "retry": ONE_RETRY,
    "timeout": {"execution_timeout": timedelta(seconds=6)},
    "resume": {"on_retry": "resume", **ONE_RETRY},
    "own_end": {"cls": EndsInItsOwnWay},
    "own_end_retry": {"cls": EndsInItsOwnWay, **ONE_RETRY},
}
STYLES: dict[str, Callable[..., Any]] = {
    "operator": lambda **arguments: operator(poll_interval=0.3, **arguments),
    "deferrable": lambda **arguments: operator(poll_interval=0.5, deferrable=True, **arguments),
    "function": function,
}

for style, make in STYLES.items():
    for kind, dag_arguments in DAG_KINDS.items():
        for guarded in (False, True):
            with DAG(f"{style}_{kind}{'_guarded' * guarded}", schedule=SCHEDULES.get(kind), **dag_arguments) as dag:
                make(task_id="ask", mapped=kind == "mapped", **TASK_KINDS.get(kind, {}))
                if kind == "fail_fast":
                    task(stumble)()
                if kind == "mapped":
                    # Its response is nobody's business but its own.
                    make(task_id="other")
            if guarded:
                guard(dag)

SPECIAL: dict[str, type[CreateResponseOperator]] = {
    "slow": SlowToDefer,
    "broken_trigger": WithBrokenTrigger,
    "trigger_timeout": WithoutTriggerDeadline,
}

for kind, special in SPECIAL.items():
    with DAG(f"deferrable_{kind}", schedule=None):
        STYLES["deferrable"](task_id="ask", cls=special)
