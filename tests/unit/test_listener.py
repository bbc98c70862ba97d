"""What the API server cancels when a user marks a task or a run: Airflow's listeners, and what they are given."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import get_listener_manager

from airflow_provider_freddy import listener, marked
from airflow_provider_freddy.testing import FakeFreddy
from airflow_provider_freddy.version_compat import in_api_server
from tests.airflow_versions import needs_airflow
from tests.unit.test_rules import Ti, entry, started_elsewhere

RUN = SimpleNamespace(dag_id="d", run_id="r")


class Database:
    """The XComs of all tasks, as the API server reads them; one that is broken raises."""

    def __init__(self) -> None:
        self.rows: list[tuple[Ti, Any]] = []
        self.broken = False
        self.questions = 0

    def read(self, dag_id: str, run_id: str, key: str, task_id: str | None, map_index: int) -> list[Any]:
        self.questions += 1
        if self.broken:
            raise OSError("the database is gone")
        assert key == "freddy_responses"
        of_run = [(ti, value) for ti, value in self.rows if (ti.dag_id, ti.run_id) == (dag_id, run_id)]
        return [value for ti, value in of_run if task_id is None or (ti.task_id, ti.map_index) == (task_id, map_index)]

    def add(self, ti: Ti, *entries: dict[str, Any]) -> None:
        self.rows.append((ti, list(entries)))


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Database:
    database = Database()
    monkeypatch.setattr(marked, "xcoms_in_database", database.read)
    return database


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The hooks of Airflow's own listener manager, in what takes itself for the API server."""
    monkeypatch.setattr(sys, "argv", ["airflow", "api-server"])
    manager = get_listener_manager()
    manager.add_listener(listener)
    yield manager.hook
    manager.pm.unregister(listener)


def settle() -> None:
    """Wait for what goes on in the background."""
    for thread in threading.enumerate():
        if thread.name == "freddy-cancel-marked":
            thread.join(20)


def mark_failed(airflow: Any, ti: Ti) -> None:
    airflow.on_task_instance_failed(previous_state=None, task_instance=ti, error=None)
    settle()


@pytest.mark.parametrize(
    "state",
    ["failed", "success", pytest.param("skipped", marks=needs_airflow("3.1", "before, no listener is told"))],
)
def test_a_task_that_is_marked_ends_with_its_response(
    airflow: Any, database: Database, fake_freddy_connection: FakeFreddy, state: str
) -> None:
    (response_id,) = started_elsewhere()
    ti = Ti()
    database.add(ti, entry(response_id, ti))
    more = {"error": None} if state == "failed" else {}
    getattr(airflow, f"on_task_instance_{state}")(previous_state=None, task_instance=ti, **more)
    settle()
    assert fake_freddy_connection.left_running == []


def test_other_tries_siblings_and_tasks_are_spared(
    airflow: Any, database: Database, fake_freddy_connection: FakeFreddy
) -> None:
    mine, *others = started_elsewhere(6)
    next_try, sibling, task, run, kept = others
    ti = Ti(map_index=2, try_number=1)
    database.add(ti, entry(mine, ti), entry(next_try, ti, try_number=2), entry(kept, ti, cancel_on_failure=False))
    for other, response_id in ((Ti(map_index=3), sibling), (Ti(task_id="u"), task), (Ti(run_id="s"), run)):
        database.add(other, entry(response_id, other))
    mark_failed(airflow, ti)
    assert fake_freddy_connection.left_running == others


def test_an_entry_of_another_run_is_not_taken_on_trust(
    airflow: Any, database: Database, fake_freddy_connection: FakeFreddy
) -> None:
    (response_id,) = started_elsewhere()
    ti = Ti()
    database.add(ti, entry(response_id, ti, run_id="s"))
    mark_failed(airflow, ti)
    assert fake_freddy_connection.left_running == [response_id]


def test_a_run_that_is_marked_failed_ends_with_all_that_it_has_started(
    airflow: Any, database: Database, fake_freddy_connection: FakeFreddy
) -> None:
    first, mapped, other_run, kept = started_elsewhere(4)
    tis = [Ti(), Ti(task_id="u", map_index=1, try_number=3), Ti(run_id="s")]
    for ti, response_id in zip(tis, (first, mapped, other_run), strict=True):
        database.add(ti, entry(response_id, ti))
    database.add(tis[0], entry(kept, tis[0], cancel_on_failure=False))
    airflow.on_dag_run_failed(dag_run=RUN, msg="marked")
    settle()
    assert fake_freddy_connection.left_running == [other_run, kept]


def test_the_user_is_not_kept_waiting(airflow: Any, database: Database, fake_freddy_connection: FakeFreddy) -> None:
    (response_id,) = started_elsewhere()
    ti = Ti()
    database.add(ti, entry(response_id, ti))
    fake_freddy_connection.fault("delay", method="DELETE", seconds=0.5)
    airflow.on_task_instance_success(previous_state=None, task_instance=ti)
    assert fake_freddy_connection.left_running == [response_id]
    settle()
    assert fake_freddy_connection.left_running == []


def test_elsewhere_nothing_is_asked(airflow: Any, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["airflow", "scheduler"])
    mark_failed(airflow, Ti())
    airflow.on_dag_run_failed(dag_run=RUN, msg="timed out")
    settle()
    assert database.questions == 0


def test_a_task_that_has_started_nothing_is_no_matter_for_the_log(
    airflow: Any, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    mark_failed(airflow, Ti())
    assert database.questions == 1
    assert caplog.text == ""


@pytest.mark.parametrize("trouble", ["database", "freddy"])
def test_trouble_is_told_in_the_log_and_nowhere_else(
    airflow: Any,
    database: Database,
    fake_freddy_connection: FakeFreddy,
    caplog: pytest.LogCaptureFixture,
    trouble: str,
) -> None:
    (response_id,) = started_elsewhere()
    ti = Ti()
    database.add(ti, entry(response_id, ti))
    database.broken = trouble == "database"
    fake_freddy_connection.fault("status", method="DELETE", status=403, code="no")
    mark_failed(airflow, ti)
    (line,) = [one for one in caplog.records if one.name == listener.__name__]
    assert line.levelname == "ERROR"
    assert "run r of DAG d, task t" in line.getMessage()
    assert ("the database is gone" if trouble == "database" else response_id) in line.getMessage()


@pytest.mark.parametrize(
    ("command", "is_one"),
    [
        (["airflow", "api-server", "--port", "8080"], True),
        (["gunicorn", "airflow.api_fastapi.main:app"], True),
        (["airflow", "scheduler"], False),
        (["airflow", "dags", "test", "d"], False),
    ],
)
def test_the_api_server_is_known_by_its_command_line(
    monkeypatch: pytest.MonkeyPatch, command: list[str], is_one: bool
) -> None:
    monkeypatch.setattr(sys, "argv", command)
    assert in_api_server() is is_one
