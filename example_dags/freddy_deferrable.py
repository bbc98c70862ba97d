"""Wait in the triggerer, where it holds no worker: the response is cancelled all the same if the task is."""

from __future__ import annotations

from datetime import timedelta

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_freddy.operators.freddy import CreateResponseOperator
from airflow_provider_freddy.sensors.freddy import ResponseStatusSensor

with DAG(
    "freddy_deferrable",
    schedule=None,
    default_args={"deferrable": True},
    tags=["freddy"],
):
    ask = CreateResponseOperator(
        task_id="ask", inputs="Write a haiku about waiting.", execution_timeout=timedelta(minutes=10)
    )
    hand_on = CreateResponseOperator(
        task_id="hand_on", inputs="Write a haiku about letting go.", wait_for_completion=False
    )
    ask >> hand_on >> ResponseStatusSensor(task_id="see", response_id=hand_on.output, timeout=600)
