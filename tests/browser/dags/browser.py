"""Two tasks to look at in the UI: one that ends well, one that fails while its response is running."""

from __future__ import annotations

from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_freddy.callbacks import cancel_response_on_failure
from airflow_provider_freddy.hooks.freddy import FreddyHook
from airflow_provider_freddy.operators.freddy import CreateResponseOperator

with DAG("write_a_novel", schedule=None):
    CreateResponseOperator(
        task_id="ask",
        inputs="Write a novel.",
        freddy_conn_id="{{ dag_run.conf.get('connection', 'freddy_default') }}",
        parameters={"metadata": {"fake_duration": "1"}},
        poll_interval=0.3,
    )

with DAG("fail_meanwhile", schedule=None):

    @task(on_failure_callback=cancel_response_on_failure)
    def ask() -> None:
        """Start a response that runs on its own, then stumble over something else."""
        FreddyHook().create_response("Write a novel.")
        raise RuntimeError("the task's own error")

    ask()
