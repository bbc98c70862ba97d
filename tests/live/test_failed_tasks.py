"""What callbacks and teardowns do on a real Airflow; how else a task can end is in ``tests/kill_matrix``."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

import pytest
import requests

from tests.airflow_versions import needs_airflow, not_on_airflow

pytestmark = [pytest.mark.live, pytest.mark.timeout(180)]

STYLES = ["operator", "function"]


@pytest.mark.parametrize("how", ["raise", "exit"])
def test_a_function_that_fails_has_its_response_cancelled(start: Callable, how: str) -> None:
    run = start("function_that_fails", how=how)
    assert run.wait_for_end() == "failed"
    (response,) = run.responses()
    assert response.status == "cancelled"
    (line,) = run.last_words()
    assert f"{response.id} cancelled at" in line


@pytest.mark.parametrize("style", STYLES)
def test_a_task_that_ends_well_hands_its_response_on(start: Callable, style: str) -> None:
    run = start(f"{style}_hands_on")
    assert run.wait_for_end() == "success"
    assert len(run.left_running()) == 1
    # Its process is gone; whoever watched it would have acted by now.
    time.sleep(3)
    assert len(run.left_running()) == 1


@not_on_airflow("3.0", because="it does not let a callback in the DAG processor read XComs")
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


@needs_airflow("3.2", "before, a deadline cannot call a notifier, and is imported from elsewhere")
def test_a_missed_deadline_cancels_in_the_triggerer(start: Callable, freddy) -> None:
    """Both DAGs of the pages, the first of which starts its response itself."""
    with_callback = start("within_the_hour")
    reply = requests.post(
        f"{freddy.url}/v1/model/response",
        headers={"X-API-Key": freddy.api_key},
        json={"organization_id": "org_fake", "inputs": [{"role": "user", "content": "hello"}], "background": True},
        timeout=30,
    )
    with_notifier = start("notified_when_late", response_id=reply.json()["id"])
    freddy.wait_for(lambda: own_response(freddy, with_callback.run_id), 60)
    for run, response_id in (
        (with_callback, own_response(freddy, with_callback.run_id)),
        (with_notifier, reply.json()["id"]),
    ):
        run.wait_until_cancelled(response_id, timeout=60)
        # A task that waits for a response that is cancelled fails.
        assert run.wait_for_end() == "failed"


def own_response(freddy, run_id: str) -> str | None:
    """Return the response that a task of the run has started, by what the provider tells Freddy of it."""
    found = (response.id for response in freddy.responses if response.metadata.get("airflow_run_id") == run_id)
    return next(found, None)


def test_the_key_is_in_no_log(airflow, freddy) -> None:
    assert airflow.logs_containing(freddy.api_key) == []
