"""
Thousands of responses come and go for half an hour, under random faults and kills: nothing may grow, nothing be left.

One process is a triggerer without Airflow around it: it starts responses, waits for each with ``ResponseTrigger``,
and now and then cancels one as a kill does. The fake Freddy in another process breaks at random. No part of any test
run: ``make soak``, or ``python -m bench.soak --minutes 3`` for a short one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import random
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass, field

from bench.child import ROOT, environment

_FAKE = """
import sys
from airflow_provider_freddy.testing import FakeFreddy
with FakeFreddy() as fake:
    print(fake.url, fake.connection_json(), flush=True)
    sys.stdin.read()
"""
_FAULTS = (
    {"kind": "status", "status": 503},
    {"kind": "status", "status": 429, "retry_after": 1},
    {"kind": "drop_before"},
    {"kind": "drop_after"},
    {"kind": "garbage", "body": "html"},
    {"kind": "delay", "seconds": 1.0},
)
#: How many of the first samples are left out when growth is looked for: everything is warm then.
_WARM = 0.2
#: The limit of a shared session, and a few for the blocking side and the event loop.
_MAX_SOCKETS = 64 + 40


@dataclass
class Counts:
    """What has happened so far."""

    started: int = 0
    lines: int = 0
    ends: Counter[str] = field(default_factory=Counter)


class _LineCounter(logging.Handler):
    def __init__(self, counts: Counts) -> None:
        super().__init__()
        self._counts = counts

    def emit(self, record: logging.LogRecord) -> None:
        self._counts.lines += 1


async def _one(counts: Counts, session: object) -> None:
    """Start a response and wait for its end; one in five is cancelled by somebody else meanwhile."""
    from airflow_provider_freddy.hooks.freddy import FreddyHook
    from airflow_provider_freddy.hooks.shared_client import shared_client
    from airflow_provider_freddy.triggers.freddy import ResponseTrigger

    assert isinstance(session, FreddyHook)
    metadata = {"fake_duration": random.lognormvariate(2.0, 1.0)}
    try:
        response = await asyncio.to_thread(session.create_response, "soak", metadata=metadata, task_metadata=False)
    except Exception as error:
        counts.ends[f"not started ({type(error).__name__})"] += 1
        return
    counts.started += 1
    trigger = ResponseTrigger(response.id, cancel=True, started_at=time.time(), deadline=time.time() + 300)

    async def wait() -> None:
        async for event in trigger.run():
            payload = event.payload
            status = (payload.get("response") or {}).get("status", "")
            counts.ends[f"{payload['reason']} {status}".strip()] += 1

    waiting = asyncio.ensure_future(wait())
    if random.random() < 0.2:
        await asyncio.wait({waiting}, timeout=random.uniform(0, 10))
        waiting.cancel()
        await asyncio.wait({waiting})
        with shared_client("freddy_default") as client:
            outcome = await client.cancel(response.id, None, 120)
        counts.ends[f"killed ({type(outcome).__name__})"] += 1
    else:
        await waiting


async def _soak(minutes: float, at_once: int, url: str, counts: Counts) -> list[dict[str, float]]:
    import psutil  # type: ignore[import-untyped]

    from airflow_provider_freddy.hooks.freddy import FreddyHook

    hook, process = FreddyHook(), psutil.Process()
    hook.resolve()
    running: set[asyncio.Task[None]] = set()
    samples: list[dict[str, float]] = []
    end = time.monotonic() + 60 * minutes
    next_sample = next_fault = time.monotonic()
    while time.monotonic() < end:
        while len(running) < at_once:
            task = asyncio.ensure_future(_one(counts, hook))
            running.add(task)
            task.add_done_callback(running.discard)
        if time.monotonic() >= next_fault:
            next_fault += 5
            await asyncio.to_thread(_break, url)
        if time.monotonic() >= next_sample:
            next_sample += 60 * minutes / 30
            samples.append(
                {
                    "MB": process.memory_info().rss / 2**20,
                    "sockets": len(process.net_connections()),
                    "tasks": len(asyncio.all_tasks()),
                    "lines per response": counts.lines / max(1, counts.started),
                }
            )
            told = ", ".join(f"{name} {value:.1f}" for name, value in samples[-1].items())
            print(f"{len(samples):3}  started {counts.started}, {told}", flush=True)
        await asyncio.sleep(0.05)
    await asyncio.gather(*running, return_exceptions=True)
    return samples


def _break(url: str) -> None:
    # Not for creates: a response whose id never arrives cannot be cancelled by anybody.
    method = random.choice(["GET", "DELETE"])
    fault = {**random.choice(_FAULTS), "method": method, "times": random.randint(1, 20)}
    request = urllib.request.Request(f"{url}/_fake/faults", json.dumps(fault).encode(), method="POST")
    urllib.request.urlopen(request, timeout=10).close()


def _left_running(url: str) -> list[str]:
    with urllib.request.urlopen(f"{url}/_fake/left_running", timeout=30) as reply:
        found: list[str] = json.load(reply)["left_running"]
    return found


def _growth(samples: list[dict[str, float]], name: str) -> float:
    """Return the last quarter's median over that of the quarter after the start."""
    values = [sample[name] for sample in samples[int(_WARM * len(samples)) :]]
    quarter = max(1, len(values) // 4)
    first, last = sorted(values[:quarter]), sorted(values[-quarter:])
    return last[len(last) // 2] / max(first[len(first) // 2], 1e-9)


def main() -> int:
    """
    Run the soak.

    :return: exit code: 1 if something has grown or is left running.
    """
    parser = argparse.ArgumentParser(description="Wait for thousands of responses under random faults.")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--at-once", type=int, default=300)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        environ = environment(home)
        fake = subprocess.Popen(
            [sys.executable, "-c", _FAKE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environ,
            cwd=ROOT,
            text=True,
        )
        try:
            assert fake.stdout is not None
            url, connection = fake.stdout.readline().split(" ", 1)
            os.environ.update({**environ, "AIRFLOW_CONN_FREDDY_DEFAULT": connection.strip()})
            return _report(options, url)
        finally:
            fake.communicate("")


def _report(options: argparse.Namespace, url: str) -> int:
    import airflow.settings  # ruff: ignore[unused-import]

    counts = Counts()
    # What the provider logs, counted and not shown; Airflow has set its own handlers by now.
    logger = logging.getLogger()
    logger.handlers = [_LineCounter(counts)]
    logger.setLevel(logging.INFO)
    samples = asyncio.run(_soak(options.minutes, options.at_once, url, counts))
    left = _left_running(url)
    print("\n".join(f"{number:6} {what}" for what, number in counts.ends.most_common()))
    growth = {name: _growth(samples, name) for name in samples[0]}
    print(", ".join(f"{name} x {factor:.2f}" for name, factor in growth.items()))
    print(f"Model responses left running: {len(left)}")
    # Sockets come and go with the load, up to their limit.
    grown = [name for name, factor in growth.items() if factor > 1.3 and name != "sockets"]
    if max(sample["sockets"] for sample in samples) > _MAX_SOCKETS:
        grown.append("sockets")
    if grown:
        print(f"Has grown: {', '.join(grown)}")
    return 1 if left or grown else 0


if __name__ == "__main__":
    sys.exit(main())
