"""The notifier in Airflow's own task runner, against the fake."""

from __future__ import annotations

from collections.abc import Callable

from airflow_provider_freddy.testing import FakeFreddy


def last_words(log: str) -> list[str]:
    return [line for line in log.splitlines() if "Freddy callback for" in line]


def test_what_a_failed_task_has_started_is_cancelled(run_dag: Callable, fake_freddy_connection: FakeFreddy) -> None:
    run = run_dag("notify_own")
    (response,) = fake_freddy_connection.responses
    assert response.status == "cancelled"
    (line,) = last_words(run.log)
    assert f"{response.id} cancelled at" in line
    assert run.log.count("another callback ran for ask") >= 2


def test_what_other_tasks_have_started_can_be_cancelled(run_dag: Callable, fake_freddy_connection: FakeFreddy) -> None:
    run_dag("notify_beside")
    running = [r.metadata.get("keep") for r in fake_freddy_connection.responses if r.status == "processing"]
    assert running == ["yes"]


def test_every_task_that_shares_a_notifier_has_it_rendered_for_itself(
    run_dag: Callable, fake_freddy_connection: FakeFreddy
) -> None:
    run = run_dag("notify_with_a_given_id")
    assert fake_freddy_connection.left_running == [run.xcom("begin", "response_id", 1)]


def test_a_template_that_fails_is_told_and_does_no_harm(run_dag: Callable, fake_freddy_connection: FakeFreddy) -> None:
    run = run_dag("notify_with_a_template_that_fails")
    assert "MAY STILL RUN AND COST MONEY. ZeroDivisionError" in run.log
    assert "another callback ran for slip" in run.log
    assert fake_freddy_connection.requests == []
