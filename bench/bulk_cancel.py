"""
Cancel 1,000 responses from one process.

Every sample is a fresh process that has loaded ``airflow.sdk``; its imports and its connection look-up are part of
the time. Memory is the peak over the moment before, connections are what the server has accepted. ``http.client`` in
16 threads is the floor of what Python's own library can do.
"""

from __future__ import annotations

import asyncio
import http.client
import inspect
import resource
import ssl
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]

from bench.child import call
from bench.options import Options
from bench.report import Goal, Row
from bench.stub_process import KEY, ORGANIZATION, Stub

TITLE = "Bulk cancel"
OURS = "cancel_responses"
ONE_BY_ONE = "HttpHook one by one"
THREADS = "16 threads x HttpHook"
KEEPING = "16 threads x HttpHook, replies kept"
ASYNC = "HttpAsyncHook session"
FLOOR = "16 threads x http.client"
THREAD_COUNT = 16


def _ids(count: int) -> Iterator[str]:
    for index in range(count):
        yield f"run-{index}"


def _path(response_id: str) -> str:
    return f"v1/model/response/{response_id}?organizationId={ORGANIZATION}"


def with_ours(count: int) -> int:
    """Cancel with the provider; the ids are a generator, as a user's may be."""
    from airflow_provider_freddy.hooks.freddy import FreddyHook

    outcomes: Any = FreddyHook().cancel_responses(_ids(count), organization_id=ORGANIZATION)
    return sum(not isinstance(outcome, Exception) for _, outcome in outcomes)


def one_by_one(count: int) -> int:
    """Cancel with one ``HttpHook``, one after another."""
    from airflow.providers.http.hooks.http import HttpHook

    hook = HttpHook(method="DELETE")
    return sum(hook.run(_path(response_id)).ok for response_id in _ids(count))


def in_threads(count: int) -> int:
    """Cancel with a ``HttpHook`` for each id, in threads."""
    from airflow.providers.http.hooks.http import HttpHook

    def cancel(response_id: str) -> bool:
        return bool(HttpHook(method="DELETE").run(_path(response_id)).ok)

    with ThreadPoolExecutor(THREAD_COUNT) as pool:
        return sum(pool.map(cancel, _ids(count)))


def in_threads_keeping_replies(count: int) -> int:
    """Do the same and keep the replies, as ``list(pool.map(...))`` does: each keeps its connection and TLS context."""
    from airflow.providers.http.hooks.http import HttpHook

    def cancel(response_id: str) -> Any:
        return HttpHook(method="DELETE").run(_path(response_id))

    with ThreadPoolExecutor(THREAD_COUNT) as pool:
        replies = list(pool.map(cancel, _ids(count)))
    return sum(reply.ok for reply in replies)


def with_async_hook(count: int) -> int:
    """Cancel over one session of ``HttpAsyncHook``."""
    from airflow.providers.http.hooks.http import HttpAsyncHook

    async def cancel_all() -> int:
        hook = HttpAsyncHook(method="DELETE")
        async with hook.session() as session:

            async def cancel(response_id: str) -> bool:
                reply = await session.run(_path(response_id))
                await reply.read()
                return bool(reply.ok)

            return sum(await asyncio.gather(*(cancel(response_id) for response_id in _ids(count))))

    return asyncio.run(cancel_all())


def with_http_client(count: int, url: str) -> int:
    """Cancel with the standard library, a connection in each thread."""
    scheme, _, host = url.partition("://")
    context = ssl.create_default_context() if scheme == "https" else None
    ids = list(_ids(count))

    def cancel(part: int) -> int:
        if context:
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(host, context=context)
        else:
            connection = http.client.HTTPConnection(host)
        done = 0
        for response_id in ids[part::THREAD_COUNT]:
            connection.request("DELETE", f"/{_path(response_id)}", headers={"Authorization": f"Bearer {KEY}"})
            reply = connection.getresponse()
            reply.read()
            done += reply.status == 200
        connection.close()
        return done

    with ThreadPoolExecutor(THREAD_COUNT) as pool:
        return sum(pool.map(cancel, range(THREAD_COUNT)))


WAYS: dict[str, Callable[..., int]] = {
    OURS: with_ours,
    ASYNC: with_async_hook,
    THREADS: in_threads,
    KEEPING: in_threads_keeping_replies,
    ONE_BY_ONE: one_by_one,
    FLOOR: with_http_client,
}


