"""A run that misses its deadline while its response, which somebody else has started, runs on."""

from __future__ import annotations

import time
from datetime import timedelta

from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_freddy.notifications.freddy import CancelResponseNotifier
from airflow_provider_freddy.version_compat import AIRFLOW_V_3_2_PLUS

if AIRFLOW_V_3_2_PLUS:
    from airflow.sdk import AsyncCallback, DeadlineAlert, DeadlineReference

    late = DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=timedelta(seconds=1),
        callback=AsyncCallback(CancelResponseNotifier, {"response_id": "{{ dag_run.conf['response_id'] }}"}),
    )

    with DAG("late", schedule=None, deadline=late):

        @task
        def dawdle() -> None:
            time.sleep(10)

        dawdle()
