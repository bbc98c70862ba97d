"""Tasks that start responses and fail, or hand them on."""

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

# It outlives every test.
OPERATOR_METADATA = {
    "run": "{{ run_id }}",
    "try": "{{ ti.try_number }}",
    "fake_duration": "300",
}


def start_and_fail(ti: Any = None, dag_run: Any = None, run_id: Any = None) -> None:
    """Start a response, and die in the way that the conf says; a second try waits for its own."""
    hook = FreddyHook()
    metadata = {"run": run_id, "try": str(ti.try_number), "fake_duration": 300 if ti.try_number == 1 else 2}
    response = hook.create_response("hello", metadata=metadata)
    while ti.try_number > 1:
        time.sleep(0.3)
        if hook.get_response(response.id).is_final:
            return
    if dag_run.conf["how"] == "exit":
        sys.exit(3)
    raise RuntimeError("the task's own error")


with DAG("function_that_fails", schedule=None, default_args=CALLBACKS):
    task(task_id="ask")(start_and_fail)()

with DAG("function_one_retry", schedule=None, default_args=CALLBACKS):
    task(task_id="ask", retries=1, retry_delay=timedelta(0))(start_and_fail)()

with DAG("operator_timeout", schedule=None, default_args=CALLBACKS):
    CreateResponseOperator(
        task_id="ask",
        inputs="hello",
        parameters={"metadata": OPERATOR_METADATA},
        poll_interval=0.3,
        execution_timeout=timedelta(seconds=3),
    )

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
