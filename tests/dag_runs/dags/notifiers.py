"""DAGs whose authors use notifiers."""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_freddy.hooks.freddy import FreddyHook
from airflow_provider_freddy.notifications.freddy import CancelResponseNotifier
from airflow_provider_freddy.operators.freddy import CreateResponseOperator


def note(context: Any) -> None:
    """Stand for a callback that the author has beside ours."""
    print("another callback ran for", context["ti"].task_id)


with DAG("notify_own", schedule=None):

    @task(on_failure_callback=[note, CancelResponseNotifier(), note])
    def ask() -> None:
        FreddyHook().create_response("hello")
        raise RuntimeError("the task's own error")

    ask()

with DAG("notify_beside", schedule=None):
    start = CreateResponseOperator.partial(task_id="start", wait_for_completion=False).expand(inputs=["a", "b"])
    keep = CreateResponseOperator(
        task_id="keep", inputs="c", wait_for_completion=False, parameters={"metadata": {"keep": "yes"}}
    )

    @task(on_failure_callback=CancelResponseNotifier(task_ids="start"))
    def work() -> None:
        raise RuntimeError("the work fails")

    [start, keep] >> work()

# One object for all of them, and every one has another response to cancel.
GIVEN = CancelResponseNotifier(
    response_id="{{ ti.xcom_pull(task_ids='begin', key='response_id', map_indexes=ti.map_index) }}",
    organization_id="{{ 'org_fake' }}",
)

with DAG("notify_with_a_given_id", schedule=None, default_args={"on_failure_callback": GIVEN}):
    begin = CreateResponseOperator.partial(task_id="begin", wait_for_completion=False).expand(inputs=["a", "b", "c"])

    @task
    def labour(number: int) -> None:
        if number != 1:
            raise RuntimeError("the work fails")

    begin >> labour.expand(number=[0, 1, 2])

with DAG("notify_with_a_template_that_fails", schedule=None):

    @task(on_failure_callback=[CancelResponseNotifier(response_id="{{ 1 // 0 }}"), note])
    def slip() -> None:
        raise RuntimeError("the task's own error")

    slip()
