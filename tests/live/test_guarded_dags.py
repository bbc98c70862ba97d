"""What the callbacks of a guarded DAG do where nothing in the task's process can: with the watchdog turned off."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator

import pytest

from airflow_provider_freddy.testing import FakeFreddy
from demo.airflow_setup import FAST_LOST_WORKER
from demo.local_airflow import LocalAirflow

from .conftest import DAGS

pytestmark = [pytest.mark.live, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def airflow(freddy: FakeFreddy) -> Iterator[LocalAirflow]:
    environ = {
        "AIRFLOW_CONN_FREDDY_DEFAULT": freddy.connection_json(),
        "AIRFLOW__FREDDY__WATCHDOG": "off",
        "AIRFLOW__FREDDY__GUARD_ALL_DAGS": "True",
    }
    with LocalAirflow(DAGS, env=environ, config=FAST_LOST_WORKER) as local:
        yield local


@pytest.mark.parametrize("style", ["operator", "function"])
@pytest.mark.parametrize("victims", ["task", "task and supervisor"])
def test_a_killed_worker_is_made_good_for_by_the_dag_processor(start: Callable, style: str, victims: str) -> None:
    run = start(f"{style}_unguarded")
    response = run.wait_for_response()
    run.freddy.wait_for(lambda: "freddy_responses" in run.airflow.xcoms(run.dag_id, run.run_id, "ask"), 30)
    processes = run.airflow.task_processes(run.dag_id, run.run_id, "ask")
    if victims == "task and supervisor":
        run.airflow.kill_pid(processes.supervisor_pid, signal.SIGKILL)
    run.airflow.kill_pid(processes.task_pid, signal.SIGKILL)
    run.wait_until_cancelled(response.id, timeout=60)
    assert run.wait_for_end() == "failed"
    assert run.left_running() == []
