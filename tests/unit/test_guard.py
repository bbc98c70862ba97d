"""One line, or one setting, wires a whole DAG."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_freddy.callbacks import CancelResponseCallback, cancel_response_on_failure
from airflow_provider_freddy.guard import guard
from airflow_provider_freddy.operators.freddy import CreateResponseOperator
from tests.airflow_versions import AIRFLOW, dag_to_dict

ROOT = Path(__file__).parents[2]


def author(context: Any) -> None: ...


@pytest.fixture
def dag() -> DAG:
    with DAG("guarded", schedule=None) as dag:

        @task(on_failure_callback=author)
        def plain() -> None: ...

        own = CancelResponseCallback(task_ids="plain")
        wired = CreateResponseOperator(
            task_id="wired", inputs="a", on_failure_callback=[author, own, cancel_response_on_failure]
        )
        mapped = CreateResponseOperator.partial(task_id="mapped").expand(inputs=["a", "b"])
        plain() >> wired >> mapped
    return dag


def test_every_task_and_the_dag_get_the_callbacks_beside_the_authors(dag: DAG) -> None:
    assert guard(dag) is dag
    assert dag.get_task("plain").on_failure_callback == [author, cancel_response_on_failure]
    assert dag.get_task("plain").on_retry_callback == [cancel_response_on_failure]
    assert dag.get_task("mapped").on_failure_callback == [cancel_response_on_failure]
    assert dag.on_failure_callback == [cancel_response_on_failure]


def test_a_task_that_has_ours_already_keeps_it(dag: DAG) -> None:
    before = list(dag.get_task("wired").on_failure_callback)
    guard(guard(dag))
    assert dag.get_task("wired").on_failure_callback == before
    assert before.count(cancel_response_on_failure) == 1
    assert dag.on_failure_callback == [cancel_response_on_failure]


def test_airflow_is_told_of_them(dag: DAG) -> None:
    data = dag_to_dict(guard(dag, sweep=True))["dag"]
    assert data["has_on_failure_callback"] is True
    tasks = {entry["__var"]["task_id"]: entry["__var"] for entry in data["tasks"]}
    if AIRFLOW >= (3, 1):
        # Before, Airflow looks for the callbacks of a task whether it has any or not.
        assert tasks["plain"]["has_on_failure_callback"]
        assert tasks["plain"]["has_on_retry_callback"]


def test_the_sweep_is_a_teardown_at_the_end(dag: DAG) -> None:
    guard(guard(dag, sweep=True), sweep=True)
    sweep = dag.get_task("freddy_sweep")
    assert sweep.is_teardown
    assert sweep.upstream_task_ids == {"mapped"}


@pytest.mark.parametrize(("setting", "guarded"), [("True", True), ("False", False)])
def test_one_setting_guards_every_dag(setting: str, guarded: bool, tmp_path: Any) -> None:
    (tmp_path / "dag.py").write_text(
        "from airflow.providers.common.compat.sdk import DAG, task\n"
        "with DAG('any', schedule=None):\n"
        "    task(task_id='t')(lambda: None)()\n"
    )
    code = f"""
from tests.airflow_versions import dag_bag
dag = dag_bag({str(tmp_path)!r}).dags['any']
print('guarded:', bool(dag.on_failure_callback), bool(dag.get_task('t').on_retry_callback))
"""
    environ = {**os.environ, "AIRFLOW__FREDDY__GUARD_ALL_DAGS": setting}
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=environ, check=True, cwd=ROOT
    )
    assert f"guarded: {guarded} {guarded}" in result.stdout
