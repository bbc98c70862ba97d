"""A response that takes longer than ``execution_timeout``: the operator cancels it, and a sensor sees it cancelled."""

from __future__ import annotations

from datetime import timedelta

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_freddy.operators.freddy import CreateResponseOperator
from airflow_provider_freddy.sensors.freddy import ResponseCancelledSensor

with DAG("freddy_timeout", schedule=None, catchup=False, tags=["freddy"]):
    ask = CreateResponseOperator(
        task_id="ask",
        inputs="Write a novel about a deadline.",
        poll_interval=1,
        execution_timeout=timedelta(seconds=3),
    )

    confirm = ResponseCancelledSensor(
        task_id="confirm",
        response_id="{{ ti.xcom_pull(task_ids='ask', key='response_id') }}",
        poke_interval=1,
        timeout=60,
        trigger_rule="all_done",
    )

    ask >> confirm
