"""
From a task's exception to the DELETE at the server, on a real Airflow.

Scheduler, API server and LocalExecutor in a temporary folder, one task at a time. The task notes the moments at which
it raises and at which Airflow calls back, the server the one at which the DELETE arrives. *Created* is a process that
has started the response itself a moment ago, with the same client. Connections come from environment variables, on
both sides. It runs without the peers' packages, where there is such an interpreter: the plugins of some load HTTP
libraries into every worker.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from bench.child import ROOT, call
from bench.options import Options
from bench.report import Goal, Row
from bench.stub_process import Stub

MOMENTS = ("raised", "callback")
TITLE = "Task exception to DELETE"
OURS = "bench_ours_created"
OURS_GIVEN = "bench_ours_given"
PEERS = {
    "bench_http_hook": "HttpHook",
    "bench_http_hook_created": "HttpHook, created",
    "bench_floor": "http.client",
}


def fail_tasks(rounds: int) -> dict[str, dict[str, list[float]]]:
    """
    Let every DAG fail so many times; called in an interpreter of its own.

    :param rounds: how many times.
    :return: milliseconds to the DELETE, by the moment they run from and by DAG.
    """
    from demo.local_airflow import LocalAirflow

    found: dict[str, dict[str, list[float]]] = {name: {} for name in MOMENTS}
    with tempfile.TemporaryDirectory(prefix="freddy-bench-") as temporary, Stub() as stub:
        folder = Path(temporary)
        variables = {**stub.environment(), "FREDDY_BENCH_MOMENTS": temporary}
        with LocalAirflow(ROOT / "bench" / "dags", env=variables) as airflow:
            for dag in (OURS, OURS_GIVEN, *PEERS):
                airflow.wait_for_dag(dag)
            # The first round fills caches, and is thrown away.
            for round_number in range(rounds + 1):
                for dag in (OURS, OURS_GIVEN, *PEERS):
                    stub.reset()
                    airflow.wait_for_run(dag, airflow.trigger(dag))
                    deleted = min(stub.stats()["deleted"].values())
                    if round_number:
                        for name in MOMENTS:
                            began = float((folder / name).read_text())
                            found[name].setdefault(dag, []).append(1000 * (deleted - began))
    return found


def measure(options: Options) -> list[Row]:
    """
    Compare what stands in the callback.

    :param options: rounds, and the interpreter.
    """
    found = call("bench.callback_cost:fail_tasks", options.rounds, python=options.plain_python)
    titles = {
        "raised": ("exception to DELETE, ms", [Goal(at_most=5)]),
        "callback": ("of it since the callbacks began", []),
    }
    rows = []
    for moment, (title, goals) in titles.items():
        times = found[moment]
        peers = {name: times[dag] for dag, name in PEERS.items()}
        rows.append(Row(f"{title}, process that created the response", times[OURS], peers, goals))
        goals = [Goal(at_most=1 / 8, of="HttpHook")] if goals else []
        rows.append(Row(f"{title}, process that is given an id", times[OURS_GIVEN], peers, goals))
    return rows
