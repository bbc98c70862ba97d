"""Tasks die on a real Airflow, of every supported version, and the count of responses left running is 0."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

import pytest
import requests

from tests.airflow_versions import AIRFLOW, LOST_WORKER_SECONDS, not_on_airflow

pytestmark = [pytest.mark.live, pytest.mark.timeout(180)]

STYLES = ["operator", "function"]


@pytest.mark.parametrize("how", ["raise", "exit"])
def test_a_function_that_fails_has_its_response_cancelled(start: Callable, how: str) -> None:
    run = start("function_no_retry", how=how)
    assert run.wait_for_end() == "failed"
    (response,) = run.responses()
    assert response.status == "cancelled"
    (line,) = run.last_words()
    assert f"{response.id} cancelled at" in line


def test_an_operator_that_fails_has_its_response_cancelled(start: Callable) -> None:
    run = start("operator_no_retry")
    response = run.wait_for_response()
    run.freddy.fault("status", status=403, method="GET", response_id=response.id, code="insufficient_permissions")
    assert run.wait_for_end() == "failed"
    assert run.left_running() == []
    (line,) = run.last_words()
    assert f"{response.id} cancelled at" in line


@pytest.mark.parametrize("style", STYLES)
def test_a_task_that_fails_with_a_retry_left_spares_the_next_try(start: Callable, style: str) -> None:
    run = start(f"{style}_one_retry", how="raise")
    first = run.wait_for_response()
    if style == "operator":
        run.freddy.fault("status", status=403, method="GET", response_id=first.id, code="insufficient_permissions")
    assert run.wait_for_end() == "success"
    assert [response.status for response in run.responses(1)] == ["cancelled"]
    assert [response.status for response in run.responses(2)] == ["completed"]


@pytest.mark.parametrize("style", STYLES)
def test_execution_timeout_cancels_the_response(start: Callable, style: str) -> None:
    run = start(f"{style}_timeout")
    response = run.wait_for_response()
    assert run.wait_until_cancelled(response.id, timeout=30) < 8
    assert run.wait_for_end() == "failed"
    assert run.left_running() == []


@not_on_airflow("3.0", because="it does not retry a task whose process was killed (mended in 3.1.2)")
@pytest.mark.parametrize("style", STYLES)
def test_a_worker_process_killed_with_a_retry_left_spares_the_next_try(start: Callable, style: str) -> None:
    run = start(f"{style}_one_retry", how="wait")
    first = run.wait_for_response()
    # Killed before the record is written it could not be found by anybody: that is the watchdog's case.
    run.freddy.wait_for(lambda: "freddy_responses" in run.airflow.xcoms(run.dag_id, run.run_id, "ask"), 30)
    processes = run.airflow.task_processes(run.dag_id, run.run_id, "ask")
    run.airflow.kill_pid(processes.task_pid, signal.SIGKILL)
    run.wait_until_cancelled(first.id, timeout=60)
    assert run.wait_for_end() == "success"
    assert [response.status for response in run.responses(2)] == ["completed"]
    assert run.left_running() == []


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("victims", ["task", "task and supervisor"])
def test_a_worker_process_killed_on_its_last_try_cancels(start: Callable, style: str, victims: str) -> None:
    run = start(f"{style}_no_retry")
    response = run.wait_for_response()
    processes = run.airflow.task_processes(run.dag_id, run.run_id, "ask")
    if victims == "task and supervisor":
        run.airflow.kill_pid(processes.supervisor_pid, signal.SIGKILL)
    run.airflow.kill_pid(processes.task_pid, signal.SIGKILL)
    run.wait_until_cancelled(response.id, timeout=LOST_WORKER_SECONDS)
    assert run.wait_for_end() == "failed"
    assert run.left_running() == []


@pytest.mark.parametrize("style", STYLES)
def test_a_task_that_ends_well_hands_its_response_on(start: Callable, style: str) -> None:
    run = start(f"{style}_hands_on")
    assert run.wait_for_end() == "success"
    assert len(run.left_running()) == 1
    # Its process is gone; whoever watched it would have acted by now.
    time.sleep(3)
    assert len(run.left_running()) == 1


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("deed", ["failed", "success", "skipped"])
def test_a_task_that_is_marked_while_it_waits_cancels(start: Callable, style: str, deed: str) -> None:
    run = start(f"{style}_no_retry")
    response = run.wait_for_response()
    run.airflow.mark(run.dag_id, run.run_id, "ask", deed)
    run.wait_until_cancelled(response.id, timeout=30)
    run.airflow.wait_for_task(run.dag_id, run.run_id, "ask", state=deed)


@not_on_airflow("3.0", because="a running task that was cleared stays 'restarting' and is not tried again")
@not_on_airflow("2.11", because="with quick heartbeats it may take a cleared task for a lost one, and not try it again")
@pytest.mark.parametrize("style", STYLES)
def test_a_task_that_is_cleared_while_it_waits_cancels_and_spares_the_next_try(start: Callable, style: str) -> None:
    run = start(f"{style}_no_retry")
    first = run.wait_for_response()
    run.airflow.clear(run.dag_id, run.run_id, "ask")
    run.wait_until_cancelled(first.id, timeout=30)
    assert run.wait_for_end() == "success"
    assert [response.status for response in run.responses(2)] == ["completed"]


@not_on_airflow("3.0", "3.1", "3.2", because="the supervisor does not tell its task (mended in 3.3.0)")
@pytest.mark.parametrize("style", STYLES)
def test_a_task_whose_worker_is_told_to_stop_cancels(start: Callable, style: str) -> None:
    run = start(f"{style}_no_retry")
    response = run.wait_for_response()
    processes = run.airflow.task_processes(run.dag_id, run.run_id, "ask")
    run.airflow.kill_pid(processes.supervisor_pid, signal.SIGTERM)
    run.wait_until_cancelled(response.id, timeout=10)
    # Airflow 3 does not tell a function to stop: this one sees that its response has ended, and ends too.
    ends_well = style == "function" and AIRFLOW >= (3, 0)
    assert run.wait_for_end() == ("success" if ends_well else "failed")


@not_on_airflow("3.0", because="it does not let a callback in the DAG processor read XComs (mended in 3.1.0)")
def test_the_callback_of_a_dag_cancels_what_the_run_has_started(start: Callable) -> None:
    run = start("run_that_fails")
    assert run.wait_for_end() == "failed"
    assert len(run.responses()) == 2
    run.freddy.wait_for(lambda: not run.left_running(), timeout=30)


def test_a_teardown_cancels_what_the_run_has_started(start: Callable) -> None:
    run = start("run_with_teardown")
    assert run.wait_for_end() == "failed"
    assert len(run.responses()) == 1
    assert run.left_running() == []


def test_a_tracked_response_ends_with_a_task_that_fails(start: Callable) -> None:
    run = start("tracked", how="raise")
    assert run.wait_for_end() == "failed"
    assert [response.status for response in run.responses()] == ["cancelled"]


@pytest.mark.parametrize("deed", ["kill", "mark"])
def test_a_tracked_response_ends_with_a_task_that_is_killed_or_marked(start: Callable, deed: str) -> None:
    run = start("tracked")
    response = run.wait_for_response()
    run.freddy.wait_for(lambda: "freddy_responses" in run.airflow.xcoms(run.dag_id, run.run_id, "ask"), 30)
    if deed == "kill":
        processes = run.airflow.task_processes(run.dag_id, run.run_id, "ask")
        run.airflow.kill_pid(processes.task_pid, signal.SIGKILL)
    else:
        run.airflow.mark(run.dag_id, run.run_id, "ask", "failed")
    run.wait_until_cancelled(response.id, timeout=30)
    assert run.wait_for_end() == "failed"
    assert run.left_running() == []


def test_a_missed_deadline_cancels_in_the_triggerer(start: Callable, freddy) -> None:
    reply = requests.post(
        f"{freddy.url}/v1/model/response",
        headers={"X-API-Key": freddy.api_key},
        json={"organization_id": "org_fake", "inputs": [{"role": "user", "content": "hello"}], "background": True},
        timeout=30,
    )
    response_id = reply.json()["id"]
    run = start("late", response_id=response_id)
    run.wait_until_cancelled(response_id, timeout=60)


def test_the_key_is_in_no_log(airflow, freddy) -> None:
    assert airflow.logs_containing(freddy.api_key) == []
