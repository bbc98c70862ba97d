"""The triggers that :mod:`bench.wait_scale` and :mod:`bench.real_triggerer` compare, and the floors below them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from importlib.util import find_spec
from typing import Any, ClassVar

from airflow.triggers.base import BaseTrigger, TriggerEvent

from bench.stub_process import KEY, ORGANIZATION

PERIOD = 5.0
OURS = "ResponseTrigger"
SLEEP = "sleep only"
SHARED = "shared aiohttp session"
LOOK_UP = "shared session, one look-up"
BARE = "hand-written HTTP"
SENSOR = "http sensor"
EVENT = "http event"
DATABRICKS = "databricks"
SOCKETS = 64


def _path(response_id: str) -> str:
    return f"/v1/model/response/{response_id}?organizationId={ORGANIZATION}"


async def not_yet(_: Any) -> bool:  # ruff: ignore[unused-async]
    """Be the check of the HTTP event trigger: the response has not ended."""
    return False


class _Floor(BaseTrigger):
    """A trigger that polls for ever."""

    def __init__(self, response_id: str, url: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.response_id = response_id
        self.url = url

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return its class and arguments."""
        return f"bench.waiting.{type(self).__name__}", {"response_id": self.response_id, "url": self.url}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll."""
        while True:
            await self.poll()
            await asyncio.sleep(PERIOD)
        yield TriggerEvent(None)

    async def poll(self) -> None:
        """Look once."""


class SleepTrigger(_Floor):
    """Does nothing: what Airflow itself takes for a trigger."""


class SharedSessionTrigger(_Floor):
    """Polls over one aiohttp session: the least that a library's user can do."""

    sessions: ClassVar[dict[str, Any]] = {}

    async def poll(self) -> None:
        """Look once."""
        import aiohttp

        if self.url not in self.sessions:
            connector = aiohttp.TCPConnector(limit=SOCKETS, keepalive_timeout=60)
            self.sessions[self.url] = aiohttp.ClientSession(connector=connector)
        headers = {"Authorization": f"Bearer {KEY}"}
        async with self.sessions[self.url].get(self.url + _path(self.response_id), headers=headers) as reply:
            await reply.json()


class LookUpTrigger(SharedSessionTrigger):
    """Does the same, and the first of all looks the connection up: what no provider in the triggerer can do without."""

    looked_up: ClassVar[asyncio.Task[Any] | None] = None

    async def poll(self) -> None:
        """Look once."""
        from airflow.sdk import BaseHook

        if LookUpTrigger.looked_up is None:
            LookUpTrigger.looked_up = asyncio.create_task(BaseHook.aget_connection("freddy_default"))
        await LookUpTrigger.looked_up
        await super().poll()


class BareTrigger(_Floor):
    """Polls with HTTP written by hand over a pool of connections: the least that can be done."""

    pool: ClassVar[asyncio.LifoQueue[Any] | None] = None

    async def poll(self) -> None:
        """Look once."""
        import json

        if BareTrigger.pool is None:
            BareTrigger.pool = asyncio.LifoQueue()
            for _ in range(SOCKETS):
                BareTrigger.pool.put_nowait(None)
        pool = BareTrigger.pool
        pair = await pool.get()
        if pair is None:
            host, _, port = self.url.partition("://")[2].partition(":")
            pair = await asyncio.open_connection(host, int(port))
        reader, writer = pair
        writer.write(
            f"GET {_path(self.response_id)} HTTP/1.1\r\nHost: stub\r\nAuthorization: Bearer {KEY}\r\n\r\n".encode()
        )
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        json.loads(await reader.readexactly(length))
        pool.put_nowait(pair)


def ours(response_id: str, url: str) -> BaseTrigger:
    """Return the provider's trigger."""
    from airflow_provider_freddy.triggers.freddy import ResponseTrigger

    trigger: BaseTrigger = ResponseTrigger(
        response_id=response_id,
        organization_id=ORGANIZATION,
        freddy_conn_id="freddy_default",
        poll_interval=PERIOD,
    )
    return trigger


def http_sensor(response_id: str, url: str) -> BaseTrigger:
    """Return the trigger of the deferrable ``HttpSensor``."""
    from airflow.providers.http.triggers.http import HttpSensorTrigger

    return HttpSensorTrigger(endpoint=f"sensor/{response_id}", poke_interval=PERIOD)


def http_event(response_id: str, url: str) -> BaseTrigger:
    """Return the HTTP provider's trigger for events."""
    from airflow.providers.http.triggers.http import HttpEventTrigger

    class Trigger(HttpEventTrigger):
        """Reads its check without loading the module anew, which here would be this one."""

        async def _import_from_response_check_path(self) -> Any:
            return not_yet

    return Trigger("bench.waiting.not_yet", endpoint=_path(response_id)[1:], poll_interval=PERIOD)


def databricks(response_id: str, url: str) -> BaseTrigger:
    """Return the trigger of the deferrable Databricks operators."""
    from airflow.providers.databricks.triggers import databricks as provider

    number = int(response_id.rpartition("-")[2])
    trigger: BaseTrigger = provider.DatabricksExecutionTrigger(
        number, "databricks_default", polling_period_seconds=int(PERIOD)
    )
    return trigger


MAKERS: dict[str, Callable[[str, str], BaseTrigger]] = {
    OURS: ours,
    SLEEP: SleepTrigger,
    SHARED: SharedSessionTrigger,
    LOOK_UP: LookUpTrigger,
    BARE: BareTrigger,
    SENSOR: http_sensor,
    EVENT: http_event,
    DATABRICKS: databricks,
}


def available(names: list[str]) -> list[str]:
    """
    Return those of the triggers that are installed.

    :param names: keys of ``MAKERS``.
    """
    needs = {DATABRICKS: "airflow.providers.databricks", OURS: "airflow_provider_freddy.triggers"}
    return [name for name in names if name not in needs or _exists(needs[name])]


def _exists(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def steady_intervals() -> None:
    """Take the jitter out of our schedule: what comes late is told from what is meant to vary by nothing else."""
    from airflow_provider_freddy.core import schedule

    schedule.JITTER = 0.0
