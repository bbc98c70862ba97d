"""
Many triggers in one event loop, each polling every 5 s.

A fresh process for each sample: it starts the triggers spread over 5 s, lets them run in, and is then watched for 10
s. *Late* is the time between two polls of one trigger, seen by the server, minus 5 s; for that our schedule's jitter
is switched off. *Lag* is by how much a 100 ms ticker in the same loop overshoots. Memory is that of the process
beyond one whose triggers only sleep, libraries included. Connections come from environment variables.
"""

from __future__ import annotations

import asyncio
import resource
import time
from contextlib import suppress
from typing import Any

import psutil  # type: ignore[import-untyped]

from bench.child import call
from bench.options import Options
from bench.report import Goal, Row
from bench.stub_process import Stub

TITLE = "Waiting at scale, one event loop"
OURS = "ResponseTrigger"
SLEEP = "sleep only"
PEERS = ["http sensor", "databricks"]
FLOORS = ["shared aiohttp session", "hand-written HTTP"]
WINDOW = 10.0
PERIOD = 5.0
TICK = 0.1


def wait(case: str, count: int, url: str, behaviour: str, window: float) -> dict[str, Any]:
    """
    Run triggers in one loop; called in a fresh interpreter.

    :param case: the key in ``waiting.MAKERS``.
    :param count: how many.
    :param url: of the stub.
    :param behaviour: how the ids begin.
    :param window: seconds to watch.
    """
    allow_many_sockets()
    return asyncio.run(_wait(case, count, url, behaviour, window))


async def _wait(case: str, count: int, url: str, behaviour: str, window: float) -> dict[str, Any]:
    from bench.waiting import MAKERS, available, steady_intervals

    process = psutil.Process()
    memory = process.memory_info().rss
    if available([OURS]):
        steady_intervals()
    events = 0

    async def run(index: int) -> None:
        nonlocal events
        await asyncio.sleep(PERIOD * index / count)
        async for _ in MAKERS[case](f"{behaviour}-{index}", url).run():
            events += 1

    tasks = [asyncio.create_task(run(index)) for index in range(count)]
    # Two periods: one in which they start, one in which what is only needed at the start is done with.
    await asyncio.sleep(2 * PERIOD)
    before_window = _stats(url, "POST", "/_reset")
    used, start = time.process_time(), time.monotonic()
    lags = []
    while time.monotonic() - start < window:
        before = time.monotonic()
        await asyncio.sleep(TICK)
        lags.append(time.monotonic() - before - TICK)
    seconds = time.monotonic() - start
    cpu = time.process_time() - used
    stats = _stats(url, "GET", "/_stats")
    late = sorted(max(0.0, gap - PERIOD) for gap in stats["gaps"])
    found = {
        "polls": stats["looks"] / seconds,
        "late50": 1000 * percentile(late, 50),
        "late99": 1000 * percentile(late, 99),
        "lag99": 1000 * percentile(sorted(lags), 99),
        "cpu": 100 * cpu / seconds,
        "each": 1000 * cpu / max(1, stats["looks"]),
        "kilobytes": (process.memory_info().rss - memory) / 1024 / count,
        "held": stats["open"],
        "opened": stats["accepted"] / seconds,
        "events": events,
        "rush": rush([*before_window["look_times"], *stats["look_times"]], PERIOD),
        "errors": sum(task.done() and not task.cancelled() and task.exception() is not None for task in tasks),
    }
    for task in tasks:
        task.cancel()
    with suppress(TimeoutError):
        await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 20)
    return found


def _stats(url: str, method: str, path: str) -> dict[str, Any]:
    # Synchronous, outside the window that is watched.
    stub = Stub.at(url)
    return stub.reset() if method == "POST" else stub.stats()


def allow_many_sockets() -> None:
    """Let this process open as many files as the machine allows it."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def percentile(values: list[float], percent: float) -> float:
    """
    Return a percentile of sorted values; nothing has none, and is 0 here.

    :param values: sorted.
    :param percent: which.
    """
    if not values:
        return 0.0
    return values[min(len(values) - 1, int(len(values) * percent / 100))]


def rush(moments: list[float], period: float) -> float:
    """
    Return the greatest number of looks in any period, a second.

    :param moments: when each look came, in order.
    :param period: seconds.
    """
    most = first = 0
    for index, moment in enumerate(moments):
        while moment - moments[first] > period:
            first += 1
        most = max(most, index - first + 1)
    return most / period


def sample(case: str, count: int, behaviour: str = "run", window: float = WINDOW) -> dict[str, float]:
    """
    Run triggers in a fresh process against a stub of its own.

    :param case: the key in ``waiting.MAKERS``.
    :param count: how many.
    :param behaviour: how the ids begin.
    :param window: seconds to watch.
    """
    with Stub() as stub:
        found: dict[str, float] = call(
            "bench.wait_scale:wait", case, count, stub.url, behaviour, window, more=stub.environment()
        )
    return found


def measure(options: Options) -> list[Row]:
    """
    Compare at 10,000 triggers.

    :param options: rounds, and whether few triggers will do.
    """
    from bench.waiting import available

    count = 100 if options.quick else 10_000
    samples: dict[str, list[dict[str, float]]] = {}
    for _ in range(options.rounds):
        for case in available([OURS, SLEEP, *PEERS, *FLOORS]):
            samples.setdefault(case, []).append(sample(case, count))
    return _rows(count, samples)


def _rows(count: int, samples: dict[str, list[dict[str, float]]]) -> list[Row]:
    idle = samples.pop(SLEEP)
    for found in samples.values():
        for one, nothing in zip(found, idle, strict=True):
            one["kilobytes"] -= nothing["kilobytes"]
    columns = {
        "polls": (f"polls/s of {count / PERIOD:,.0f} asked", [Goal(at_least=0.995 * count / PERIOD)]),
        "late50": ("late, median, ms", []),
        "late99": ("late, p99, ms", [Goal(at_most=100)]),
        "lag99": ("lag of the loop, p99, ms", [Goal(at_most=10)]),
        "cpu": ("CPU, % of one core", [Goal(at_most=30)]),
        "each": ("CPU a poll, ms", [Goal(at_most=1 / 3.3, of="http sensor"), Goal(at_most=1 / 1.7, of="databricks")]),
        "kilobytes": ("memory a trigger, kB", [Goal(at_most=4)]),
        "held": ("sockets held", [Goal(at_most=64)]),
        "opened": ("connections opened /s", [Goal(at_most=0)]),
    }
    rows = []
    for key, (unit, goals) in columns.items():
        values = {case: [found[key] for found in rounds] for case, rounds in samples.items()}
        mine = values.pop(OURS)
        rows.append(Row(f"{count:,} triggers: {unit}", mine, values, goals))
    return rows
