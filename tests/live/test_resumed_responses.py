"""A retry takes over the response that the failed try has paid for, on a real Airflow."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytestmark = [pytest.mark.live, pytest.mark.timeout(240)]

STYLES = ["operator", "deferrable"]


def make_look_fail(run, response_id: str, times: int = 1) -> None:
    run.freddy.fault(
        "status", status=403, method="GET", response_id=response_id, code="insufficient_permissions", times=times
    )


@pytest.mark.parametrize("style", STYLES)
def test_a_retry_waits_for_the_response_of_the_failed_try(start: Callable, style: str) -> None:
    run = start(f"{style}_resumes", duration=20)
    response = run.wait_for_response()
    make_look_fail(run, response.id)
    assert run.wait_for_end() == "success"
    assert [(one.id, one.status) for one in run.responses()] == [(response.id, "completed")]
    assert "is left to the next try" in run.airflow.task_log(run.dag_id, run.run_id, "ask", 1)
    assert "taking it over" in run.airflow.task_log(run.dag_id, run.run_id, "ask", 2)
    assert run.airflow.xcoms(run.dag_id, run.run_id, "ask")["response_id"] == response.id


@pytest.mark.parametrize("style", STYLES)
def test_a_retry_that_fails_too_cancels(start: Callable, style: str) -> None:
    run = start(f"{style}_resumes")
    response = run.wait_for_response()
    make_look_fail(run, response.id, times=50)
    assert run.wait_for_end() == "failed"
    assert [(one.id, one.status) for one in run.responses()] == [(response.id, "cancelled")]


@pytest.mark.parametrize("style", STYLES)
def test_a_clear_cancels_and_starts_anew(start: Callable, style: str) -> None:
    run = start(f"{style}_resumes")
    first = run.wait_for_response()
    run.airflow.clear(run.dag_id, run.run_id, "ask")
    run.wait_until_cancelled(first.id, timeout=40)
    assert run.wait_for_end() == "success"
    assert [one.status for one in run.responses(2)] == ["completed"]
