"""
Airflow's own triggerer, from its start until every trigger has polled once.

The stock ``TriggerRunnerSupervisor`` with its runner in a process of its own, connections in the metadata database
(SQLite). Replaced are only the heartbeat and what loads the triggers: it runs the original's queries and then hands
all triggers over at once, each with a log file, as after a restart. Counted are the messages that the runner sends to
the supervisor, other than the one that keeps them in step every second. A time that is as long as the limit means
that not all have polled by then.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from bench.child import call, environment
from bench.options import Options
from bench.report import Goal, Row
from bench.stub_process import Stub
from bench.wait_scale import OURS, allow_many_sockets

TITLE = "The real triggerer"
FLOOR = "shared session, one look-up"
CASES = [OURS, FLOOR, "http sensor", "http event", "databricks"]
LIMIT = 60.0


def start(case: str, count: int, url: str, database: str, connections: dict[str, str], limit: float) -> dict[str, Any]:
    """
    Start the triggerer and wait for the first polls; called in a fresh interpreter.

    :param case: the key in ``waiting.MAKERS``.
    :param count: how many triggers.
    :param url: of the stub.
    :param database: a file with the empty metadata database.
    :param connections: what to put into it: JSON by variable name.
    :param limit: seconds.
    """
    shutil.copy(database, _database_file(os.environ["AIRFLOW_HOME"]))
    allow_many_sockets()
    _add_connections(connections)
    return _run(case, count, Stub.at(url), limit)


def _database_file(home: str) -> str:
    return str(Path(home) / "airflow.db")


def _add_connections(connections: dict[str, str]) -> None:
    from airflow.models.connection import Connection
    from airflow.utils.session import create_session

    with create_session() as session:
        for variable, value in connections.items():
            name = variable.removeprefix("AIRFLOW_CONN_").lower()
            session.add(Connection.from_json(value, conn_id=name))


def _run(case: str, count: int, stub: Stub, limit: float) -> dict[str, Any]:
    from airflow.jobs.triggerer_job_runner import TriggerLoggingFactory, TriggerRunnerSupervisor, messages
    from airflow.models.trigger import Trigger

    folder = Path(os.environ["AIRFLOW_HOME"], "logs")
    workloads = _workloads(case, count, stub.url)
    nobody: Any = None
    logs = {load.id: TriggerLoggingFactory(log_path=str(folder / f"{load.id}.log"), ti=nobody) for load in workloads}
    counts: Counter[str] = Counter()
    began = time.monotonic()

    class Supervisor(TriggerRunnerSupervisor):
        """Takes its triggers from here."""

        asked = 0.0
        done = 0

        def load_triggers(self) -> None:
            Trigger.assign_unassigned(0, self.capacity, self.health_check_threshold, queues=None, team_name=None)
            Trigger.ids_for_triggerer(0, queues=None, team_name=None)
            if logs:
                self.logger_cache.update(logs)
                self.creating_triggers.extend(workloads)
                logs.clear()

        def heartbeat(self) -> None:
            """There is no job that could be alive."""

        def emit_metrics(self) -> None:
            """There is nobody to read them."""

        def _handle_request(self, msg: Any, log: Any, req_id: int) -> None:
            if not isinstance(msg, messages.TriggerStateChanges):
                counts[type(msg).__name__] += 1
            super()._handle_request(msg, log, req_id)

        def should_stop(self) -> bool:
            now = time.monotonic()
            if now - type(self).asked > 0.5:
                type(self).asked, type(self).done = now, stub.looked_at()
            return self.done >= count or now - began > limit

    supervisor = Supervisor.start(job=None, capacity=count + 1)
    try:
        supervisor.run()
        seconds = time.monotonic() - began
        if supervisor.done >= count:
            seconds = stub.stats()["first_looks"][count - 1] - began
        return {"seconds": seconds, "polled": supervisor.done, "messages": counts.total(), "kinds": dict(counts)}
    finally:
        supervisor.kill(force=True, escalation_delay=1.0)


def _workloads(case: str, count: int, url: str) -> list[Any]:
    from airflow.executors.workloads.trigger import RunTrigger
    from airflow.models.trigger import Trigger

    from bench.waiting import MAKERS

    found = []
    for index in range(count):
        classpath, arguments = MAKERS[case](f"run-{index}", url).serialize()
        encrypted = Trigger.encrypt_kwargs(arguments)
        found.append(RunTrigger(id=index + 1, classpath=classpath, encrypted_kwargs=encrypted))
    return found


def sample(case: str, count: int, database: Path, limit: float = LIMIT) -> dict[str, Any]:
    """
    Start a triggerer in a fresh process against a stub of its own.

    :param case: the key in ``waiting.MAKERS``.
    :param count: how many triggers.
    :param database: a file with the empty metadata database.
    :param limit: seconds.
    """
    with Stub() as stub:
        connections = stub.environment()
        function = "bench.real_triggerer:start"
        found: dict[str, Any] = call(
            function, case, count, stub.url, str(database), connections, limit, more=_settings(), timeout=limit + 120
        )
    return found


def _settings() -> dict[str, str]:
    # A key, so that what triggers are stored with is decrypted as in production.
    return {
        "AIRFLOW__CORE__FERNET_KEY": "YmVuY2htYXJrcy1vZi10aGUtcHJvdmlkZXItMDAwMDA=",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO",
    }


def empty_database(folder: Path) -> Path:
    """
    Create Airflow's tables.

    :param folder: where to.
    :return: the file.
    """
    # The file stops Airflow from writing its own with all defaults.
    (folder / "airflow.cfg").touch()
    subprocess.run(
        [sys.executable, "-m", "airflow", "db", "migrate"],
        env=environment(str(folder), _settings()),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
        timeout=300,
    )
    return Path(_database_file(str(folder)))


def measure(options: Options) -> list[Row]:
    """
    Start with 1,000 triggers, and with 10,000.

    :param options: rounds (one with 10,000 for the peers, whose minutes tell nothing new), and whether few will do.
    """
    from bench.waiting import available

    rows = []
    sizes = {50: 60.0} if options.quick else {1000: 6.0, 10_000: 12.0}
    with tempfile.TemporaryDirectory(prefix="freddy-bench-") as folder:
        database = empty_database(Path(folder))
        for count, goal in sizes.items():
            samples: dict[str, list[dict[str, Any]]] = {}
            for round_number in range(options.rounds):
                for case in available(CASES if count < 10_000 else [OURS, FLOOR, "http sensor"]):
                    if count < 10_000 or case in {OURS, FLOOR} or not round_number:
                        samples.setdefault(case, []).append(sample(case, count, database))
            mine = samples.pop(OURS)
            for key, what, limit in (("seconds", "s until all have polled once", goal), ("messages", "messages", 4)):
                peers = {case: [float(found[key]) for found in rounds] for case, rounds in samples.items()}
                title = f"real triggerer, {count:,} triggers at once: {what}"
                rows.append(Row(title, [float(found[key]) for found in mine], peers, [Goal(at_most=limit)]))
    return rows


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        print(json.dumps(sample(sys.argv[1], int(sys.argv[2]), empty_database(Path(temporary)))))
