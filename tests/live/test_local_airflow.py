"""LocalAirflow starts a working Airflow, reaches into it, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import psutil
import pytest

from demo import airflow_logs
from demo.airflow_api import DagImportError, WaitTimeoutError
from demo.airflow_processes import ProcessDiedError
from demo.local_airflow import LocalAirflow

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.live

DAGS = """
import time
from datetime import timedelta

from airflow.providers.standard.sensors.time_delta import TimeDeltaSensor
from airflow.sdk import dag, task


@dag(schedule=None)
def quick():
    @task
    def greet(**context):
        print("a line for", context["dag_run"].conf["name"])
        return {"numbers": [1, 2], "text": "three"}

    @task
    def double(number):
        return 2 * number

    double.expand(number=[1, 2])
    greet()


@dag(schedule=None)
def slow():
    @task(retries=1, retry_delay=0)
    def sleep():
        time.sleep(600)

    sleep()


@dag(schedule=None)
def deferred():
    TimeDeltaSensor(task_id="wait", delta=timedelta(seconds=600), deferrable=True)


quick()
slow()
deferred()
"""


@pytest.fixture(scope="module")
def dags_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dags")
    (folder / "dags.py").write_text(DAGS)
    return folder


@pytest.fixture(scope="module")
def airflow(dags_folder: Path) -> Iterator[LocalAirflow]:
    with LocalAirflow(dags_folder) as running:
        running.wait_for_dag("quick")
        running.wait_for_dag("slow")
        yield running


def start_slow_run(airflow: LocalAirflow) -> str:
    run_id = airflow.trigger("slow")
    airflow.wait_for_task("slow", run_id, "sleep", state="running")
    return run_id


def test_run_succeeds(airflow: LocalAirflow) -> None:
    run_id = airflow.trigger("quick", {"name": "you"})

    assert airflow.wait_for_run("quick", run_id, timeout=60) == "success"

    states = {str(instance) for instance in airflow.task_instances("quick", run_id)}
    assert states == {f"{name}: success (try 1)" for name in ("greet", "double[0]", "double[1]")}
    assert airflow.xcoms("quick", run_id, "greet") == {"return_value": {"numbers": [1, 2], "text": "three"}}
    assert airflow.xcoms("quick", run_id, "double", map_index=1) == {"return_value": 4}
    assert "info a line for you" in airflow.task_log("quick", run_id, "greet")
    [log] = airflow.task_log_files("quick", run_id, "greet")
    assert log in airflow.logs_containing("a line for you")


def test_import_error_is_raised_with_its_text(airflow: LocalAirflow, dags_folder: Path) -> None:
    broken = dags_folder / "broken.py"
    broken.write_text("from airflow.sdk import dag\nraise RuntimeError('this file is broken')\n")
    try:
        with pytest.raises(DagImportError, match="this file is broken"):
            airflow.wait_for_dag("broken", timeout=30)
    finally:
        broken.unlink()


def test_killed_task_runs_again(airflow: LocalAirflow) -> None:
    run_id = start_slow_run(airflow)
    processes = airflow.task_processes("slow", run_id, "sleep")
    assert psutil.Process(processes.task_pid).ppid() == processes.supervisor_pid

    airflow.kill_pid(processes.task_pid)

    airflow.wait_for_task("slow", run_id, "sleep", state="running", try_number=2)
    again = airflow.task_processes("slow", run_id, "sleep")
    assert again.task_pid != processes.task_pid
    with pytest.raises(WaitTimeoutError, match=r"sleep: running \(try 2\)"):
        airflow.wait_for_run("slow", run_id, timeout=0.5)
    airflow.mark("slow", run_id, "sleep", "failed")
    assert airflow.wait_for_run("slow", run_id, timeout=30) == "failed"


def test_marked_task_ends_and_cleared_task_runs_again(airflow: LocalAirflow) -> None:
    run_id = start_slow_run(airflow)
    task = psutil.Process(airflow.task_processes("slow", run_id, "sleep").task_pid)

    airflow.mark("slow", run_id, "sleep", "failed")
    assert airflow.wait_for_run("slow", run_id, timeout=30) == "failed"
    task.wait(20)

    airflow.clear("slow", run_id, "sleep")
    airflow.wait_for_task("slow", run_id, "sleep", state="running", try_number=2)
    airflow.mark_run("slow", run_id, "success")
    assert airflow.run_state("slow", run_id) == "success"


def test_killed_scheduler_can_be_started_again(airflow: LocalAirflow) -> None:
    former = airflow.process_pid("scheduler")
    airflow.kill_process("scheduler", with_descendants=True)
    assert not psutil.pid_exists(former)

    assert airflow.start_process("scheduler") == 0

    run_id = airflow.trigger("quick", {"name": "you"})
    assert airflow.wait_for_run("quick", run_id, timeout=60) == "success"
    assert airflow.process_output("scheduler").count("Starting the scheduler") == 2


def test_foreign_process_cannot_be_killed(airflow: LocalAirflow) -> None:
    with pytest.raises(LookupError):
        airflow.kill_pid(os.getpid(), signal.SIGKILL)


def test_nothing_is_left_when_the_body_raises(dags_folder: Path) -> None:
    foreign = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    airflow = LocalAirflow(dags_folder, triggerers=2)
    try:
        with pytest.raises(ZeroDivisionError), airflow:  # ruff: ignore[pytest-raises-with-multiple-statements]
            airflow.wait_for_dag("deferred")
            deferred_run_id = airflow.trigger("deferred")
            run_id = start_slow_run(airflow)
            assert airflow.triggerer_of("deferred", deferred_run_id, "wait") in {0, 1}
            processes = airflow.task_processes("slow", run_id, "sleep")
            assert processes.supervisor_pid is not None
            airflow.kill_pid(processes.supervisor_pid)
            assert airflow.task_processes("slow", run_id, "sleep").supervisor_pid is None
            pids = airflow.owned_pids()
            assert processes.task_pid in pids
            assert airflow.process_pid("triggerer", 1) in pids
            raise ZeroDivisionError
        assert airflow.owned_pids() == []
        assert not [pid for pid in pids if psutil.pid_exists(pid) and _is_alive(pid)]
        assert not airflow.home.exists()
        assert foreign.poll() is None
    finally:
        foreign.kill()
        foreign.wait()


def test_nothing_is_left_when_a_process_cannot_start(dags_folder: Path) -> None:
    airflow = LocalAirflow(dags_folder, config={"CORE__EXECUTOR": "no.such.Executor"})
    with pytest.raises(ProcessDiedError, match=r"scheduler 0 ended with exit code 1:\n(.|\n)*no\.such"), airflow:
        pytest.fail("it must not start")
    assert airflow.owned_pids() == []
    assert not airflow.home.exists()


def test_readable_log() -> None:
    error = {"exc_type": "ValueError", "exc_value": "wrong", "frames": [{"filename": "a.py", "lineno": 3, "name": "f"}]}
    lines = [
        "no JSON at all",
        json.dumps({"timestamp": "T", "level": "info", "event": "hello", "logger": "task", "count": 2, "who": "me"}),
        json.dumps({"timestamp": "T", "level": "error", "event": "failed", "error_detail": [error]}),
    ]
    assert airflow_logs.readable("\n".join(lines)).splitlines() == [
        "no JSON at all",
        "T info hello count=2 who='me'",
        "T error failed",
        "    a.py:3 in f",
        "  ValueError: wrong",
    ]


def _is_alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
