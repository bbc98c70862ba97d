"""An Airflow home of its own for the tests, set before anything imports Airflow."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import pytest

_HOME = Path(tempfile.mkdtemp(prefix="freddy-tests-"))
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)

for _name in [name for name in os.environ if name.startswith(("AIRFLOW__", "AIRFLOW_CONN_", "FREDDY_"))]:
    del os.environ[_name]
os.environ["AIRFLOW_HOME"] = str(_HOME)
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(Path(__file__).parent / "dag_runs" / "dags")
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"
# A watchdog of the test process itself would outlive it; the tests that want one ask for it.
os.environ["AIRFLOW__FREDDY__WATCHDOG"] = "off"


@pytest.fixture(scope="session")
def _database() -> None:
    """The tables in the database of that home."""
    from tests.airflow_versions import create_database

    create_database()
