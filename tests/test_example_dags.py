"""Every example DAG runs through ``airflow dags test``, with nothing but the connection changed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_provider_freddy.testing import FakeFreddy
from tests.airflow_versions import AIRFLOW

EXAMPLES = Path(__file__).parent.parent / "example_dags"

# DAG, exit code of the run (1 where its task fails for good), responses that it starts.
RUNS = [
    ("freddy_quickstart", 0, 1),
    ("freddy_plain_task", 1, 4),
    ("freddy_timeout", 0, 1),
    ("freddy_deferrable", 0, 2),
    ("freddy_bulk_cancel", 0, 3),
    ("freddy_teardown_sweep", 1, 2),
    ("freddy_track_response", 1, 1),
]


def test_every_example_is_run() -> None:
    assert {name for name, _, _ in RUNS} == {path.stem for path in EXAMPLES.glob("*.py")}


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    home = tmp_path_factory.mktemp("home")
    environ = {**os.environ, "AIRFLOW_HOME": str(home), "AIRFLOW__CORE__DAGS_FOLDER": str(EXAMPLES)}
    del environ["AIRFLOW__FREDDY__WATCHDOG"]
    airflow(["db", "migrate"], environ)
    return environ


def airflow(arguments: list[str], environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "airflow", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=180, env=environ)


@pytest.mark.parametrize(("dag_id", "exit_code", "started"), RUNS)
def test_it_leaves_nothing_running(
    dag_id: str, exit_code: int, started: int, environ: dict[str, str], fake_freddy: FakeFreddy
) -> None:
    environ = {**environ, "AIRFLOW_CONN_FREDDY_DEFAULT": fake_freddy.connection_json()}
    if dag_id == "freddy_deferrable":
        for _ in range(started):
            fake_freddy.next_response(duration=3)
    result = airflow(["dags", "test", dag_id], environ)
    if AIRFLOW < (3, 0) and dag_id == "freddy_timeout":
        exit_code = 1  # There, `airflow dags test` ends with the first task's timeout.
    assert result.returncode == exit_code, result.stdout + result.stderr
    assert len(fake_freddy.responses) == started
    assert fake_freddy.left_running == []
    assert fake_freddy.api_key not in without_airflows_own_leak(result.stdout + result.stderr)


def without_airflows_own_leak(output: str) -> str:
    """Leave out the lines in which `airflow dags test` of Airflow 3.0 prints the key of every connection."""
    if AIRFLOW != (3, 0):
        return output
    return "".join(line for line in output.splitlines() if "MaskSecret(" not in line)
