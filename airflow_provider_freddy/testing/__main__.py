"""A fake Freddy from the command line, for as long as nobody interrupts it."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_freddy.testing import FakeFreddy
    from airflow_provider_freddy.testing.journal import RequestRecord, ResponseRecord

LOOK_EVERY_SECONDS = 0.1


@dataclass
class News:
    """
    What has happened since it was asked for last, a line for each.

    :param freddy: The fake to look at.
    """

    freddy: FakeFreddy
    _told: set[str] = field(default_factory=set)

    def lines(self) -> Iterator[str]:
        """Yield the requests that are over and the responses that have ended since the last call."""
        for request in self.freddy.requests:
            if request.duration_ms is not None and self._is_new(request.request_id):
                yield _request_line(request)
        for response in self.freddy.responses:
            if response.ended_at is not None and self._is_new(response.id):
                yield _ending_line(response)

    def _is_new(self, subject: str) -> bool:
        if subject in self._told:
            return False
        self._told.add(subject)
        return True


def _request_line(request: RequestRecord) -> str:
    about = f" {request.response_id}" if request.method == "POST" and request.response_id else ""
    reply = request.status or "no reply"
    at = _clock(request.at)
    return f"{at} {request.method} {request.path} -> {reply}{about} ({request.duration_ms} ms, {request.request_id})"


def _ending_line(response: ResponseRecord) -> str:
    by = f" by {response.ended_by} ({response.cancelled_by_client})" if response.status == "cancelled" else ""
    return f"{_clock(response.ended_at)} {response.id} {response.status} after {response.ran_seconds:.1f} s{by}"


def _clock(at: float | None) -> str:
    return time.strftime("%H:%M:%S", time.localtime(at))


def _summary(freddy: FakeFreddy) -> str:
    ended = Counter(response.status for response in freddy.responses if response.ended_at is not None)
    parts = [f"{count} {status}" for status, count in ended.items()]
    running = freddy.left_running
    parts.append(f"{len(running)} left running" + (f": {', '.join(running)}" if running else ""))
    return f"Responses: {', '.join(parts)}"


def _say(line: str) -> None:
    print(line, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_freddy.testing", description="Run a fake Freddy until interrupted."
    )
    parser.add_argument("--port", type=int, default=0, help="port to listen on (default: any that is free)")
    parser.add_argument("--duration", type=float, default=60.0, help="seconds for which a response is processed")
    parser.add_argument("--queued-for", type=float, default=0.0, help="seconds for which it waits before")
    parser.add_argument("--vocabulary", choices=["status", "background"], default="status")
    parser.add_argument("--tls", action="store_true", help="serve HTTPS")
    parser.add_argument("--api-key", help="the key to accept (default: a new one)")
    parser.add_argument("--organization-id", default="org_fake")
    return parser


def main() -> int:
    """
    Run a fake Freddy until SIGINT or SIGTERM.

    :return: Exit code.
    """
    options = _parser().parse_args()
    try:
        from airflow_provider_freddy.testing import FakeFreddy
    except ImportError as error:
        print(error, file=sys.stderr)
        return 2
    interrupted = threading.Event()
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signal_number, lambda *_: interrupted.set())
    with FakeFreddy(**vars(options)) as freddy:
        _say(f"Fake Freddy at {freddy.url}, organization {freddy.organization_id}")
        _say(f"export AIRFLOW_CONN_FREDDY_DEFAULT={shlex.quote(freddy.connection_json())}")
        news = News(freddy)
        while not interrupted.wait(LOOK_EVERY_SECONDS):
            for line in news.lines():
                _say(line)
        for line in news.lines():
            _say(line)
        _say(_summary(freddy))
    return 0


if __name__ == "__main__":
    sys.exit(main())
