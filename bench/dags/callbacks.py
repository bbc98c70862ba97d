"""Tasks that fail, each with another way of cancelling in its ``on_failure_callback``."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, task

from airflow_provider_freddy.callbacks import CancelResponseCallback, cancel_response_on_failure

ORGANIZATION = "org_bench"


def path(response_id: str) -> str:
    """Return path and query of a response."""
    return f"v1/model/response/{response_id}?organizationId={ORGANIZATION}"


def note(name: str) -> None:
    """Note a moment in a file: it has to be taken in the task's own process."""
    Path(os.environ["FREDDY_BENCH_MOMENTS"], name).write_text(repr(time.monotonic()))


def fail() -> None:
    """Fail."""
    note("raised")
    raise RuntimeError("as intended")


def note_callback(context: Any) -> None:
    """Be the first callback: everything before it is Airflow's own."""
    note("callback")


def delete_with_http_hook(context: Any) -> None:
    """Cancel as a user of the HTTP provider does."""
    from airflow.providers.http.hooks.http import HttpHook

    HttpHook(method="DELETE").run(path("run-http"))


def delete_with_http_client(context: Any) -> None:
    """Cancel with as little as possible."""
    import http.client

    from airflow.sdk import BaseHook

    connection = BaseHook.get_connection("http_default")
    client = http.client.HTTPConnection(str(connection.host), connection.port)
    client.request("DELETE", f"/{path('run-floor')}", headers={"Authorization": f"Bearer {connection.password}"})
    client.getresponse().read()
    client.close()


with DAG("bench_ours_created", schedule=None):

    @task(on_failure_callback=[note_callback, cancel_response_on_failure])
    def ours_created() -> None:
        """Fail in the process that has created the response."""
        from airflow_provider_freddy.hooks.freddy import FreddyHook

        FreddyHook().create_response("Hello!", model="run")
        fail()

    ours_created()

with DAG("bench_ours_given", schedule=None):

    @task(
        on_failure_callback=[
            note_callback,
            CancelResponseCallback(response_id="run-given", organization_id=ORGANIZATION),
        ]
    )
    def ours_given() -> None:
        """Fail in a process that knows nothing of the response but its id."""
        fail()

    ours_given()

with DAG("bench_http_hook", schedule=None):

    @task(on_failure_callback=[note_callback, delete_with_http_hook])
    def http_hook() -> None:
        """Fail in a process that knows nothing of the response but its id."""
        fail()

    http_hook()

with DAG("bench_http_hook_created", schedule=None):

    @task(on_failure_callback=[note_callback, delete_with_http_hook])
    def http_hook_created() -> None:
        """Fail in the process that has created the response with the same hook."""
        from airflow.providers.http.hooks.http import HttpHook

        HttpHook(method="POST").run("v1/model/response", json={"model": "run"})
        fail()

    http_hook_created()

with DAG("bench_floor", schedule=None):

    @task(on_failure_callback=[note_callback, delete_with_http_client])
    def floor() -> None:
        """Fail in a process that knows nothing of the response but its id."""
        fail()

    floor()