def cancel(way: str, count: int, url: str) -> dict[str, float]:
    """
    Cancel, and return what it has cost; called in a fresh interpreter.

    :param way: the key in ``WAYS``.
    :param count: how many responses.
    :param url: of the stub.
    """
    from airflow.sdk import DAG, BaseOperator, task  # ruff: ignore[unused-import]

    process = psutil.Process()
    memory = process.memory_info().rss
    used, start = time.process_time(), time.perf_counter()
    done = WAYS[way](count, url) if way == FLOOR else WAYS[way](count)
    return {
        "seconds": time.perf_counter() - start,
        "cpu": time.process_time() - used,
        "megabytes": (_peak() - memory) / 2**20,
        "done": done,
    }


def _peak() -> int:
    """Return the most memory that this process has ever held."""
    status = Path("/proc/self/status")
    if status.exists():
        # The resource module's figure can be that of the process which has started this one.
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def sample(way: str, count: int, stub: Stub) -> dict[str, float]:
    """
    Cancel in a fresh process and count at the server.

    :param way: the key in ``WAYS``.
    :param count: how many responses.
    :param stub: the server; forgets what it knew.
    """
    stub.reset()
    found: dict[str, float] = call("bench.bulk_cancel:cancel", way, count, stub.url, more=stub.environment())
    stats = stub.stats()
    deletes = stats["methods"].get("DELETE", 0)
    if found["done"] != count or deletes < count:
        raise RuntimeError(f"{way}: {found['done']:.0f} of {count} cancelled with {deletes} DELETEs")
    return {**found, "connections": stats["accepted"], "requests": sum(stats["methods"].values())}


Samples = dict[str, list[dict[str, float]]]


def measure(options: Options) -> list[Row]:
    """
    Cancel over a slow link, over TLS, and very many.

    :param options: rounds, and whether few will do.
    """
    count = 100 if options.quick else 1000
    slow: Samples = {}
    secure: Samples = {}
    with tempfile.TemporaryDirectory(prefix="freddy-bench-") as folder:
        for round_number in range(options.rounds):
            for way in WAYS:
                # It takes a minute each time, and there is no goal in it.
                if way == ONE_BY_ONE and round_number:
                    continue
                # A stub each: one that knows an id as cancelled says 409 to it.
                # Whether the replies are kept matters for the memory that TLS takes.
                if way != THREADS:
                    with Stub(certificates=Path(folder)) as stub:
                        secure.setdefault(way, []).append(sample(way, count, stub))
                if way != KEEPING:
                    with Stub(delay=0.05) as stub:
                        slow.setdefault(way, []).append(sample(way, count, stub))
    rows = list(_rows(f"cancel {count:,}, 50 ms link", slow, "slow"))
    rows += _rows(f"cancel {count:,}, TLS", secure, "secure")
    return [*rows, _flat(count, 2_000 if options.quick else 100_000)]


def _column(samples: Samples, key: str) -> dict[str, list[float]]:
    return {way: [found[key] for found in rounds] for way, rounds in samples.items()}


def _limit() -> int:
    """Return how many connections the provider says it opens at the most."""
    from airflow_provider_freddy.hooks.freddy import FreddyHook

    return int(inspect.signature(FreddyHook.cancel_responses).parameters["concurrency"].default)


def _rows(title: str, samples: Samples, link: str) -> Iterator[Row]:
    limit = _limit()
    goals: dict[tuple[str, str], list[Goal]] = {
        ("slow", "seconds"): [Goal(at_most=0.75)],
        ("slow", "connections"): [Goal(at_most=limit)],
        ("secure", "seconds"): [Goal(at_most=1 / 80, of=KEEPING)],
        ("secure", "megabytes"): [Goal(at_most=1 / 60, of=KEEPING)],
        ("secure", "cpu"): [Goal(at_most=1 / 3, of=ASYNC)],
        ("secure", "connections"): [Goal(at_most=limit)],
    }
    units = {"seconds": "s", "cpu": "CPU s", "megabytes": "memory, MB", "connections": "connections"}
    for key, unit in units.items():
        columns = _column(samples, key)
        ours = columns.pop(OURS)
        yield Row(f"{title}: {unit}", ours, columns, goals.get((link, key), ()))


def _flat(few: int, many: int) -> Row:
    with Stub() as stub:
        small = sample(OURS, few, stub)["megabytes"]
    with Stub() as stub:
        large = sample(OURS, many, stub)["megabytes"]
    what = f"cancel {many:,}: memory, MB, beyond that of cancelling {few:,}"
    return Row(what, [max(0.0, large - small)], {}, [Goal(at_most=10)])
