"""As many sensors as there are ids in the configuration of the run, all in one mapped task."""

from __future__ import annotations

from airflow.providers.common.compat.sdk import DAG, get_current_context, task

from airflow_provider_freddy.sensors.freddy import ResponseCancelledSensor

with DAG("mapped", schedule=None, max_active_tasks=16):

    @task
    def ids() -> list[str]:
        return list(get_current_context()["dag_run"].conf["ids"])

    ResponseCancelledSensor.partial(task_id="wait", deferrable=True, poll_interval=10).expand(response_id=ids())
