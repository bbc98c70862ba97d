"""What is counted, as it comes out of a real socket."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_provider_freddy import metrics
from airflow_provider_freddy.bulk import CancelTarget, cancel_all
from airflow_provider_freddy.exceptions import FreddyError
from airflow_provider_freddy.hooks.freddy import FreddyHook
from airflow_provider_freddy.hooks.shared_client import shared_client
from airflow_provider_freddy.testing import FakeFreddy
from tests.airflow_versions import drop_metrics, send_metrics
from tests.unit.test_rules import started_elsewhere, task

__all__ = ["task"]


@pytest.fixture
def run_id(request: pytest.FixtureRequest) -> str:
    return request.node.nodeid


@pytest.fixture
def received(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[str]]]:
    """Have Airflow send its metrics to a socket, and read what has come of ours."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.setblocking(False)
        for name, value in {"ON": "True", "HOST": "127.0.0.1", "PORT": str(server.getsockname()[1])}.items():
            monkeypatch.setenv(f"AIRFLOW__METRICS__STATSD_{name}", value)
        send_metrics()

        def read() -> list[str]:
            lines = []
            while True:
                try:
                    lines.append(server.recv(4096).decode().removeprefix("airflow."))
                except BlockingIOError:
                    return [line for line in lines if line.startswith("freddy.")]

        yield read
    drop_metrics()


def names(lines: list[str]) -> list[str]:
    return [line.split(":")[0] for line in lines]


def test_a_response_from_start_to_end(fake_freddy_connection: FakeFreddy, received: Callable[[], list[str]]) -> None:
    hook = FreddyHook()
    response_id = hook.create_response("hello").id
    assert received() == ["freddy.responses.created:1|c"]
    hook.cancel_response(response_id)
    counted, timed = received()
    assert counted == "freddy.responses.cancelled:1|c"
    name, value = timed.split(":")
    assert name == "freddy.responses.cancel_latency"
    assert value.endswith("|ms")
    assert 0 < float(value.removesuffix("|ms")) < 5000
    hook.cancel_response(response_id)
    assert received() == ["freddy.responses.already_finalized:1|c"]


def test_a_cancel_that_fails_is_counted_and_a_response_that_is_none_is_not(
    fake_freddy_connection: FakeFreddy, received: Callable[[], list[str]]
) -> None:
    hook = FreddyHook()
    fake_freddy_connection.fault("status", method="DELETE", status=403, code="insufficient_permissions")
    for _ in range(2):
        with pytest.raises(FreddyError):
            hook.cancel_response("resp_none")
    assert received() == ["freddy.responses.cancel_failed:1|c"]


def test_many_at_once(fake_freddy_connection: FakeFreddy, received: Callable[[], list[str]]) -> None:
    ids = started_elsewhere(3)
    received()
    assert len(list(FreddyHook().cancel_responses(ids))) == 3
    assert names(received()) == ["freddy.responses.cancelled"] * 3


def test_in_a_triggerer(fake_freddy_connection: FakeFreddy, received: Callable[[], list[str]]) -> None:
    from airflow_provider_freddy.hooks.shared_client import shared_client

    (response_id,) = started_elsewhere()
    received()

    async def cancel() -> None:
        with shared_client("freddy_default") as client:
            await client.cancel(response_id, None, 10)
            await (await client.exchange()).sender.close()

    asyncio.run(cancel())
    assert names(received()) == ["freddy.responses.cancelled", "freddy.responses.cancel_latency"]


def test_in_a_signal_handler_nothing_is_sent_until_the_task_ends(
    fake_freddy_connection: FakeFreddy, received: Callable[[], list[str]], task: dict[str, Any]
) -> None:
    from airflow_provider_freddy.arming import release_what_goes_on

    (response_id,) = started_elsewhere()
    received()
    FreddyHook().track_response(response_id)
    assert received() == ["freddy.responses.tracked:1|c"]
    task["task"].on_kill()
    assert received() == []
    release_what_goes_on()
    assert names(received()) == ["freddy.responses.cancelled", "freddy.responses.cancel_latency"]


def test_metrics_that_cannot_be_sent_disturb_nobody(
    fake_freddy_connection: FakeFreddy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "airflow_stats", lambda: 1 / 0)
    hook = FreddyHook()
    hook.cancel_response(hook.create_response("hello").id)
    assert fake_freddy_connection.left_running == []


def test_a_cancel_that_cannot_even_be_tried_is_counted(
    received: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_FREDDY_DEFAULT", '{"conn_type": "freddy"}')
    outcomes = cancel_all([CancelTarget("resp_1", FreddyHook())], 5)
    assert "has no API key" in str(outcomes["resp_1"])
    assert received() == ["freddy.responses.cancel_failed:1|c"]

    async def in_triggerer() -> None:
        with shared_client("freddy_default") as client, pytest.raises(FreddyError):
            await client.cancel("resp_1", None, 5)

    asyncio.run(in_triggerer())
    assert received() == ["freddy.responses.cancel_failed:1|c"]


def test_a_cancel_that_does_not_come_back_is_counted(received: Callable[[], list[str]]) -> None:
    class Stuck:
        freddy_conn_id = "freddy_default"
        is_resolved = True

        def resolve(self) -> None:
            """Is done."""

        def cancel_response(self, response_id: str, **_: Any) -> Any:
            time.sleep(5)

    outcomes = cancel_all([CancelTarget("resp_1", Stuck())], 0.1)
    assert "MAY STILL RUN" in str(outcomes["resp_1"])
    assert received() == ["freddy.responses.cancel_failed:1|c"]
