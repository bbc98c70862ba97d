"""
A fast stand-in for Freddy and for the APIs of the peers: raw HTTP/1.1 on ``asyncio.Protocol``.

The fake of ``airflow_provider_freddy.testing`` says everything right, but takes longer for an answer than the clients
that are measured here. This one knows three methods and keeps no response: the id carries the behaviour.

- ``run-*`` runs until it is cancelled
- ``dur-3000-*`` is completed 3,000 ms after the first look at it
- ``s429-*`` answers 429 to everything, ``s401-*`` 401, and so on

A created response gets the ``model`` as the beginning of its id. ``/sensor/{id}`` answers as the HTTP sensor wants it
(404 while it runs), ``/api/2.x/jobs/runs/get`` as Databricks does. ``GET /_stats`` tells what has come in since the
last ``POST /_reset``.

Run by :class:`bench.stub_process.Stub`; ends when its standard input does.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import re
import resource
import ssl
import sys
import time
from collections import Counter
from contextlib import suppress
from typing import Any, cast

HOST = "127.0.0.1"
_REASONS = {200: "OK", 401: "Unauthorized", 404: "Not Found", 409: "Conflict", 429: "Too Many Requests"}
_RESPONSE = re.compile(r"/v1/model/response/([^/?]+)")
_LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)
# What a real answer has beside its status; brings a reply to some 600 bytes.
_MORE = {
    "model": "stub",
    "usage": {"input_tokens": 420, "output_tokens": 1337, "total_tokens": 1757},
    "thread": {"id": "thread_0123456789abcdef", "messageCount": 2},
    "metadata": {"dag": "bench", "run": "manual__2030-01-01T00:00:00+00:00", "task": "ask", "try": "1"},
    "filler": "x" * 180,
}


class Journal:
    """What has come in since the last reset. Times are of the monotonic clock, which all processes share."""

    def __init__(self) -> None:
        self.open = 0
        self.first_look: dict[str, float] = {}
        self.cancelled: set[str] = set()
        self._last_look: dict[str, float] = {}
        self.reset()

    def reset(self) -> None:
        """Forget all counts; what is running, and when it was looked at last, stays known."""
        self.since = time.monotonic()
        self.accepted = 0
        self.most_open = self.open
        self.methods: Counter[str] = Counter()
        self.gaps: list[float] = []
        self.looked_at: dict[str, float] = {}
        self.deleted: dict[str, float] = {}
        self.created: dict[str, float] = {}
        self.looks: list[float] = []

    def look(self, key: str, now: float) -> None:
        """Note a look at a response, and the time since the last one."""
        self.looks.append(now)
        self.looked_at.setdefault(key, now)
        if (before := self._last_look.get(key)) is not None:
            self.gaps.append(now - before)
        self._last_look[key] = now

    def stats(self) -> dict[str, Any]:
        """Return all of it as JSON-compatible values."""
        return {
            "seconds": time.monotonic() - self.since,
            "accepted": self.accepted,
            "open": self.open,
            "most_open": self.most_open,
            "methods": dict(self.methods),
            "gaps": [round(gap, 4) for gap in self.gaps],
            "first_looks": sorted(self.looked_at.values()),
            "deleted": self.deleted,
            "created": self.created,
            "first_look_since": {
                name: moment
                for name, moment in self.first_look.items()
                if moment >= self.since and name.startswith("dur-")
            },
            "looks": len(self.looks),
            "look_times": self.looks[-100_000:],
        }


class Answers:
    """
    Says what each request is answered with.

    :param journal: where it is noted.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._numbers = itertools.count(1)

    def answer(self, method: str, target: str, body: bytes) -> tuple[int, dict[str, Any]]:
        """
        Return HTTP status and body.

        :param method: GET, DELETE or POST.
        :param target: path and query.
        :param body: the body of the request.
        """
        if target.startswith("/_"):
            return self._control(target)
        now = time.monotonic()
        self._journal.methods[method] += 1
        if method == "GET":
            # Databricks puts the id into the body of a GET.
            self._journal.look(f"{target} {body.decode()}" if body else target, now)
        if match := _RESPONSE.match(target):
            return self._response(method, match[1], now)
        if method == "POST":
            return self._create(body, now)
        if target.startswith("/sensor/"):
            status, response = self._response(method, target.rpartition("/")[2].partition("?")[0], now)
            return (404 if response.get("status") == "processing" else status), response
        return 200, {"state": {"life_cycle_state": "RUNNING", "result_state": "", "state_message": ""}, **_MORE}

    def _control(self, target: str) -> tuple[int, dict[str, Any]]:
        if target == "/_looked_at":
            return 200, {"looked_at": len(self._journal.looked_at)}
        stats = self._journal.stats()
        if target == "/_reset":
            self._journal.reset()
        return 200, stats

    def _create(self, body: bytes, now: float) -> tuple[int, dict[str, Any]]:
        model = json.loads(body).get("model") or "run"
        response_id = f"{model}-{next(self._numbers)}"
        self._journal.created[response_id] = now
        return 200, {"id": response_id, "status": "queued", "created_at": int(time.time())}

    def _response(self, method: str, response_id: str, now: float) -> tuple[int, dict[str, Any]]:
        kind, _, rest = response_id.partition("-")
        if method == "DELETE":
            self._journal.deleted.setdefault(response_id, now)
        if kind[:1] == "s" and kind[1:].isdecimal():
            return int(kind[1:]), {"error": {"message": "As asked for.", "type": "stub", "code": "stub"}}
        if method == "DELETE":
            if response_id in self._journal.cancelled:
                error = {"message": "Response already completed or cancelled", "code": "response_already_finalized"}
                return 409, {"error": {**error, "type": "invalid_request_error"}}
            self._journal.cancelled.add(response_id)
            return 200, {"id": response_id, "object": "response", "status": "cancelled", "cancelledAt": 1735689610}
        first = self._journal.first_look.setdefault(response_id, now)
        began = int(time.time() - (now - first))
        status = "cancelled" if response_id in self._journal.cancelled else "processing"
        if kind == "dur" and now - first >= int(rest.partition("-")[0]) / 1000:
            status = "completed"
        return 200, {"id": response_id, "status": status, "createdAt": began, "startedAt": began, **_MORE}


