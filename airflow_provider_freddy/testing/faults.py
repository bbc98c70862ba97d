"""Faults on demand: what can go wrong between a client and Freddy."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from airflow_provider_freddy.testing.errors import BODIES, error_body

Work = Callable[[], Awaitable[Response]]

_WITHOUT_BODY = {204, 304}
_GARBAGE = {
    "html": (
        b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>",
        "text/html",
    ),
    "empty": (b"", "application/json"),
    "not_json": (b"upstream connect error or disconnect", "application/json"),
    "truncated": (b'{"id": "resp_', "application/json"),
    # Every field that a client may look at has another type than it has to have.
    "wrong_shape": (
        b'{"id": 42, "status": ["processing"], "error": "none", "created_at": "yesterday", "usage": []}',
        "application/json",
    ),
    "huge": (b'{"id": "resp_' + b"0" * 5 * 1024 * 1024, "application/json"),
}


class Misbehaviour(Protocol):
    """What happens to a request in place of a plain reply."""

    async def reply(self, request: Request, work: Work) -> Response | None:
        """Return what to send, None if the connection is gone; ``work`` does what was asked for."""


@dataclass(frozen=True)
class StatusFault:
    """
    An HTTP status without the work being done.

    :param status: HTTP status.
    :param code: The error's ``code``; by default the contract's for the status.
    :param message: The error's ``message``; by default the contract's for the status.
    :param retry_after: ``Retry-After`` in seconds or as an HTTP date; by default there is none.
    :param body: The whole body, text as it is and all else as JSON; by default an error of the contract's shape.
    """

    status: int
    code: str | None = None
    message: str | None = None
    retry_after: float | str | None = None
    body: Any = None

    def __post_init__(self) -> None:
        if not 200 <= self.status <= 599:
            raise ValueError(f"status is an HTTP status from 200 to 599, not {self.status}")

    async def reply(self, request: Request, work: Work) -> Response:
        """Return the status without doing the work."""
        response = self._response()
        if self.retry_after is not None:
            after = self.retry_after
            response.headers["retry-after"] = after if isinstance(after, str) else f"{after:g}"
        return response

    def _response(self) -> Response:
        if self.status in _WITHOUT_BODY:
            return Response(status_code=self.status)
        if isinstance(self.body, str):
            return Response(self.body, self.status, media_type="text/plain")
        return JSONResponse(self._error() if self.body is None else self.body, self.status)

    def _error(self) -> dict[str, Any]:
        usual = BODIES.get(self.status) or BODIES[500 if self.status >= 500 else 400]
        error = usual["error"]
        return error_body(
            error["type"], self.code or error["code"], self.message or error["message"], error.get("param")
        )


@dataclass(frozen=True)
class DropBefore:
    """The connection is closed without any reply, and the work is not done."""

    async def reply(self, request: Request, work: Work) -> None:
        """Close the connection."""
        await _drop(request)


@dataclass(frozen=True)
class DropAfter:
    """The work is done, and the connection closed without any reply."""

    async def reply(self, request: Request, work: Work) -> None:
        """Do the work and close the connection."""
        await work()
        await _drop(request)


@dataclass(frozen=True)
class Delay:
    """
    All is well, but late.

    :param seconds: How late.
    :param after: Wait after the work is done, in place of before.
    """

    seconds: float
    after: bool = False

    def __post_init__(self) -> None:
        if not self.seconds >= 0:
            raise ValueError(f"seconds is a time from 0, not {self.seconds}")

    async def reply(self, request: Request, work: Work) -> Response:
        """Do the work, before or after a rest."""
        if not self.after:
            await asyncio.sleep(self.seconds)
        response = await work()
        if self.after:
            await asyncio.sleep(self.seconds)
        return response


@dataclass(frozen=True)
class Garbage:
    """
    A reply that is none.

    :param body: ``html``, ``empty``, ``not_json``, ``truncated``, ``wrong_shape`` or ``huge`` (5 MB).
    :param status: HTTP status.
    :param work: Whether the work is done.
    """

    body: Literal["html", "empty", "not_json", "truncated", "wrong_shape", "huge"]
    status: int = 200
    work: bool = True

    def __post_init__(self) -> None:
        if self.body not in _GARBAGE:
            raise ValueError(f"body is one of {', '.join(_GARBAGE)}, not {self.body!r}")

    async def reply(self, request: Request, work: Work) -> Response:
        """Return the garbage, with or without doing the work."""
        if self.work:
            await work()
        content, media_type = _GARBAGE[self.body]
        return Response(content, self.status, media_type=media_type)


@dataclass(frozen=True)
class Hang:
    """No answer for as long as the client and the fake live; the work is not done."""

    async def reply(self, request: Request, work: Work) -> None:
        """Wait for the end of the connection."""
        await _disconnected(request)


async def _drop(request: Request) -> None:
    request.state.transport.abort()
    # Until the server has taken notice, it would answer for us with a 500.
    await _disconnected(request)


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


KINDS: Mapping[str, Callable[..., Misbehaviour]] = {
    "status": StatusFault,
    "drop_before": DropBefore,
    "drop_after": DropAfter,
    "delay": Delay,
    "garbage": Garbage,
    "hang": Hang,
}


@dataclass
class _Armed:
    misbehaviour: Misbehaviour
    method: str | None
    response_id: str | None
    times: int | None

    def matches(self, method: str, response_id: str | None) -> bool:
        return self.method in {None, method} and self.response_id in {None, response_id}


@dataclass
class Faults:
    """The faults that wait for their requests, oldest first. Safe to use from any thread."""

    _armed: list[_Armed] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(
        self,
        kind: str,
        method: str | None = None,
        response_id: str | None = None,
        times: int | None = 1,
        **options: Any,
    ) -> None:
        """
        Have requests go wrong.

        :param kind: A key of ``KINDS``.
        :param method: Only requests with this HTTP method; None for any.
        :param response_id: Only requests about this response; None for any.
        :param times: How many requests; None for all until the faults are cleared.
        :param options: What the kind has to be told.
        :raises ValueError: An unknown kind, or an option that makes no sense.
        :raises TypeError: An option that the kind does not have or that is missing.
        """
        if kind not in KINDS:
            raise ValueError(f"kind is one of {', '.join(KINDS)}, not {kind!r}")
        if times is not None and times < 1:
            raise ValueError(f"times is a number from 1 or None, not {times}")
        fault = _Armed(KINDS[kind](**options), method and method.upper(), response_id, times)
        with self._lock:
            self._armed.append(fault)

    def take(self, method: str, response_id: str | None) -> Misbehaviour | None:
        """Return what goes wrong with a request, None if nothing does; it counts as one time."""
        with self._lock:
            for fault in self._armed:
                if fault.matches(method, response_id):
                    if fault.times is not None:
                        fault.times -= 1
                    self._armed = [left for left in self._armed if left.times != 0]
                    return fault.misbehaviour
        return None

    def clear(self) -> None:
        """Let all requests go well again."""
        with self._lock:
            self._armed.clear()
