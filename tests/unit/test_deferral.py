"""What a task makes of the event that wakes it."""

from __future__ import annotations

import logging
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    TaskDeferred,
)

from airflow_provider_freddy import record, stored_record
from airflow_provider_freddy.core.event import EndReason, WaitEnd
from airflow_provider_freddy.deferrable import DeferrableOperator
from airflow_provider_freddy.deferral import backstop, deadline, take_up
from airflow_provider_freddy.exceptions import FreddyError, FreddyNotFoundError, FreddyTaskKilledError
from airflow_provider_freddy.operators import create_response
from airflow_provider_freddy.operators.freddy import CancelResponseOperator, CreateResponseOperator
from airflow_provider_freddy.sensors.freddy import ResponseStatusSensor
from airflow_provider_freddy.testing import FakeFreddy
from airflow_provider_freddy.version_compat import without_try
from tests.unit.test_rules import Ti, entry, started_elsewhere


class TaskInstance(SimpleNamespace):
    """As much of one as a resumed operator asks for."""

    def get_task_states(self, **_: Any) -> dict[str, dict[str, str]]:
        return {"run_1": {"ask": "running"}}

    def refresh_from_db(self) -> None:
        self.state = "running"


@pytest.fixture
def context() -> dict[str, Any]:
    where = {"dag_id": "dag", "run_id": "run_1", "task_id": "ask", "map_index": -1}
    return {"ti": TaskInstance(**where, try_number=2, max_tries=2, state="running", start_date=None)}


def operator() -> CreateResponseOperator:
    return CreateResponseOperator(task_id="ask", inputs="hello", deferrable=True)


def test_an_event_for_the_response_of_an_earlier_try_lets_the_task_wait_on(
    context: dict[str, Any], fake_freddy_connection: FakeFreddy
) -> None:
    foreign = WaitEnd(EndReason.STATUS, "resp_old", {"id": "resp_old", "status": "cancelled"}, settled=True)
    with pytest.raises(TaskDeferred) as deferred:
        operator().execute_complete(context, foreign.as_payload(), response_id="resp_new", until=1_800_000_000)
    assert deferred.value.trigger.response_id == "resp_new"
    assert deferred.value.trigger.deadline == 1_800_000_000
    kwargs, of_this_try = without_try(context, deferred.value.kwargs)
    assert kwargs == {"response_id": "resp_new", "until": 1_800_000_000}
    assert of_this_try


@pytest.mark.parametrize(("max_tries", "kept"), [(2, True), (1, False)])
def test_a_response_is_kept_for_a_retry_only_if_there_is_one(
    context: dict[str, Any], fake_freddy_connection: FakeFreddy, max_tries: int, kept: bool
) -> None:
    context["ti"].max_tries = max_tries
    resuming = CreateResponseOperator(task_id="ask", inputs="hello", deferrable=True, on_retry="resume")
    with pytest.raises(TaskDeferred) as deferred:
        resuming._defer(context, "resp_1", "org_fake", None)
    assert deferred.value.trigger.keep_when_given_up is kept


class Waiting(DeferrableOperator):
    """Tells whether it begins or goes on."""

    def execute(self, context: Any) -> str:
        return "begins"

    def execute_complete(self, context: Any, event: Any = None) -> str:
        return f"goes on with {event}"


@pytest.mark.parametrize(
    ("kwargs", "done"),
    [
        ({"event": "e"}, "goes on with e"),
        ({"event": "e", "deferred_in_try": 2}, "goes on with e"),
        ({"event": "e", "deferred_in_try": 1}, "begins"),
    ],
)
def test_a_try_does_not_go_on_with_the_end_of_an_earlier_one(
    context: dict[str, Any], kwargs: dict[str, Any], done: str
) -> None:
    assert Waiting(task_id="ask").resume_execution("execute_complete", kwargs, context) == done


@pytest.mark.parametrize(
    ("end", "error"),
    [
        (WaitEnd(EndReason.DEADLINE, "resp_1", message="Its time is over."), AirflowTaskTimeout),
        (WaitEnd(EndReason.GAVE_UP, "resp_1", message="It is gone.", kind="not_found"), FreddyNotFoundError),
        (WaitEnd(EndReason.GAVE_UP, "resp_1", message="It is odd.", kind="of a later version"), FreddyError),
    ],
)
def test_a_wait_that_ended_early_fails_the_task(context: dict[str, Any], end: WaitEnd, error: type) -> None:
    with pytest.raises(error, match=end.message):
        operator().execute_complete(context, end.as_payload(), response_id="resp_1")


