"""DAGs of the callback tests."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_freddy.callbacks import CancelResponseCallback, cancel_response_on_failure
from airflow_provider_freddy.hooks.freddy import FreddyHook
from airflow_provider_freddy.operators.freddy import CreateResponseOperator


def note(context: Any) -> None:
    """Stand for a callback that the author has beside ours."""
    print("another callback ran for", context["ti"].task_id)


with DAG("fail_with_callback", schedule=None):

    @task(on_failure_callback=[note, cancel_response_on_failure, note])
    def ask(dag_run: Any = None) -> None:
        hook = FreddyHook()
        for _ in range(dag_run.conf.get("responses", 1)):
            hook.create_response("hello")
        raise RuntimeError("the task's own error")

    ask()

with DAG("fail_and_retry", schedule=None, default_args={"on_retry_callback": cancel_response_on_failure}):

    @task(retries=1, retry_delay=timedelta(0))
    def ask_again(ti: Any = None) -> None:
        FreddyHook().create_response("hello", metadata={"try": ti.try_number})
        if ti.try_number == 1:
            raise RuntimeError("the first try fails")

    ask_again()

with DAG("fail_one_of_three", schedule=None):

    @task(on_failure_callback=cancel_response_on_failure)
    def ask_each(number: int) -> None:
        FreddyHook().create_response("hello", metadata={"number": number})
        if number == 1:
            raise RuntimeError("only this one fails")

    ask_each.expand(number=[0, 1, 2])

with DAG("fail_beside_the_task_that_started", schedule=None):
    start = CreateResponseOperator.partial(task_id="start", wait_for_completion=False).expand(inputs=["a", "b"])
    keep = CreateResponseOperator(
        task_id="keep", inputs="c", wait_for_completion=False, parameters={"metadata": {"keep": "yes"}}
    )

    @task(on_failure_callback=CancelResponseCallback(task_ids="start"))
    def work() -> None:
        raise RuntimeError("the work fails")

    [start, keep] >> work()

with DAG("fail_with_a_given_id", schedule=None):
    begin = CreateResponseOperator(task_id="begin", inputs="a", wait_for_completion=False)

    @task(
        on_failure_callback=CancelResponseCallback(
            response_id="{{ ti.xcom_pull(task_ids=dag_run.conf['from'], key='response_id') }}"
        )
    )
    def labour() -> None:
        raise RuntimeError("the work fails")

    begin >> labour()

with DAG("fail_with_a_slow_cancel", schedule=None):

    @task(on_failure_callback=CancelResponseCallback(budget=1))
    def hurry() -> None:
        FreddyHook().create_response("hello")
        raise RuntimeError("the task's own error")

    hurry()
