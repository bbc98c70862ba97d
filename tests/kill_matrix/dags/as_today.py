"""
The baseline: the same task as it is written without this provider.

HttpOperator starts the response, HttpSensor waits for its end, and an ``on_failure_callback`` reads the id from XCom
and sends the DELETE.
"""

from __future__ import annotations

import json
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.providers.http.hooks.http import HttpHook
from airflow.providers.http.operators.http import HttpOperator
from airflow.providers.http.sensors.http import HttpSensor
from airflow.sdk import DAG, task

RESPONSE = "/v1/model/response"
ORGANIZATION = "org_fake"


def cancel_response(context: dict[str, Any]) -> None:
    """Cancel what the run has started."""
    response_id = context["ti"].xcom_pull(task_ids="start")
    HttpHook(method="DELETE", http_conn_id="freddy_http").run(f"{RESPONSE}/{response_id}?organizationId={ORGANIZATION}")
    print(f"baseline callback: {response_id} cancelled at its end")


def is_final(response: Any, dag_run: Any = None) -> bool:
    """Tell whether the response has ended; fail on a cue."""
    if dag_run.conf["how"] == "raise" and Path(dag_run.conf["cue"]).exists():
        raise RuntimeError("the task's own error")
    return response.json()["status"] in {"completed", "failed", "cancelled"}


BODY = {
    "organization_id": ORGANIZATION,
    "inputs": [{"role": "user", "content": "hello"}],
    "background": True,
    "metadata": {
        "airflow_run_id": "{{ run_id }}",
        "airflow_task_id": "ask",
        "airflow_map_index": "-1",
        "airflow_try_number": "{{ ti.try_number }}",
        "fake_duration": "{{ 300 if ti.try_number == 1 else 2 }}",
    },
}

TASK_KINDS: dict[str, dict[str, Any]] = {
    "retry": {"retries": 1, "retry_delay": timedelta(0)},
    "timeout": {"execution_timeout": timedelta(seconds=6)},
}
DAG_KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "retry": {},
    "timeout": {},
    "short_run": {"dagrun_timeout": timedelta(seconds=15)},
    "fail_fast": {"fail_fast": True},
}


def stumble(dag_run: Any = None) -> None:
    """Fail on a cue."""
    while not Path(dag_run.conf["cue"]).exists():
        time.sleep(0.2)
    raise RuntimeError("no luck")


for kind, dag_arguments in DAG_KINDS.items():
    with DAG(f"today_{kind}", schedule=None, **dag_arguments):
        start = HttpOperator(
            task_id="start",
            http_conn_id="freddy_http",
            endpoint=RESPONSE,
            data=json.dumps(BODY),
            headers={"Content-Type": "application/json"},
            response_filter=lambda response: response.json()["id"],
        )
        # It cannot be deferrable: HttpSensor's trigger looks at the HTTP status only.
        start >> HttpSensor(
            task_id="ask",
            http_conn_id="freddy_http",
            endpoint=RESPONSE + "/{{ ti.xcom_pull(task_ids='start') }}?organizationId=" + ORGANIZATION,
            response_check=is_final,
            poke_interval=0.5,
            on_failure_callback=cancel_response,
            **TASK_KINDS.get(kind, {}),
        )
        if kind == "fail_fast":
            task(stumble)()