@pytest.mark.parametrize(
    ("end", "timed_out", "error"),
    [
        (WaitEnd(EndReason.DEADLINE, "resp_1", message="Its time is over."), True, AirflowSensorTimeout),
        (WaitEnd(EndReason.DEADLINE, "resp_1", message="Its time is over."), False, AirflowTaskTimeout),
        (WaitEnd(EndReason.GAVE_UP, "resp_1", message="It is gone.", kind="not_found"), True, FreddyNotFoundError),
    ],
)
def test_a_sensor_whose_wait_ended_early_fails(
    context: dict[str, Any], end: WaitEnd, timed_out: bool, error: type
) -> None:
    sensor = ResponseStatusSensor(task_id="wait", response_id="resp_1", deferrable=True)
    with pytest.raises(error, match=end.message):
        sensor.execute_complete(context, end.as_payload(), timed_out=timed_out)


@pytest.mark.parametrize(("on_other_end", "error"), [("fail", AirflowFailException), ("skip", AirflowSkipException)])
def test_a_sensor_resumes_to_fail_or_to_be_skipped_when_its_status_can_never_come(
    context: dict[str, Any], on_other_end: Any, error: type
) -> None:
    end = WaitEnd(EndReason.STATUS, "resp_1", {"id": "resp_1", "status": "failed"}, settled=True)
    sensor = ResponseStatusSensor(task_id="wait", response_id="resp_1", on_other_end=on_other_end)
    with pytest.raises(error, match="can never be 'completed' any more"):
        sensor.execute_complete(context, end.as_payload())
    seen = ResponseStatusSensor(task_id="wait", response_id="resp_1", on_other_end="succeed")
    assert seen.execute_complete(context, end.as_payload())["status"] == "failed"


def test_a_sensor_fetches_what_the_model_wrote_which_the_event_leaves_out(
    context: dict[str, Any], fake_freddy_connection: FakeFreddy
) -> None:
    fake_freddy_connection.next_response(duration=0, queued_for=0)
    (response_id,) = started_elsewhere()
    end = WaitEnd(EndReason.STATUS, response_id, {"id": response_id, "status": "completed"}, settled=True)
    sensor = ResponseStatusSensor(task_id="wait", response_id=response_id)
    assert sensor.execute_complete(context, end.as_payload())["output"]
    sensor.do_xcom_push = False
    assert "output" not in sensor.execute_complete(context, end.as_payload())


def test_a_deferred_sensor_refuses_what_is_no_id_before_anything_is_sent(
    context: dict[str, Any], fake_freddy_connection: FakeFreddy
) -> None:
    sensor = ResponseStatusSensor(task_id="wait", response_id="None", deferrable=True)
    with pytest.raises(FreddyError, match=r"a template that found nothing.*Nothing was sent to Freddy"):
        sensor.execute(context)
    assert fake_freddy_connection.requests == []


def test_a_task_that_was_marked_is_not_deferred(
    context: dict[str, Any], fake_freddy_connection: FakeFreddy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(create_response, "state_of_running_task", lambda _: "failed")
    with pytest.raises(FreddyTaskKilledError, match="The task was 'failed' before it could be deferred"):
        operator()._defer(context, "resp_1", "org_fake", None)


def test_what_to_leave_to_a_retry_is_one_of_two() -> None:
    with pytest.raises(ValueError, match="on_retry must be 'cancel' or 'resume', not 'keep'"):
        CreateResponseOperator(task_id="ask", inputs="hello", on_retry="keep")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "event", [None, "done", {}, {"reason": "later"}, {"reason": "status", "response_id": "resp_1"}]
)
def test_an_event_that_is_none_of_ours_says_what_is_wrong(context: dict[str, Any], event: Any) -> None:
    with pytest.raises(FreddyError, match="different versions of this provider"):
        operator().execute_complete(context, event)


RUNS_ON = WaitEnd(EndReason.GAVE_UP, "resp_1", message="It does not answer.")
HAS_ENDED = WaitEnd(EndReason.STATUS, "resp_1", {"id": "resp_1", "status": "completed"}, settled=True)


def resumed(ti: Ti) -> dict[str, Any]:
    return {"ti": ti, "task": CreateResponseOperator(task_id="t", inputs="hello")}


