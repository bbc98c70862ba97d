"""Deferred waits: ours, which the trigger ends, and one that resumes in a worker as all the peers do."""

from __future__ import annotations

from airflow.providers.http.sensors.http import HttpSensor
from airflow.sdk import DAG

from airflow_provider_freddy.operators.freddy import CreateResponseOperator

POLL_SECONDS = 0.5

with DAG("bench_end_from_trigger", schedule=None):
    CreateResponseOperator(
        task_id="wait", inputs="Hello!", model="dur-3000", deferrable=True, poll_interval=POLL_SECONDS
    )

with DAG("bench_resume", schedule=None):
    HttpSensor(
        task_id="wait",
        endpoint="sensor/dur-3000-{{ run_id | replace(':', '') | replace('+', '') }}",
        deferrable=True,
        poke_interval=POLL_SECONDS,
    )

with DAG("bench_marked", schedule=None):
    CreateResponseOperator(task_id="wait", inputs="Hello!", model="run", deferrable=True, poll_interval=POLL_SECONDS)
