"""What callbacks and teardowns do on a real Airflow; how else a task can end is in ``tests/kill_matrix``."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

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


def test_the_key_is_in_no_log(airflow, freddy) -> None:
    assert airflow.logs_containing(freddy.api_key) == []
