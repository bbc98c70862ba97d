"""
A task starts a model response and then fails; its callback cancels the response, and a sensor sees it cancelled.

The one argument that matters is ``on_failure_callback``.
"""

from __future__ import annotations

# Airflow 3 users write `from airflow.sdk import DAG, task`; this import works on Airflow 2.11 too.
from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_freddy.callbacks import cancel_response_on_failure
from airflow_provider_freddy.hooks.freddy import FreddyHook
from airflow_provider_freddy.sensors.freddy import ResponseCancelledSensor

with DAG("freddy_quickstart", schedule=None, catchup=False, tags=["freddy"]):

    @task(on_failure_callback=cancel_response_on_failure)
    def ask() -> None:
        """Start a response that runs on its own, then stumble over something else."""
        FreddyHook().create_response("Write a novel about an airflow that never fails.")
        raise RuntimeError("The task fails while its response is running.")

    confirm = ResponseCancelledSensor(
        task_id="confirm",
        response_id="{{ ti.xcom_pull(task_ids='ask', key='freddy_responses')[0].response_id }}",
        poke_interval=1,
        timeout=60,
        trigger_rule="all_done",
    )

    ask() >> confirm
