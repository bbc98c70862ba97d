"""Runs DAGs of the folder beside it through Airflow's own task runner, in this process (``dag.test()``)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from airflow_provider_freddy.testing import FakeFreddy


@dataclass(frozen=True)
class RunResult:
    """What became of a run."""

    run_id: str
    state: str
    tasks: dict[str, str]
    log: str
    xcoms: dict[tuple[str, str, int], Any]

    def xcom(self, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
        return self.xcoms[task_id, key, map_index]


@pytest.fixture(scope="session")
def _database() -> None:
    from airflow.utils.db import initdb

    initdb()


@pytest.fixture
def run_dag(
    _database: None,
    fake_freddy_connection: FakeFreddy,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> Callable[..., RunResult]:
    """Run a DAG by its id and return what became of it; the log is all that was printed or logged."""
    from airflow.dag_processing.dagbag import DagBag
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    dags = DagBag().dags

    def run(dag_id: str, **conf: Any) -> RunResult:
        capfd.readouterr()
        caplog.clear()
        dag_run = dags[dag_id].test(run_conf=conf)
        out, err = capfd.readouterr()
        tasks = {
            f"{ti.task_id}[{ti.map_index}]" if ti.map_index >= 0 else ti.task_id: str(ti.state)
            for ti in dag_run.get_task_instances()
        }
        with create_session() as session:
            rows = session.query(XComModel).filter_by(dag_id=dag_id, run_id=dag_run.run_id).all()
            xcoms = {(row.task_id, row.key, row.map_index): XComModel.deserialize_value(row) for row in rows}
        return RunResult(dag_run.run_id, str(dag_run.state), tasks, out + err + caplog.text, xcoms)

    return run
