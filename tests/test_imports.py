"""What it costs a DAG file to import the provider: counted in modules, in a fresh interpreter."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.airflow_versions import AIRFLOW

DAG_FACING = [
    "airflow_provider_freddy.callbacks",
    "airflow_provider_freddy.deadlines",
    "airflow_provider_freddy.exceptions",
    "airflow_provider_freddy.hooks.freddy",
    "airflow_provider_freddy.links.freddy",
    "airflow_provider_freddy.metrics",
    "airflow_provider_freddy.notifications.freddy",
    "airflow_provider_freddy.operators.freddy",
    "airflow_provider_freddy.sensors.freddy",
    *(["airflow_provider_freddy.retry_policy"] if AIRFLOW >= (3, 3) else []),
]
HTTP_LIBRARIES = {
    "requests",
    "urllib3",
    "aiohttp",
    "openai",
    "pandas",
    "asgiref",
    "requests_toolbelt",
    "uvicorn",
    "starlette",
}


def modules_loaded_by(names: list[str], before: str) -> set[str]:
    code = (
        f"import json, sys\n{before}\nseen = set(sys.modules)\n"
        + "\n".join(f"import {name}" for name in names)
        + "\nprint(json.dumps(sorted(set(sys.modules) - seen)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    return set(json.loads(result.stdout.splitlines()[-1]))


@pytest.fixture(scope="module")
def new_modules() -> set[str]:
    names = "DAG, task, BaseOperator, BaseSensorOperator"
    return modules_loaded_by(DAG_FACING, f"from airflow.providers.common.compat.sdk import {names}")


def test_a_dag_file_loads_no_http_library(new_modules: set[str]) -> None:
    assert {name.split(".")[0] for name in new_modules} & HTTP_LIBRARIES == set()


def test_a_dag_file_loads_at_most_12_modules_outside_the_provider(new_modules: set[str]) -> None:
    outside = sorted(name for name in new_modules if not name.startswith("airflow_provider_freddy"))
    # Airflow 3.0 loads its own base classes of links and notifiers only when somebody asks for them.
    assert len(outside) <= (14 if AIRFLOW == (3, 0) else 12), outside


def test_the_entry_point_of_airflow_loads_nothing_but_the_provider() -> None:
    loaded = modules_loaded_by(["airflow_provider_freddy.get_provider_info as gpi; gpi.get_provider_info()"], "")
    outside = {name.split(".")[0] for name in loaded} - {"airflow_provider_freddy"} - set(sys.stdlib_module_names)
    assert outside == set()


def test_the_testing_package_loads_no_server_until_it_is_used() -> None:
    loaded = modules_loaded_by(["airflow_provider_freddy.testing", "airflow_provider_freddy.testing.pytest_plugin"], "")
    assert {name.split(".")[0] for name in loaded} & {"uvicorn", "starlette", "trustme", "airflow"} == set()
