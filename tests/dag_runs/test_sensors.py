"""The sensors in Airflow's own task runner, against the fake."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_provider_freddy.hooks.freddy import FreddyHook
from airflow_provider_freddy.testing import FakeFreddy
from tests.airflow_versions import needs_airflow


@pytest.fixture
def response_id(fake_freddy_connection: FakeFreddy) -> str:
    """A response that ends as completed after a moment."""
    fake_freddy_connection.next_response(duration=0.6)
    return FreddyHook().create_response("hello").id


@pytest.fixture
def running_id(fake_freddy_connection: FakeFreddy) -> str:
    """A response that outlives the test."""
    return FreddyHook().create_response("hello").id


@pytest.fixture
def cancelled_id(running_id: str) -> str:
    FreddyHook().cancel_response(running_id)
    return running_id


def test_it_waits_until_the_response_is_completed(run_dag: Callable, response_id: str) -> None:
    run = run_dag("wait_until_completed", response_id=response_id)
    assert run.state == "success"
    assert run.xcom("wait")["status"] == "completed"


def test_it_sees_that_the_response_is_cancelled(run_dag: Callable, cancelled_id: str) -> None:
    run = run_dag("wait_until_cancelled", response_id=cancelled_id)
    assert run.state == "success"
    assert run.xcom("wait")["cancelled_at"] or run.xcom("wait")["status"] == "cancelled"


def test_it_waits_by_rescheduling(run_dag: Callable, cancelled_id: str) -> None:
    assert run_dag("wait_by_rescheduling", response_id=cancelled_id).state == "success"


@needs_airflow("3.3", "before, nothing keeps the count from one rescheduled look to the next")
def test_failed_looks_are_counted_from_one_rescheduled_look_to_the_next(
    run_dag: Callable, fake_freddy_connection: FakeFreddy, cancelled_id: str
) -> None:
    fake_freddy_connection.fault("garbage", method="GET", body="not_json", times=2)
    assert run_dag("wait_by_rescheduling", response_id=cancelled_id).state == "success"
    fake_freddy_connection.fault("garbage", method="GET", body="not_json", times=3)
    assert run_dag("wait_by_rescheduling", response_id=cancelled_id).tasks == {"wait": "failed"}


def test_both_sensors_can_be_mapped(run_dag: Callable, response_id: str) -> None:
    run = run_dag("wait_for_each", response_id=response_id)
    assert run.tasks == {"wait[0]": "success", "wait[1]": "success", "confirm[0]": "success"}


def test_it_can_wait_for_more_than_one_status(run_dag: Callable, running_id: str) -> None:
    assert run_dag("wait_for_any_of_two", response_id=running_id).xcom("wait")["status"] == "processing"


@pytest.mark.parametrize(
    ("dag_id", "state"),
    [
        ("wait_until_cancelled", "failed"),
        ("wait_by_rescheduling", "failed"),
        ("wait_until_cancelled_or_skip", "skipped"),
        ("wait_until_cancelled_or_ended", "success"),
    ],
)
def test_a_response_that_ends_otherwise_is_not_waited_for(
    run_dag: Callable, response_id: str, dag_id: str, state: str
) -> None:
    run = run_dag(dag_id, response_id=response_id)
    assert run.tasks == {"wait": state}
    assert f"Response {response_id} has ended as 'completed' and can never be 'cancelled' any more" in run.log


def test_some_failed_looks_in_a_row_are_tolerated(
    run_dag: Callable, fake_freddy_connection: FakeFreddy, response_id: str
) -> None:
    fake_freddy_connection.fault("garbage", method="GET", body="not_json", times=2)
    assert run_dag("wait_until_completed", response_id=response_id).state == "success"


def test_one_failed_look_too_many_fails_the_task(
    run_dag: Callable, fake_freddy_connection: FakeFreddy, response_id: str
) -> None:
    fake_freddy_connection.fault("garbage", method="GET", body="not_json", times=3)
    run = run_dag("wait_until_completed", response_id=response_id)
    assert run.tasks == {"wait": "failed"}
    assert "FreddyUnexpectedReplyError" in run.log


def test_a_wrong_key_is_not_waited_for(run_dag: Callable, fake_freddy_connection: FakeFreddy, response_id: str) -> None:
    fake_freddy_connection.fault("status", status=401, method="GET", code="invalid_api_key", times=1)
    run = run_dag("wait_until_completed", response_id=response_id)
    assert run.tasks == {"wait": "failed"}
    assert "FreddyCredentialsError" in run.log


def test_an_unknown_status_is_waited_on_and_logged_once(
    run_dag: Callable, fake_freddy_connection: FakeFreddy, response_id: str
) -> None:
    future = f'{{"id": "{response_id}", "status": "pondering"}}'
    fake_freddy_connection.fault("status", status=200, body=future, method="GET", times=3)
    run = run_dag("wait_until_completed", response_id=response_id)
    assert run.state == "success"
    assert run.log.count("is 'pondering', a status not known here") == 1


def test_an_id_that_nobody_pushed_fails_before_anything_is_sent(
    run_dag: Callable, fake_freddy_connection: FakeFreddy
) -> None:
    run = run_dag("wait_until_completed", response_id=None)
    assert run.tasks == {"wait": "failed"}
    assert "a template that found nothing" in run.log
    assert fake_freddy_connection.requests == []


@pytest.mark.parametrize("wrong", [{"status": "done"}, {"status": []}, {"on_other_end": "explode"}])
def test_a_wrong_argument_is_told_when_the_dag_is_parsed(wrong: dict) -> None:
    from airflow_provider_freddy.sensors.freddy import ResponseStatusSensor

    with pytest.raises(ValueError, match="must be one"):
        ResponseStatusSensor(task_id="wait", response_id="resp_1", **wrong)


def test_the_cancelled_sensor_takes_no_other_status() -> None:
    from airflow_provider_freddy.sensors.freddy import ResponseCancelledSensor

    with pytest.raises(ValueError, match="ResponseStatusSensor takes a status"):
        ResponseCancelledSensor(task_id="wait", response_id="resp_1", status="completed")
