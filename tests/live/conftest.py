"""One real Airflow with a fake Freddy beside it, for all live tests of the provider."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from airflow_provider_freddy.testing import FakeFreddy
from demo.airflow_setup import FAST_LOST_WORKER
from demo.local_airflow import LocalAirflow
from tests.airflow_versions import needs_airflow

DAGS = Path(__file__).parent / "dags"
ON_EVERY_VERSION = "test_failed_tasks.py"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Measure the finer points on the newest Airflow only."""
    newest_only = needs_airflow("3.3", f"older ones are measured with {ON_EVERY_VERSION}")
    for item in items:
        if item.path.parent == DAGS.parent and item.path.name != ON_EVERY_VERSION:
            item.add_marker(newest_only)


@pytest.fixture(scope="module")
def freddy() -> Iterator[FakeFreddy]:
    with FakeFreddy(duration=300) as fake:
        yield fake


@pytest.fixture(scope="module")
def airflow(freddy: FakeFreddy) -> Iterator[LocalAirflow]:
    connection = {"AIRFLOW_CONN_FREDDY_DEFAULT": freddy.connection_json()}
    with LocalAirflow(DAGS, env=connection, config=FAST_LOST_WORKER) as local:
        yield local


class Run:
    """One run of a DAG, and the responses that it has started."""

    def __init__(self, airflow: LocalAirflow, freddy: FakeFreddy, dag_id: str, run_id: str) -> None:
        self.airflow = airflow
        self.freddy = freddy
        self.dag_id = dag_id
        self.run_id = run_id

    def responses(self, try_number: int | None = None) -> list:
        return [
            response
            for response in self.freddy.responses
            if response.metadata.get("run") == self.run_id
            and try_number in (None, int(response.metadata.get("try", 0)))
        ]

    def wait_for_response(self, try_number: int = 1, timeout: float = 60):
        self.freddy.wait_for(lambda: self.responses(try_number), timeout)
        return self.responses(try_number)[0]

    def wait_until_cancelled(self, response_id: str, timeout: float) -> float:
        """Return how many seconds after its start it was cancelled."""
        self.freddy.wait_for(lambda: self.freddy.response(response_id).status == "cancelled", timeout)
        return self.freddy.response(response_id).ran_seconds

    def left_running(self) -> list[str]:
        return [response.id for response in self.responses() if response.id in self.freddy.left_running]

    def task_state(self, task_id: str = "ask") -> str | None:
        return self.airflow.task_instance(self.dag_id, self.run_id, task_id).state

    def wait_for_end(self, timeout: float = 90) -> str:
        return self.airflow.wait_for_run(self.dag_id, self.run_id, timeout)

    def last_words(self, try_number: int = 1) -> list[str]:
        """Return what the callbacks in the task's process said at their end."""
        log = self.airflow.task_log(self.dag_id, self.run_id, "ask", try_number)
        return [line for line in log.splitlines() if "Freddy callback for" in line]


@pytest.fixture
def start(airflow: LocalAirflow, freddy: FakeFreddy) -> Callable[..., Run]:
    """Start a run of a DAG."""

    def start_run(dag_id: str, **conf: str) -> Run:
        airflow.wait_for_dag(dag_id)
        return Run(airflow, freddy, dag_id, airflow.trigger(dag_id, conf))

    return start_run