class Connection(asyncio.Protocol):
    """
    One connection: splits what comes into requests and answers them in order.

    :param answers: what to answer.
    :param journal: counts the connections.
    :param delay: seconds before an answer leaves.
    """

    def __init__(self, answers: Answers, journal: Journal, delay: float) -> None:
        self._answers = answers
        self._journal = journal
        self._delay = delay
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count it."""
        # That of uvloop is one in all but its class.
        self._transport = cast(asyncio.Transport, transport)
        self._journal.accepted += 1
        self._journal.open += 1
        self._journal.most_open = max(self._journal.most_open, self._journal.open)

    def connection_lost(self, exc: Exception | None) -> None:
        """Count it no more."""
        self._journal.open -= 1

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete."""
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end]
            length = int(match[1]) if (match := _LENGTH.search(head)) else 0
            if len(self._received) < end + 4 + length:
                return
            body = self._received[end + 4 : end + 4 + length]
            self._received = self._received[end + 4 + length :]
            method, target, _ = head.partition(b"\r\n")[0].decode("latin-1").split(" ", 2)
            reply = _reply(*self._answers.answer(method, target, body))
            if self._delay and not target.startswith("/_"):
                asyncio.get_running_loop().call_later(self._delay, self._send, reply)
            else:
                self._send(reply)

    def _send(self, reply: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(reply)


def _reply(status: int, body: dict[str, Any]) -> bytes:
    content = json.dumps(body, separators=(",", ":")).encode()
    head = (
        f"HTTP/1.1 {status} {_REASONS.get(status, 'Stub')}\r\ncontent-type: application/json\r\n"
        f"x-request-id: req_stub\r\ncontent-length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


async def serve(delay: float, certificate: str | None) -> None:
    """
    Serve until standard input ends; the port is the first line of standard output.

    :param delay: seconds before an answer leaves.
    :param certificate: a file with certificate and key, for https.
    """
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    journal = Journal()
    answers = Answers(journal)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(answers, journal, delay), HOST, 0, ssl=context, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    # Whoever has started this process holds the other end: when they are gone, so is this.
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


def main() -> None:
    """Start the server that the arguments describe."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--certificate")
    arguments = parser.parse_args()
    with suppress(ImportError, KeyboardInterrupt):
        import uvloop

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    with suppress(KeyboardInterrupt):
        asyncio.run(serve(arguments.delay, arguments.certificate))


if __name__ == "__main__":
    main()
