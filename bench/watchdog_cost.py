"""
What the watchdog costs, and how soon it cancels.

A process starts its watchdog and then a response, as a task does. Noted are how long it stood still for the start,
the memory that belongs to the watchdog alone (USS) while the response runs, and the time from a SIGKILL of the process
to the DELETE at the server. Beside it two processes that only wait: Python alone, and Python that has imported
``requests``, which a watchdog would be that is ready to send at once.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any

import psutil  # type: ignore[import-untyped]

from bench.child import call
from bench.options import Options
from bench.report import Goal, Row
from bench.stub_process import Stub

TITLE = "The watchdog"
PEERS = {"Python": "", "Python with requests": "import requests\n"}
MEBIBYTE = 2**20

TASK = """
import json, time
# A task's process has all of this long before it starts a response.
from airflow.providers.common.compat.sdk import conf
from airflow_provider_freddy.hooks.freddy import FreddyHook
from airflow_provider_freddy.watchdog import client

hook = FreddyHook()
response = hook.create_response("hello", model="run")
began = time.perf_counter()
client.start()
seconds = time.perf_counter() - began
client.watch(response.id, hook.organization(None), hook.session_description)
print(json.dumps([1000 * seconds, client._watchdog.process.pid, response.id]), flush=True)
time.sleep(600)
"""
WAITING = "{}import sys\nprint('[]', flush=True)\nsys.stdin.read()\n"


def sample(deleted_within: float = 30) -> dict[str, Any]:
    """
    Take one sample of everything; called in an interpreter of its own.

    :param deleted_within: seconds to wait for the DELETE.
    :return: milliseconds of the start and to the DELETE, and MiB by process.
    """
    with Stub() as stub:
        task, [started, watchdog, response_id] = _start(TASK, stub.environment())
        others = {name: _start(WAITING.format(imports))[0] for name, imports in PEERS.items()}
        try:
            time.sleep(1)
            memory = {name: _own_memory(process.pid) for name, process in others.items()}
            memory["watchdog"] = _own_memory(watchdog)
        finally:
            for process in others.values():
                process.kill()
                process.wait()
            killed = time.monotonic()
            task.kill()
            task.wait()
        while response_id not in stub.stats()["deleted"] and time.monotonic() < killed + deleted_within:
            time.sleep(0.02)
        deleted = stub.stats()["deleted"][response_id]
    return {"start": started, "memory": memory, "deleted": 1000 * (deleted - killed)}


def _start(code: str, more: dict[str, str] | None = None) -> tuple[subprocess.Popen[str], list[Any]]:
    """Start Python with this code and return it with its first line."""
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, **(more or {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, _first_json(process.stdout)


def _first_json(lines: Any) -> list[Any]:
    """Return what the first line holds that is JSON: Airflow may have something to say before."""
    for line in lines:
        try:
            found: list[Any] = json.loads(line)
        except ValueError:
            continue
        return found
    raise RuntimeError("the process has ended")


def _own_memory(pid: int) -> float:
    return float(psutil.Process(pid).memory_full_info().uss) / MEBIBYTE


def measure(options: Options) -> list[Row]:
    """
    Compare it with processes that only wait.

    :param options: rounds, and the interpreter.
    """
    samples = [call("bench.watchdog_cost:sample", python=options.plain_python) for _ in range(options.rounds)]
    memory = {name: [one["memory"][name] for one in samples] for name in (*PEERS, "watchdog")}
    return [
        Row("memory of its own, MiB", memory.pop("watchdog"), memory, [Goal(at_most=2, of="Python")]),
        Row("start of the watchdog, as the task sees it, ms", [one["start"] for one in samples]),
        Row("SIGKILL of the task's process to DELETE, ms", [one["deleted"] for one in samples], {}, [Goal(1000)]),
    ]
