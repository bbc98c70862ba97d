"""
Deferred tasks on a real Airflow: from a response's end to its task's success, and from a kill to the DELETE.

API server, scheduler, triggerer and LocalExecutor in a temporary folder, one run at a time, a poll every 0.5 s. A
response ends 3 s after the first look at it. The deferrable ``HttpSensor`` resumes in a worker, as every peer does.
For the kill a user marks the deferred task as failed by way of the REST API; the time runs from the API's answer to
the arrival of the DELETE.
"""

from __future__ import annotations

import tempfile
import time
from typing import Any

from bench.child import ROOT, call
from bench.options import Options
from bench.report import Goal, Row
from bench.stub_process import Stub

TITLE = "Deferred tasks, end to end"
OURS = "bench_end_from_trigger"
PEER = "bench_resume"
MARKED = "bench_marked"
RESPONSE_SECONDS = 3.0


def run_tasks(rounds: int) -> dict[str, list[float]]:
    """
    Run the DAGs in turns; called in an interpreter of its own.

    :param rounds: how many times.
    :return: seconds by DAG.
    """
    from demo.local_airflow import LocalAirflow

    found: dict[str, list[float]] = {OURS: [], PEER: [], MARKED: []}
    with tempfile.TemporaryDirectory(prefix="freddy-bench-") as folder, Stub() as stub:
        variables = {**stub.environment(), "FREDDY_BENCH_MOMENTS": folder}
        with LocalAirflow(ROOT / "bench" / "dags", env=variables) as airflow:
            for dag in found:
                airflow.wait_for_dag(dag)
            # The first round fills caches, and is thrown away.
            for round_number in range(rounds + 1):
                for dag in found:
                    stub.reset()
                    seconds = _kill(airflow, stub) if dag == MARKED else _wait(airflow, stub, dag)
                    if round_number:
                        found[dag].append(seconds)
    return found


def _wait(airflow: Any, stub: Stub, dag: str) -> float:
    run = airflow.trigger(dag)
    if airflow.wait_for_run(dag, run) != "success":
        raise RuntimeError(f"{dag} has failed")
    [looked_at] = stub.stats()["first_look_since"].values()
    # The server's clock is the monotonic one, the database's that of the wall.
    done = looked_at + RESPONSE_SECONDS + time.time() - time.monotonic()
    end = airflow.task_instance(dag, run, "wait").end
    return float(end.timestamp() - done)


def _kill(airflow: Any, stub: Stub) -> float:
    run = airflow.trigger(MARKED)
    airflow.wait_for_task(MARKED, run, "wait", state="deferred")
    _until(lambda: stub.looked_at() > 0)
    airflow.mark(MARKED, run, "wait", "failed")
    answered = time.monotonic()
    _until(lambda: bool(stub.stats()["deleted"]))
    return float(min(stub.stats()["deleted"].values()) - answered)


def _until(ready: Any, timeout: float = 60) -> None:
    end = time.monotonic() + timeout
    while not ready():
        if time.monotonic() > end:
            raise TimeoutError("nothing has come in")
        time.sleep(0.1)


def measure(options: Options) -> list[Row]:
    """
    Compare the two ways to end a wait, and kill.

    :param options: rounds, and the interpreter.
    """
    found = call("bench.end_to_end:run_tasks", options.rounds, python=options.plain_python)
    peer = "defer and resume (HttpSensor)"
    return [
        Row(
            "response done to task success, deferred, s", found[OURS], {peer: found[PEER]}, [Goal(at_most=0.6, of=peer)]
        ),
        Row("user marks a deferred task failed to DELETE, s", found[MARKED], {}, [Goal(at_most=2)]),
    ]
