"""A response that the vendor's SDK or a plain request has started, in Airflow's own task runner."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_provider_freddy.testing import FakeFreddy


@pytest.mark.parametrize("by", ["sdk", "request"])
def test_it_ends_with_a_task_that_fails(run_dag: Callable, fake_freddy_connection: FakeFreddy, by: str) -> None:
    run = run_dag("track_a_response", how="fail", by=by)
    (response,) = fake_freddy_connection.responses
    assert run.tasks == {"ask": "failed"}
    assert response.status == "cancelled"
    assert f"Freddy response {response.id} belongs to this task" in run.log


@pytest.mark.parametrize("by", ["sdk", "request"])
def test_it_is_handed_on_by_a_task_that_ends_well(
    run_dag: Callable, fake_freddy_connection: FakeFreddy, by: str
) -> None:
    run = run_dag("track_a_response", how="end well", by=by)
    (response_id,) = fake_freddy_connection.left_running
    assert run.state == "success"
    (entry,) = run.xcom("ask", "freddy_responses")
    assert entry["response_id"] == response_id
    assert entry["cancel_on_failure"] is True
