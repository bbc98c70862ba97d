"""The journal and the faults for other processes, under ``/_fake/``; no key, but from this machine only."""

from __future__ import annotations

import functools
import ipaddress
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from airflow_provider_freddy.testing.faults import Faults
from airflow_provider_freddy.testing.journal import Journal


@dataclass(frozen=True)
class Control:
    """
    The control routes, whose requests are not noted.

    :param journal: What to tell.
    :param faults: What to set.
    :param reset: Makes the fake forget everything.
    """

    journal: Journal
    faults: Faults
    reset: Callable[[], None]

    def routes(self) -> list[Route]:
        """Return the routes, always at the root whatever the base path of the API is."""
        return [
            Route("/_fake/journal", _local(self._journal), methods=["GET"]),
            Route("/_fake/left_running", _local(self._left_running), methods=["GET"]),
            Route("/_fake/faults", _local(self._add_fault), methods=["POST"]),
            Route("/_fake/faults", _local(self._clear_faults), methods=["DELETE"]),
            Route("/_fake/reset", _local(self._reset), methods=["POST"]),
        ]

    async def _journal(self, request: Request) -> Response:
        return JSONResponse(self.journal.as_json())

    async def _left_running(self, request: Request) -> Response:
        return JSONResponse({"left_running": self.journal.left_running()})

    async def _add_fault(self, request: Request) -> Response:
        try:
            self.faults.add(**json.loads(await request.body()))
        except (TypeError, ValueError) as error:
            return JSONResponse({"detail": str(error)}, 422)
        return Response(status_code=204)

    async def _clear_faults(self, request: Request) -> Response:
        self.faults.clear()
        return Response(status_code=204)

    async def _reset(self, request: Request) -> Response:
        self.reset()
        return Response(status_code=204)


def _local(
    handler: Callable[[Request], Awaitable[Response]],
) -> Callable[[Request], Awaitable[Response]]:
    @functools.wraps(handler)
    async def endpoint(request: Request) -> Response:
        if request.client is None or not ipaddress.ip_address(request.client.host).is_loopback:
            return JSONResponse({"detail": "Only from this machine"}, 403)
        return await handler(request)

    return endpoint
