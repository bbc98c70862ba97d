"""What a real Airflow has written, stored and sent when many tasks have failed: no key, and the right metrics."""

from __future__ import annotations

import json
import signal
import socket
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from airflow_provider_freddy.testing import FakeFreddy
from demo.__main__ import DAGS as DEMO_DAGS
from demo.airflow_setup import FAST_LOST_WORKER
from demo.local_airflow import LocalAirflow
from tests.live.conftest import DAGS, Run

pytestmark = [pytest.mark.live, pytest.mark.timeout(240)]


class StatsD:
    """A metrics server: counts what it is sent."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while line := self._socket.recv(65536):
            self.counts[line.decode().split(":")[0].removeprefix("airflow.")] += 1

    def close(self) -> None:
        with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as last:
            last.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join(5)
        self._socket.close()


@pytest.fixture(scope="module")
def statsd() -> Iterator[StatsD]:
    with closing(StatsD()) as server:
        yield server


@pytest.fixture(scope="module")
def airflow(freddy: FakeFreddy, statsd: StatsD) -> Iterator[LocalAirflow]:
    """An Airflow whose connection is stored in its database, in the clear, so that a search for the key finds it."""
    local_bundle = "airflow.dag_processing.bundles.local.LocalDagBundle"
    bundles = [
        {"name": f"freddy_{folder.name}", "classpath": local_bundle, "kwargs": {"path": str(folder)}}
        for folder in (DAGS, DEMO_DAGS)
    ]
    config = {
        **FAST_LOST_WORKER,
        "DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(bundles),
        "CORE__FERNET_KEY": "",
        "METRICS__STATSD_ON": "True",
        "METRICS__STATSD_HOST": "127.0.0.1",
        "METRICS__STATSD_PORT": str(statsd.port),
    }
    with LocalAirflow(DAGS, config=config) as local:
        local.add_connection("freddy_default", json.loads(freddy.connection_json()))
        yield local


@pytest.fixture(scope="module")
def dumps(airflow: LocalAirflow, freddy: FakeFreddy) -> list[str]:
    """Have tasks fail in many ways, and return what the database held meanwhile and afterwards."""

    def start(dag_id: str, **conf: str) -> Run:
        airflow.wait_for_dag(dag_id)
        return Run(airflow, freddy, dag_id, airflow.trigger(dag_id, conf))

    deferred = start("deferred")
    response_id = deferred.wait_for_response().id
    # Until its trigger has begun, nobody in the triggerer knows of it.
    freddy.wait_for(lambda: any(one.method == "GET" and response_id in one.path for one in freddy.requests), 60)
    found = [dump(airflow.home)]
    # The search means something: the trigger's arguments stand there in the clear.
    assert response_id in next(one for one in entries(found[0]) if one.startswith('"trigger"'))
    airflow.mark("deferred", deferred.run_id, "ask", "failed")
    deferred.wait_until_cancelled(response_id, 60)
    killed = start("tracked")
    killed.wait_for_response()
    freddy.wait_for(lambda: "freddy_responses" in airflow.xcoms("tracked", killed.run_id, "ask"), 60)
    airflow.kill_pid(airflow.task_processes("tracked", killed.run_id, "ask").task_pid, signal.SIGKILL)
    for run in (
        start("freddy_quickstart"),  # What `make demo` shows.
        killed,
        start("function_one_retry", how="raise"),
        start("operator_timeout"),
        start("run_with_teardown"),
    ):
        run.wait_for_end()
    freddy.wait_for(lambda: not freddy.left_running, 60)
    return [*found, dump(airflow.home)]


def dump(home: Path) -> str:
    with closing(sqlite3.connect(f"file:{home / 'airflow.db'}?mode=ro", uri=True, timeout=30)) as database:
        return "\n".join(database.iterdump())


def entries(text: str) -> list[str]:
    """Return the rows of a dump, which can have line breaks in them; each begins with its table."""
    return text.split("\nINSERT INTO ")[1:]


def lines_with(text: str, table: str) -> int:
    return text.count(f'INSERT INTO "{table}"')


def test_the_database_has_the_key_in_the_connection_alone(dumps: list[str], freddy: FakeFreddy) -> None:
    during, after = dumps
    assert lines_with(during, "trigger") == 1
    for table in (
        "xcom",
        "rendered_task_instance_fields",
        "serialized_dag",
        "task_instance",
        "task_state_store",
        "log",
    ):
        assert lines_with(after, table), table
    # What is stored as bytes is written in hexadecimal.
    in_bytes = freddy.api_key.encode().hex().upper()
    for text in dumps:
        assert [one.split()[0] for one in entries(text) if freddy.api_key in one] == ['"connection"']
        assert in_bytes not in text.upper()


def test_no_file_of_airflow_has_the_key(airflow: LocalAirflow, freddy: FakeFreddy, dumps: list[str]) -> None:
    key = freddy.api_key.encode()
    files = [path for path in airflow.home.rglob("*") if path.is_file()]
    assert {"freddy-watchdog.log", "airflow.db"} <= {path.name for path in files}
    assert {path.name for path in files if key in path.read_bytes()} <= {"airflow.db", "airflow.db-wal"}


def test_the_journal_of_the_fake_does_not_have_it(freddy: FakeFreddy, dumps: list[str]) -> None:
    assert freddy.requests
    words = repr(freddy.requests) + repr(freddy.responses)
    assert freddy.api_key not in words
    # Nor was it sent where it does not belong: the fake blots it out there.
    assert "***" not in words


def test_the_metrics_tell_what_has_happened(freddy: FakeFreddy, statsd: StatsD, dumps: list[str]) -> None:
    wanted = {"created": 6, "cancelled": 5, "cancel_latency": 5}
    freddy.wait_for(lambda: all(statsd.counts[f"freddy.responses.{name}"] >= n for name, n in wanted.items()), 30)
    counts = {name.removeprefix("freddy.responses."): n for name, n in statsd.counts.items() if "freddy" in name}
    # That of the demo, the two tries of one function, an operator that waits, one that defers, one whose run is swept.
    assert counts["created"] == 6
    assert counts["tracked"] == 1
    # What was killed the watchdog has cancelled, and counted nothing.
    assert counts["cancelled"] == counts["cancel_latency"] == 5
    assert "cancel_failed" not in counts
