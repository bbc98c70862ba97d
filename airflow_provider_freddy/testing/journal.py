"""What ran, for how long and what ended it; and every request. Safe to use from any thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from airflow_provider_freddy.testing.lifecycle import Life, Plan, Status

CREDENTIAL_HEADERS = frozenset({"authorization", "x-api-key", "api-key", "cookie"})


@dataclass(frozen=True)
class ResponseRecord:
    """
    A response as it is at the moment of asking. All times are Unix seconds.

    ``ended_by`` is None while it is not final, then ``completed``, ``failed`` or the ``x-request-id`` of the
    request that cancelled it; ``cancelled_by_client`` is that request's User-Agent. ``parameters`` is what the
    create's body has beside ``organization_id``, ``inputs`` and ``metadata``.
    """

    id: str
    organization_id: str
    status: Status
    created_at: float
    started_at: float | None
    ended_at: float | None
    ran_seconds: float
    percentage: int
    ended_by: str | None
    cancelled_by_client: str | None
    metadata: dict[str, Any]
    inputs: list[Any]
    parameters: dict[str, Any]


@dataclass(frozen=True)
class RequestRecord:
    """
    One request. ``status`` stays None if no reply was sent, ``duration_ms`` while there is none yet.

    ``client`` is the host and port of the other end, so that distinct connections can be counted.
    """

    at: float
    method: str
    path: str
    response_id: str | None
    status: int | None
    duration_ms: int | None
    request_id: str
    client: tuple[str, int]
    auth_scheme: str | None
    user_agent: str | None
    query: dict[str, str]
    headers: dict[str, str]


@dataclass
class _Response:
    id: str
    life: Life
    body: dict[str, Any]
    cancel_request_id: str | None = None
    cancel_user_agent: str | None = None

    def record(self, now: float) -> ResponseRecord:
        status = self.life.status(now)
        known = {"organization_id", "inputs", "metadata"}
        return ResponseRecord(
            id=self.id,
            organization_id=self.body["organization_id"],
            status=status,
            created_at=self.life.created_at,
            started_at=self.life.started_at(now),
            ended_at=self.life.ended_at(now),
            ran_seconds=self.life.ran_seconds(now),
            percentage=self.life.percentage(now),
            ended_by=self.cancel_request_id or (status if self.life.is_final(now) else None),
            cancelled_by_client=self.cancel_user_agent,
            metadata=self.body.get("metadata") or {},
            inputs=self.body["inputs"],
            parameters={name: value for name, value in self.body.items() if name not in known},
        )


@dataclass
class Journal:
    """
    The fake's memory. What it is given is stripped of every API key that it knows of.

    :param clock: Tells the time in Unix seconds.
    """

    clock: Callable[[], float] = time.time
    _keys: set[str] = field(default_factory=set)
    _responses: dict[str, _Response] = field(default_factory=dict)
    _requests: dict[str, RequestRecord] = field(default_factory=dict)
    _connections: int = 0
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def conceal(self, key: str) -> None:
        """Keep an API key out of all that is noted from now on."""
        with self._lock:
            self._keys.add(key)

    def created(self, response_id: str, plan: Plan, body: Mapping[str, Any]) -> ResponseRecord:
        """Note a new response, which begins its life now."""
        with self._lock:
            now = self.clock()
            response = _Response(response_id, Life(plan, now), self._without_keys(dict(body)))
            self._responses[response_id] = response
            return response.record(now)

    def cancel(self, response_id: str, request_id: str, user_agent: str | None) -> Status | None:
        """
        Cancel a response if it is being processed.

        :param response_id: The response.
        :param request_id: The ``x-request-id`` of the request that cancels.
        :param user_agent: That request's User-Agent.
        :return: The status that it had before: only ``processing`` was cancelled; None if there is none.
        """
        with self._lock:
            response = self._responses.get(response_id)
            if response is None:
                return None
            now = self.clock()
            status = response.life.status(now)
            if status == "processing":
                response.life = response.life.cancelled(now)
                response.cancel_request_id = request_id
                response.cancel_user_agent = self._without_keys(user_agent)
            return status

    def response(self, response_id: str) -> ResponseRecord | None:
        """Return a response as it is now, None if there is none."""
        with self._lock:
            response = self._responses.get(response_id)
            return response.record(self.clock()) if response else None

    def responses(self) -> list[ResponseRecord]:
        """Return all responses as they are now, oldest first."""
        with self._lock:
            now = self.clock()
            return [response.record(now) for response in self._responses.values()]

    def left_running(self) -> list[str]:
        """Return the ids of the responses that are not final now."""
        return [record.id for record in self.responses() if record.ended_at is None]

    def received(self, request: RequestRecord) -> None:
        """Note a request that has arrived."""
        headers = {name: value for name, value in request.headers.items() if name not in CREDENTIAL_HEADERS}
        with self._lock:
            self._requests[request.request_id] = replace(
                request,
                path=self._without_keys(request.path),
                response_id=self._without_keys(request.response_id),
                user_agent=self._without_keys(request.user_agent),
                query=self._without_keys(request.query),
                headers=self._without_keys(headers),
            )

    def amend(self, request_id: str, **changes: Any) -> None:
        """Complete what is noted of a request; one that was forgotten since stays so."""
        with self._lock:
            if request := self._requests.get(request_id):
                self._requests[request_id] = replace(request, **changes)

    def requests(self) -> list[RequestRecord]:
        """Return all requests in the order of their arrival."""
        with self._lock:
            return list(self._requests.values())

    def connected(self) -> None:
        """Note a TCP connection."""
        with self._lock:
            self._connections += 1

    def connections(self) -> int:
        """Return the number of TCP connections so far."""
        with self._lock:
            return self._connections

    def forget(self) -> None:
        """Start anew, but for the keys to keep out."""
        with self._lock:
            self._responses.clear()
            self._requests.clear()
            self._connections = 0

    def as_json(self) -> dict[str, Any]:
        """Return the whole journal in the types of JSON."""
        return {
            "responses": _dicts(self.responses()),
            "requests": _dicts(self.requests()),
            "left_running": self.left_running(),
            "connections": self.connections(),
        }

    def _without_keys(self, value: Any) -> Any:
        if isinstance(value, str):
            for key in self._keys:
                value = value.replace(key, "***")
            return value
        if isinstance(value, Mapping):
            return {self._without_keys(name): self._without_keys(item) for name, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._without_keys(item) for item in value]
        return value


def _dicts(records: Iterable[Any]) -> list[dict[str, Any]]:
    return [asdict(record) for record in records]