@pytest.mark.parametrize("event", [RUNS_ON.as_payload(), None, "of another trigger"])
def test_a_resumed_task_is_in_charge_of_what_was_started_before_it_was_deferred(
    fake_freddy_connection: FakeFreddy, event: Any
) -> None:
    (response_id,) = started_elsewhere()
    ti = Ti(run_id=response_id)
    ti.xcoms = [[entry(response_id, ti)]]
    context = resumed(ti)
    take_up(context, event)
    context["task"].on_kill()
    assert fake_freddy_connection.left_running == []


@pytest.mark.parametrize("cancel_on_failure", [True, False])
def test_a_resumed_task_has_a_watchdog_for_what_goes_on(
    fake_freddy_connection: FakeFreddy, monkeypatch: pytest.MonkeyPatch, cancel_on_failure: bool
) -> None:
    watched: list[str] = []
    monkeypatch.setattr(stored_record.watchdog, "watch", lambda response_id, *_: watched.append(response_id))
    (response_id,) = started_elsewhere()
    ti = Ti(run_id=response_id)
    ti.xcoms = [[entry(response_id, ti, cancel_on_failure=cancel_on_failure)]]
    take_up(resumed(ti), None)
    assert watched == [response_id] * cancel_on_failure


def test_airflow_is_asked_nothing_when_the_response_has_ended() -> None:
    ti = Ti(run_id="it has ended")
    take_up(resumed(ti), HAS_ENDED.as_payload())
    assert ti.pulls == 0


def test_a_record_that_cannot_be_read_does_not_keep_the_task_from_going_on(
    fake_freddy_connection: FakeFreddy, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ti = Ti(run_id="no connection")
    ti.log = logging.getLogger("task_under_test")
    ti.xcoms = [[entry("resp_unread", ti)]]
    monkeypatch.delenv("AIRFLOW_CONN_FREDDY_DEFAULT")
    take_up(resumed(ti), None)
    assert "What the task had started before it was deferred could not be read" in caplog.text
    assert record.started("resp_unread") is None


def test_airflows_own_limit_of_a_deferral_comes_a_minute_after_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_freddy.deferral.time.time", lambda: 1000.0)
    assert deadline(30) == 1030
    assert backstop(1030) == timedelta(seconds=90)
    assert backstop(900) == timedelta(seconds=60)
    assert deadline(None) is None
    assert backstop(None) is None


def test_a_cancel_waits_in_the_triggerer_for_all_that_it_was_given(
    context: dict[str, Any], fake_freddy_connection: FakeFreddy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_freddy.deferral.time.time", lambda: 1000.0)
    cancel = CancelResponseOperator(
        task_id="t", response_id=["a", "b"], wait_until_cancelled=True, deferrable=True, budget=30, ignore_missing=True
    )
    with pytest.raises(TaskDeferred) as deferred:
        cancel.execute(context)
    _, arguments = deferred.value.trigger.serialize()
    assert [tuple(target) for target in arguments["targets"]] == [(one, None, "freddy_default") for one in "ab"]
    assert arguments["deadline"] == 1030
    assert arguments["accept"] == ["not_found"]
    assert deferred.value.timeout == timedelta(seconds=90)
    assert fake_freddy_connection.requests == []


def test_a_resumed_cancel_returns_the_outcomes_of_its_trigger(context: dict[str, Any]) -> None:
    outcomes = {"b": {"outcome": "cancelled"}, "a": {"outcome": "already_final"}}
    assert CancelResponseOperator(task_id="t").execute_complete(context, {"outcomes": outcomes}) == outcomes


def test_a_resumed_cancel_fails_with_the_error_of_its_trigger_and_keeps_the_other_outcomes(
    context: dict[str, Any],
) -> None:
    pushed: dict[str, Any] = {}
    context["ti"].xcom_push = lambda key, value: pushed.update({key: value})
    outcomes = {"a": {"outcome": "cancelled"}, "b": {"error": "It is gone.", "kind": "not_found"}}
    with pytest.raises(FreddyNotFoundError, match="It is gone"):
        CancelResponseOperator(task_id="t").execute_complete(context, {"outcomes": outcomes})
    assert pushed == {"outcomes": {"a": {"outcome": "cancelled"}}}


@pytest.mark.parametrize("event", [None, "done", {}, {"outcomes": None}, {"outcomes": {"a": "cancelled"}}])
def test_an_event_without_outcomes_is_no_proof_of_a_cancel(context: dict[str, Any], event: Any) -> None:
    with pytest.raises(FreddyError, match="whether the responses still run is not known"):
        CancelResponseOperator(task_id="t").execute_complete(context, event)
