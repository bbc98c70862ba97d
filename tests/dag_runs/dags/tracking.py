"""A response that the provider has not started itself: by the vendor's SDK, or by a plain request as curl sends it."""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_freddy.hooks.freddy import FreddyHook


def by_sdk(hook: FreddyHook) -> str:
    from aitronos import Aitronos, InputMessage

    client = Aitronos(api_key=hook.settings.api_key, base_url=hook.settings.base_url)
    response = client.responses.create_response(
        organization_id=hook.organization(),
        inputs=[InputMessage(role="user", content="hello")],
        request_options={"additional_body_parameters": {"background": True}},
    )
    return response["id"]


def by_request(hook: FreddyHook) -> str:
    import requests

    reply = requests.post(
        f"{hook.settings.base_url}/v1/model/response",
        headers={"Authorization": f"Bearer {hook.settings.api_key}"},
        json={
            "organization_id": hook.organization(),
            "inputs": [{"role": "user", "content": "hello"}],
            "background": True,
        },
        timeout=30,
    )
    reply.raise_for_status()
    return reply.json()["id"]


with DAG("track_a_response", schedule=None):

    @task
    def ask(dag_run: Any = None) -> None:
        hook = FreddyHook()
        start = by_sdk if dag_run.conf["by"] == "sdk" else by_request
        hook.track_response(start(hook))
        if dag_run.conf["how"] == "fail":
            raise RuntimeError("the task's own error")

    ask()
