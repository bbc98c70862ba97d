"""DAGs of the sensor tests; the response to wait for comes with the run's conf."""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_freddy.sensors.freddy import ResponseCancelledSensor, ResponseStatusSensor

COMMON: dict[str, Any] = {
    "task_id": "wait",
    "response_id": "{{ dag_run.conf['response_id'] }}",
    "poke_interval": 0.2,
    "timeout": 20,
    "tolerated_failures": 2,
}

with DAG("wait_until_completed", schedule=None):
    ResponseStatusSensor(**COMMON)

with DAG("wait_until_cancelled", schedule=None):
    ResponseCancelledSensor(**COMMON)

with DAG("wait_until_cancelled_or_skip", schedule=None):
    ResponseCancelledSensor(**COMMON, on_other_end="skip")

with DAG("wait_until_cancelled_or_ended", schedule=None):
    ResponseCancelledSensor(**COMMON, on_other_end="succeed")

with DAG("wait_by_rescheduling", schedule=None):
    ResponseCancelledSensor(**COMMON, mode="reschedule")

with DAG("wait_for_any_of_two", schedule=None):
    ResponseStatusSensor(**COMMON, status=["processing", "completed"])

with DAG("wait_for_each", schedule=None):
    ResponseStatusSensor.partial(
        task_id="wait", poke_interval=0.2, timeout=20, status=["processing", "completed"]
    ).expand(response_id=["{{ dag_run.conf['response_id'] }}", "{{ dag_run.conf['response_id'] }}"])
    ResponseCancelledSensor.partial(task_id="confirm", poke_interval=0.2, timeout=20, on_other_end="succeed").expand(
        response_id=["{{ dag_run.conf['response_id'] }}"]
    )
