"""Tasks that wait in the triggerer, and what can happen to them there."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_freddy.callbacks import cancel_response_on_failure
from airflow_provider_freddy.operators.freddy import CancelResponseOperator, CreateResponseOperator
from airflow_provider_freddy.sensors.freddy import ResponseCancelledSensor, ResponseStatusSensor

METADATA = {
    "run": "{{ run_id }}",
    "try": "{{ ti.try_number }}",
    "fake_outcome": "{{ dag_run.conf.get('outcome', 'completed') }}",
    "fake_duration": "{{ dag_run.conf.get('duration', 300) if ti.try_number == 1 else 2 }}",
}
ASK: dict[str, Any] = {
    "task_id": "ask",
    "inputs": "hello",
    "parameters": {"metadata": METADATA},
    "deferrable": True,
    "poll_interval": 0.5,
}


with DAG("deferred", schedule=None):
    CreateResponseOperator(**ASK)

with DAG("deferred_resumes", schedule=None):
    CreateResponseOperator(**ASK, end_in_triggerer=False)

with DAG("watched", schedule=None):
    start = CreateResponseOperator(**{**ASK, "task_id": "start", "deferrable": False}, wait_for_completion=False)
    start >> ResponseStatusSensor(task_id="wait", response_id=start.output, deferrable=True, poll_interval=0.5)

with DAG("watched_and_cancelled", schedule=None):
    begin = CreateResponseOperator(**{**ASK, "task_id": "begin", "deferrable": False}, wait_for_completion=False)
    begin >> ResponseCancelledSensor(task_id="wait", response_id=begin.output, deferrable=True, timeout=60)
    begin >> CancelResponseOperator(
        task_id="cancel", response_id=begin.output, wait_until_cancelled=True, deferrable=True
    )

with DAG("watched_from_the_start", schedule=None):
    ResponseStatusSensor(
        task_id="wait", response_id="{{ dag_run.conf['response_id'] }}", deferrable=True, poll_interval=0.5
    )
    ResponseCancelledSensor(
        task_id="wait_in_vain",
        response_id="{{ dag_run.conf['response_id'] }}",
        deferrable=True,
        poll_interval=0.5,
        timeout=6,
        retries=1,
        retry_delay=timedelta(0),
    )

for style, is_deferrable in (("operator", False), ("deferrable", True)):
    with DAG(f"{style}_resumes", schedule=None, default_args={"on_retry_callback": cancel_response_on_failure}):
        CreateResponseOperator(
            **{**ASK, "deferrable": is_deferrable},
            on_retry="resume",
            retries=1,
            retry_delay=timedelta(0),
        )
