"""The callbacks in Airflow's own task runner, against the fake."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from airflow_provider_freddy.callbacks import CancelResponseCallback
from airflow_provider_freddy.testing import FakeFreddy


def last_words(log: str) -> list[str]:
    return [line for line in log.splitlines() if "Freddy callback for" in line]


def test_what_a_failed_task_has_started_is_cancelled(run_dag: Callable, fake_freddy_connection: FakeFreddy) -> None:
    run = run_dag("fail_with_callback")
    (response,) = fake_freddy_connection.responses
    assert run.tasks == {"ask": "failed"}
    assert "the task's own error" in run.log
    assert fake_freddy_connection.left_running == []
    assert [request.method for request in fake_freddy_connection.requests] == ["POST", "DELETE"]
    (line,) = last_words(run.log)
    assert f"try 1: {response.id} cancelled at" in line
    assert "costs nothing more" in line
    assert run.log.count("another callback ran for ask") >= 2


def test_all_that_a_task_has_started_is_cancelled_over_few_connections(
    run_dag: Callable, fake_freddy_connection: FakeFreddy
) -> None:
    run = run_dag("fail_with_callback", responses=12)
    assert fake_freddy_connection.left_running == []
    (line,) = last_words(run.log)
    assert all(response.id in line for response in fake_freddy_connection.responses)
    assert fake_freddy_connection.connections <= 8


def test_a_task_that_has_started_nothing_asks_nothing(run_dag: Callable, fake_freddy_connection: FakeFreddy) -> None:
    run = run_dag("fail_with_callback", responses=0)
    assert fake_freddy_connection.requests == []
    (line,) = last_words(run.log)
    assert "it had started no response" in line
    assert "ERROR" not in line


def test_before_a_retry_the_response_is_cancelled_and_the_next_try_is_left_alone(
    run_dag: Callable, fake_freddy_connection: FakeFreddy
) -> None:
    run = run_dag("fail_and_retry")
    assert run.state == "success"
    first, second = sorted(fake_freddy_connection.responses, key=lambda response: response.metadata["try"])
    assert first.status == "cancelled"
    assert fake_freddy_connection.left_running == [second.id]


def test_siblings_of_a_mapped_task_are_left_alone(run_dag: Callable, fake_freddy_connection: FakeFreddy) -> None:
    run_dag("fail_one_of_three")
    cancelled = [r.metadata["number"] for r in fake_freddy_connection.responses if r.status == "cancelled"]
    assert cancelled == [1]
    assert fake_freddy_connection.running_count == 2


def test_what_other_tasks_have_started_can_be_cancelled(run_dag: Callable, fake_freddy_connection: FakeFreddy) -> None:
    run_dag("fail_beside_the_task_that_started")
    running = [
        r.metadata.get("keep") for r in fake_freddy_connection.responses if r.id in fake_freddy_connection.left_running
    ]
    assert running == ["yes"]


def test_a_given_id_can_be_a_template(run_dag: Callable, fake_freddy_connection: FakeFreddy) -> None:
    run_dag("fail_with_a_given_id", **{"from": "begin"})
    assert fake_freddy_connection.left_running == []


def test_a_template_that_finds_nothing_cancels_nothing_and_says_so(
    run_dag: Callable, fake_freddy_connection: FakeFreddy
) -> None:
    run = run_dag("fail_with_a_given_id", **{"from": "nobody"})
    assert fake_freddy_connection.running_count == 1
    (line,) = last_words(run.log)
    assert "a template that found nothing" in line


@pytest.mark.parametrize(
    ("fault", "options"),
    [
        ("status", {"status": 503}),
        ("status", {"status": 429, "retry_after": 120}),
        ("hang", {}),
        ("garbage", {"body": "html", "work": False}),
        ("delay", {"seconds": 120}),
    ],
)
def test_freddy_in_trouble_costs_the_task_no_more_than_the_budget(
    run_dag: Callable, fake_freddy_connection: FakeFreddy, fault: str, options: dict
) -> None:
    fake_freddy_connection.fault(fault, method="DELETE", times=None, **options)
    fake_freddy_connection.fault(fault, method="GET", times=None, **options)
    begin = time.monotonic()
    run = run_dag("fail_with_a_slow_cancel")
    # Nearly all of it is Airflow's, on a busy machine.
    assert time.monotonic() - begin < 60
    assert run.tasks == {"hurry": "failed"}
    assert "the task's own error" in run.log
    (line,) = last_words(run.log)
    (response,) = fake_freddy_connection.responses
    assert f"Response {response.id} MAY STILL RUN AND COST MONEY" in line
    assert "ERROR" in line


def test_a_lost_reply_is_asked_for_again(run_dag: Callable, fake_freddy_connection: FakeFreddy) -> None:
    fake_freddy_connection.fault("drop_after", method="DELETE")
    run = run_dag("fail_with_callback")
    assert fake_freddy_connection.left_running == []
    assert "had already ended (cancelled)" in last_words(run.log)[0]


@pytest.mark.parametrize("context", [{}, {"ti": None}, {"reason": "x"}, {"exception": 1, "ti": object()}])
def test_it_never_raises_whatever_the_context(context: dict) -> None:
    CancelResponseCallback(budget=1)(context)


@pytest.mark.parametrize("budget", [0, -1, float("inf"), "5"])
def test_a_wrong_budget_is_told_when_the_dag_is_parsed(budget: object) -> None:
    with pytest.raises(ValueError, match="budget must be a positive number of seconds"):
        CancelResponseCallback(budget=budget)  # type: ignore[arg-type]
