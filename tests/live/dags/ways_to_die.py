"""The same task in two styles, with and without a retry and a timeout; how its first try dies comes with the conf."""

from __future__ import annotations

import sys
import time
from datetime import timedelta
from typing import Any

from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_freddy.callbacks import cancel_response_on_failure
from airflow_provider_freddy.hooks.freddy import FreddyHook
from airflow_provider_freddy.operators.freddy import CancelResponseOperator, CreateResponseOperator

CALLBACKS: dict[str, Any] = {
    "on_failure_callback": cancel_response_on_failure,
    "on_retry_callback": cancel_response_on_failure,
}

# The response of the first try outlives every test; that of a second try ends by itself, if it is left alone.
OPERATOR_METADATA = {
    "run": "{{ run_id }}",
    "try": "{{ ti.try_number }}",
    "fake_duration": "{{ 300 if ti.try_number == 1 else 2 }}",
}


def wait_for_freddy(ti: Any = None, dag_run: Any = None, run_id: Any = None) -> None:
    """Start a response; the first try then dies in the way that the conf says."""
    hook = FreddyHook()
    response = hook.create_response(
        "hello",
        metadata={
            "run": run_id,
            "try": str(ti.try_number),
            "fake_duration": 300 if ti.try_number == 1 else 2,
        },
    )
    if ti.try_number == 1 and dag_run.conf.get("how") == "raise":
        raise RuntimeError("the task's own error")
    if ti.try_number == 1 and dag_run.conf.get("how") == "exit":
        sys.exit(3)
    while not hook.get_response(response.id).is_final:
        time.sleep(0.3)


WAYS: dict[str, dict[str, Any]] = {
    "no_retry": {},
    "one_retry": {"retries": 1, "retry_delay": timedelta(0)},
    "timeout": {"execution_timeout": timedelta(seconds=3)},
}

for way, arguments in WAYS.items():
    with DAG(f"operator_{way}", schedule=None, default_args=CALLBACKS):
        CreateResponseOperator(
            task_id="ask",
            inputs="hello",
            parameters={"metadata": OPERATOR_METADATA},
            poll_interval=0.3,
            **arguments,
        )

    with DAG(f"deferrable_{way}", schedule=None, default_args=CALLBACKS):
        CreateResponseOperator(
            task_id="ask",
            inputs="hello",
            parameters={"metadata": OPERATOR_METADATA},
            deferrable=True,
            poll_interval=0.5,
            **arguments,
        )

    with DAG(f"function_{way}", schedule=None, default_args=CALLBACKS):
        task(task_id="ask", **arguments)(wait_for_freddy)()

with DAG("operator_unguarded", schedule=None):
    CreateResponseOperator(task_id="ask", inputs="hello", parameters={"metadata": OPERATOR_METADATA})

with DAG("function_unguarded", schedule=None):
    task(task_id="ask")(wait_for_freddy)()

with DAG("operator_hands_on", schedule=None):
    CreateResponseOperator(
        task_id="ask", inputs="hello", wait_for_completion=False, parameters={"metadata": OPERATOR_METADATA}
    )

with DAG("function_hands_on", schedule=None):

    @task(task_id="ask")
    def hand_on(run_id: Any = None) -> str:
        return FreddyHook().create_response("hello", metadata={"run": run_id, "try": 1, "fake_duration": 300}).id

    hand_on()

with DAG("run_that_fails", schedule=None, on_failure_callback=cancel_response_on_failure):
    first = CreateResponseOperator.partial(
        task_id="first", wait_for_completion=False, parameters={"metadata": OPERATOR_METADATA}
    ).expand(inputs=["a", "b"])

    @task
    def stumble() -> None:
        raise RuntimeError("no luck")

    first >> stumble()

with DAG("run_with_teardown", schedule=None):
    begin = CreateResponseOperator(
        task_id="begin", inputs="a", wait_for_completion=False, parameters={"metadata": OPERATOR_METADATA}
    )

    @task
    def fall() -> None:
        raise RuntimeError("no luck")

    begin >> fall() >> CancelResponseOperator(task_id="sweep").as_teardown(setups=[begin])
