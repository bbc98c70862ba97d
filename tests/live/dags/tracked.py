"""A task that starts its response by a plain request and has it tracked; how it dies comes with the conf."""

from __future__ import annotations

import time
from typing import Any

from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_freddy.hooks.freddy import FreddyHook

with DAG("tracked", schedule=None):

    @task
    def ask(dag_run: Any = None, run_id: Any = None) -> None:
        import requests

        hook = FreddyHook()
        reply = requests.post(
            f"{hook.settings.base_url}/v1/model/response",
            headers={"Authorization": f"Bearer {hook.settings.api_key}"},
            json={
                "organization_id": hook.organization(),
                "inputs": [{"role": "user", "content": "hello"}],
                "background": True,
                "metadata": {"run": run_id, "try": "1", "fake_duration": 300},
            },
            timeout=30,
        )
        response_id = reply.json()["id"]
        hook.track_response(response_id)
        if dag_run.conf.get("how") == "raise":
            raise RuntimeError("the task's own error")
        while not hook.get_response(response_id).is_final:
            time.sleep(0.3)

    ask()
