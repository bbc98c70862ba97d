"""Runs DAGs of the folder beside it through Airflow's own task runner, in this process (``dag.test()``)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from airflow_provider_freddy.testing import FakeFreddy
from tests.airflow_versions import dag_bag, log_of_run, run_in_process, stored_xcoms


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


@pytest.fixture
def run_dag(
    _database: None,
    fake_freddy_connection: FakeFreddy,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> Callable[..., RunResult]:
    """Run a DAG by its id and return what became of it; the log is all that was printed or logged."""
    dags = dag_bag().dags

    def run(dag_id: str, **conf: Any) -> RunResult:
        capfd.readouterr()
        caplog.clear()
        dag_run = run_in_process(dags[dag_id], conf)
        out, err = capfd.readouterr()
        tasks = {
            f"{ti.task_id}[{ti.map_index}]" if ti.map_index >= 0 else ti.task_id: str(ti.state)
            for ti in dag_run.get_task_instances()
        }
        xcoms = stored_xcoms(dag_id, dag_run.run_id)
        return RunResult(dag_run.run_id, str(dag_run.state), tasks, log_of_run(out + err, caplog.text), xcoms)

    return run
