"""What a try does about the responses of earlier ones: it takes over what was left to it, and cancels the rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_freddy.arming import cancel_what_is_left, leave_to_retry
from airflow_provider_freddy.exceptions import FreddyPermissionError
from airflow_provider_freddy.hooks.earlier_tries import cancel_earlier_tries, take_over
from airflow_provider_freddy.hooks.freddy import FreddyHook
from airflow_provider_freddy.operators.freddy import CreateResponseOperator
from airflow_provider_freddy.stored_record import RECORD_KEY, keep_for_retry
from airflow_provider_freddy.testing import FakeFreddy
from tests.unit.test_rules import Store, entry, failed, started_elsewhere, task

__all__ = ["task"]


@pytest.fixture
def run_id(request: pytest.FixtureRequest) -> str:
    return request.node.nodeid


@pytest.fixture
def second_try(task: dict[str, Any]) -> Callable[[str, list[str]], dict[str, Any]]:
    """Begin the second try of a task whose first one has left one response to it, and others behind."""

    def begin(kept: str, others: list[str]) -> dict[str, Any]:
        ti = task["ti"]
        ti.max_tries = 2
        task["task_state_store"].set(RECORD_KEY, [entry(one, ti) for one in (kept, *others)])
        keep_for_retry(task, kept)
        ti.try_number = 2
        return task

    return begin


def recorded(context: dict[str, Any]) -> list[tuple[str, int]]:
    return [(one["response_id"], one["try_number"]) for one in context["task_state_store"][RECORD_KEY]]


def test_a_retry_is_in_charge_of_what_was_left_to_it_and_cancels_the_rest(
    fake_freddy_connection: FakeFreddy, second_try: Callable[..., dict[str, Any]]
) -> None:
    kept, other = started_elsewhere(2)
    context = second_try(kept, [other])
    response = take_over(FreddyHook(), context)
    assert response is not None
    assert response.id == kept
    assert fake_freddy_connection.left_running == [kept]
    assert recorded(context) == [(kept, 2)]
    cancel_what_is_left(failed(context))
    assert fake_freddy_connection.left_running == []


def test_one_that_has_completed_meanwhile_is_taken_over_too(
    fake_freddy_connection: FakeFreddy, second_try: Callable[..., dict[str, Any]]
) -> None:
    fake_freddy_connection.next_response(duration=0.01, queued_for=0)
    (kept,) = started_elsewhere()
    fake_freddy_connection.wait_for(lambda: not fake_freddy_connection.left_running, 10)
    response = take_over(FreddyHook(), second_try(kept, []))
    assert response is not None
    assert response.status == "completed"


def test_one_that_was_cancelled_meanwhile_is_not_worth_waiting_for(
    fake_freddy_connection: FakeFreddy, second_try: Callable[..., dict[str, Any]]
) -> None:
    (kept,) = started_elsewhere()
    FreddyHook().cancel_response(kept)
    assert take_over(FreddyHook(), second_try(kept, [])) is None


def test_one_that_cannot_be_looked_at_ends_with_the_retry(
    fake_freddy_connection: FakeFreddy, second_try: Callable[..., dict[str, Any]]
) -> None:
    (kept,) = started_elsewhere()
    context = second_try(kept, [])
    fake_freddy_connection.fault("status", method="GET", status=403, code="no", times=None)
    with pytest.raises(FreddyPermissionError):
        take_over(FreddyHook(), context)
    cancel_what_is_left(failed(context))
    assert fake_freddy_connection.left_running == []


def test_where_nothing_was_left_nothing_is_asked(fake_freddy_connection: FakeFreddy, task: dict[str, Any]) -> None:
    task["ti"].max_tries = 2
    assert take_over(FreddyHook(), task) is None
    assert fake_freddy_connection.requests == []


class Breaks(CreateResponseOperator):
    """Fails in the middle of its wait."""

    def _wait(self, hook: Any, response: Any) -> Any:
        raise self.error  # type: ignore[attr-defined]


def fail(context: dict[str, Any], error: BaseException) -> None:
    operator = Breaks(task_id="t", inputs="hello", on_retry="resume", retries=1)
    operator.error = error
    context["ti"].max_tries = 2
    context["task"] = operator
    with pytest.raises(type(error)):
        operator.execute(context)


def test_an_operator_that_resumes_leaves_its_response_to_the_retry_if_there_is_one(
    fake_freddy_connection: FakeFreddy, task: dict[str, Any]
) -> None:
    fail(task, RuntimeError("the worker's own"))
    (response_id,) = fake_freddy_connection.left_running
    leave_to_retry(failed(task))
    cancel_what_is_left(failed(task))
    assert fake_freddy_connection.left_running == [response_id]
    task["ti"].try_number = 2
    response = task["task"]._taken_over(FreddyHook(), task)
    assert response.id == response_id


def test_without_a_retry_left_the_failure_callbacks_cancel_it_after_all(
    fake_freddy_connection: FakeFreddy, task: dict[str, Any]
) -> None:
    fail(task, RuntimeError("the worker's own"))
    cancel_what_is_left(failed(task))
    assert fake_freddy_connection.left_running == []


@pytest.mark.parametrize("store", ["none", "broken"])
def test_what_cannot_be_left_to_the_retry_is_cancelled(
    fake_freddy_connection: FakeFreddy, task: dict[str, Any], store: str
) -> None:
    if store == "none":
        task["task_state_store"] = None
    else:
        task["task_state_store"].set = None
    fail(task, RuntimeError("the worker's own"))
    assert fake_freddy_connection.left_running == []


def test_a_store_that_does_not_tell_is_no_reason_to_fail(
    fake_freddy_connection: FakeFreddy, task: dict[str, Any], hook_log: pytest.LogCaptureFixture
) -> None:
    task["ti"].try_number = 2
    task["task_state_store"] = Store(broken=True)
    cancel_earlier_tries(FreddyHook())
    assert "What earlier tries have left could not be read: an answer to another question" in hook_log.text


def test_what_could_not_be_cancelled_stays_in_the_record_and_what_is_gone_does_not(
    fake_freddy_connection: FakeFreddy, task: dict[str, Any], hook_log: pytest.LogCaptureFixture
) -> None:
    (left,) = started_elsewhere()
    ti = task["ti"]
    ti.try_number = 2
    earlier = [entry(left, ti, try_number=1), entry("resp_gone", ti, try_number=1)]
    task["task_state_store"].set(RECORD_KEY, earlier)
    fake_freddy_connection.fault("status", method="DELETE", response_id=left, status=403, code="no", times=None)
    cancel_earlier_tries(FreddyHook())
    assert recorded(task) == [(left, 1)]
    (line,) = [one for one in hook_log.records if one.levelname == "ERROR"]
    assert left in line.getMessage()


def test_outside_of_a_task_there_are_no_earlier_tries(fake_freddy_connection: FakeFreddy) -> None:
    cancel_earlier_tries(FreddyHook())
    assert fake_freddy_connection.requests == []
