"""The record as the API server reads it, from the database of a run."""

from __future__ import annotations

from collections.abc import Callable

from airflow_provider_freddy.marked import recorded_in_database
from airflow_provider_freddy.testing import FakeFreddy
from tests.airflow_versions import needs_airflow

pytestmark = needs_airflow("3.0", "before, no listener is told of a mark")


def test_what_a_task_has_recorded_is_found_by_run_task_and_try(
    run_dag: Callable, fake_freddy_connection: FakeFreddy
) -> None:
    run = run_dag("create_and_hand_on")
    (response,) = fake_freddy_connection.responses

    def found(*which: object) -> list[str]:
        return [entry.response_id for entry in recorded_in_database("create_and_hand_on", run.run_id, *which)]

    assert found() == found("ask") == found("ask", -1, 1) == [response.id]
    assert found("ask", -1, 2) == found("ask", 0, 1) == found("another") == []
    assert recorded_in_database("create_and_hand_on", "another run") == []
