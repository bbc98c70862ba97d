"""A run that misses its deadline while its response, which somebody else has started, runs on."""

from __future__ import annotations

import time
from datetime import timedelta

from airflow.sdk import DAG, AsyncCallback, DeadlineAlert, DeadlineReference, task

from airflow_provider_freddy.notifications.freddy import CancelResponseNotifier

LATE = DeadlineAlert(
    reference=DeadlineReference.DAGRUN_QUEUED_AT,
    interval=timedelta(seconds=1),
    callback=AsyncCallback(CancelResponseNotifier, {"response_id": "{{ dag_run.conf['response_id'] }}"}),
)

with DAG("late", schedule=None, deadline=LATE):

    @task
    def dawdle() -> None:
        time.sleep(10)

    dawdle()
