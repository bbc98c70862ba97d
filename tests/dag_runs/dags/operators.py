"""DAGs of the operator tests; what they ask for comes with the run's conf."""

from __future__ import annotations

from datetime import timedelta

from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_freddy.operators.freddy import CancelResponseOperator, CreateResponseOperator

with DAG("create_and_wait", schedule=None, render_template_as_native_obj=True):
    CreateResponseOperator(
        task_id="ask",
        inputs="{{ dag_run.conf.get('inputs', 'hello') }}",
        organization_id="{{ dag_run.conf.get('organization_id') }}",
        poll_interval=0.1,
        tolerated_failures=2,
    )

with DAG("create_with_timeout", schedule=None):
    CreateResponseOperator(task_id="ask", inputs="hello", poll_interval=0.1, execution_timeout=timedelta(seconds=1))

with DAG("create_deferred_with_a_retry", schedule=None):
    CreateResponseOperator(
        task_id="ask", inputs="hello", deferrable=True, poll_interval=0.1, retries=1, retry_delay=timedelta(0)
    )

with DAG("create_and_hand_on", schedule=None):
    CreateResponseOperator(
        task_id="ask",
        inputs=[{"role": "user", "content": "hello {{ run_id }}"}],
        model="m-1",
        parameters={"temperature": 0.5, "metadata": {"run": "{{ run_id }}"}},
        wait_for_completion=False,
    )

with DAG("create_without_metadata", schedule=None):
    CreateResponseOperator(task_id="ask", inputs="hello", wait_for_completion=False, task_metadata=False)

with DAG("cancel_given", schedule=None, render_template_as_native_obj=True):
    CancelResponseOperator(task_id="cancel", response_id="{{ dag_run.conf['ids'] }}")

with DAG("cancel_ignoring_missing", schedule=None, render_template_as_native_obj=True):
    CancelResponseOperator(task_id="cancel", response_id="{{ dag_run.conf['ids'] }}", ignore_missing=True)

with DAG("cancel_what_nobody_pushed", schedule=None):

    @task
    def push_nothing() -> None:
        return None

    create = CreateResponseOperator(task_id="ask", inputs="hello", wait_for_completion=False)
    create >> CancelResponseOperator(task_id="cancel", response_id=push_nothing())

with DAG("sweep_the_run", schedule=None):
    asks = CreateResponseOperator.partial(task_id="ask", wait_for_completion=False).expand(inputs=["a", "b"])
    other = CreateResponseOperator(task_id="other", inputs="c", wait_for_completion=False)

    @task
    def fail() -> None:
        raise RuntimeError("no luck")

    [asks, other] >> fail() >> CancelResponseOperator(task_id="sweep", trigger_rule="all_done")

with DAG("map_the_cancel", schedule=None):
    mapped = CreateResponseOperator.partial(task_id="ask", wait_for_completion=False).expand(inputs=["a", "b", "c"])
    CancelResponseOperator.partial(task_id="cancel").expand(response_id=mapped.output)
