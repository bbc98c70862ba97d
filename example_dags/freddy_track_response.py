"""
A response that something else has started, here a plain HTTP request as the vendor's SDK or curl sends it.

``track_response`` makes it the task's own: it ends with the task, unless the task ends well.
"""

from __future__ import annotations

from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_freddy.hooks.freddy import FreddyHook

with DAG("freddy_track_response", schedule=None, catchup=False, tags=["freddy"]):

    @task
    def ask() -> None:
        """Start a response by hand, and fail."""
        hook = FreddyHook()
        reply = hook.get_conn().post(
            f"{hook.settings.base_url}/v1/model/response",
            json={
                "organization_id": hook.organization(),
                "inputs": [{"role": "user", "content": "Write a novel."}],
                "background": True,
            },
            timeout=30,
        )
        reply.raise_for_status()
        hook.track_response(reply.json()["id"])
        raise RuntimeError("the database went away")

    ask()
