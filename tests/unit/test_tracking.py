"""A response that somebody else has started, taken charge of by the running task."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from airflow_provider_freddy import record
from airflow_provider_freddy.callbacks import cancel_response_on_failure
from airflow_provider_freddy.exceptions import (
    FreddyCredentialsError,
    FreddyError,
    FreddyInvalidRequestError,
    FreddyTaskKilledError,
)
from airflow_provider_freddy.hooks.freddy import FreddyHook
from airflow_provider_freddy.stored_record import RECORD_KEY
from airflow_provider_freddy.testing import FakeFreddy
from tests.unit.test_rules import Store, Ti, entry, failed, started_elsewhere, task

__all__ = ["task"]


@pytest.fixture
def run_id(request: pytest.FixtureRequest) -> str:
    return request.node.nodeid


def test_it_is_recorded_like_our_own_and_freddy_is_asked_nothing(
    fake_freddy_connection: FakeFreddy, task: dict[str, Any]
) -> None:
    (response_id,) = started_elsewhere()
    asked = len(fake_freddy_connection.requests)
    FreddyHook().track_response(response_id)
    recorded = [entry(response_id, task["ti"])]
    assert task["ti"].xcoms == [recorded]
    assert task["task_state_store"][RECORD_KEY] == recorded
    assert len(fake_freddy_connection.requests) == asked


@pytest.mark.parametrize("end", ["callback", "kill"])
def test_the_end_of_its_task_is_its_end(fake_freddy_connection: FakeFreddy, task: dict[str, Any], end: str) -> None:
    (response_id,) = started_elsewhere()
    FreddyHook().track_response(response_id)
    if end == "kill":
        task["task"].on_kill()
    else:
        for callback in task["task"].on_failure_callback:
            callback(failed(task))
    assert fake_freddy_connection.left_running == []


def test_it_is_watched_with_the_session_of_the_hook(
    fake_freddy_connection: FakeFreddy, task: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    watched: list[tuple[Any, ...]] = []
    monkeypatch.setattr("airflow_provider_freddy.watchdog.client.watch", lambda *message: watched.append(message))
    (response_id,) = started_elsewhere()
    hook = FreddyHook()
    hook.track_response(response_id, organization_id="org_other")
    assert watched == [(response_id, "org_other", hook.session_description)]


def test_it_can_be_recorded_only(fake_freddy_connection: FakeFreddy, task: dict[str, Any]) -> None:
    (response_id,) = started_elsewhere()
    FreddyHook().track_response(response_id, cancel_on_failure=False)
    cancel_response_on_failure(failed(task))
    assert not isinstance(getattr(task["task"], "on_failure_callback", None), list)
    assert fake_freddy_connection.left_running == [response_id]
    assert task["ti"].xcoms[0][0]["cancel_on_failure"] is False


def test_outside_of_a_task_it_is_cancelled_and_the_error_says_so(fake_freddy_connection: FakeFreddy) -> None:
    (response_id,) = started_elsewhere()
    with pytest.raises(FreddyInvalidRequestError, match=f"none does in this process: {response_id} cancelled at"):
        FreddyHook().track_response(response_id)
    assert fake_freddy_connection.left_running == []


def test_after_the_end_of_the_task_it_is_cancelled(fake_freddy_connection: FakeFreddy, task: dict[str, Any]) -> None:
    first, second = started_elsewhere(2)
    FreddyHook().track_response(first)
    task["task"].on_kill()
    with pytest.raises(FreddyTaskKilledError):
        FreddyHook().track_response(second)
    assert fake_freddy_connection.left_running == []


def test_what_cannot_be_recorded_is_cancelled(
    fake_freddy_connection: FakeFreddy, task: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError("not to be written")

    (response_id,) = started_elsewhere()
    monkeypatch.setattr(Ti, "xcom_push", refuse)
    monkeypatch.setattr(Store, "set", refuse)
    with pytest.raises(OSError, match="not to be written"):
        FreddyHook().track_response(response_id)
    assert fake_freddy_connection.left_running == []


def test_what_cannot_be_armed_is_cancelled(fake_freddy_connection: FakeFreddy, task: dict[str, Any]) -> None:
    (response_id,) = started_elsewhere()
    del task["task"]
    with pytest.raises(KeyError):
        FreddyHook().track_response(response_id)
    assert fake_freddy_connection.left_running == []


def test_without_a_key_the_error_says_that_it_may_run(
    fake_freddy_connection: FakeFreddy, task: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    (response_id,) = started_elsewhere()
    monkeypatch.setenv("AIRFLOW_CONN_FREDDY_DEFAULT", '{"conn_type": "freddy"}')
    with pytest.raises(FreddyCredentialsError, match=f"{response_id} cannot be tracked, and MAY STILL RUN"):
        FreddyHook().track_response(response_id, organization_id="org_fake")


def test_without_a_connection_too(
    fake_freddy_connection: FakeFreddy, task: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    (response_id,) = started_elsewhere()
    monkeypatch.delenv("AIRFLOW_CONN_FREDDY_DEFAULT")
    with pytest.raises(FreddyError, match=f"{response_id} cannot be tracked, and MAY STILL RUN.*freddy_default"):
        FreddyHook().track_response(response_id, organization_id="org_fake")


def test_an_id_that_is_none_is_refused(task: dict[str, Any]) -> None:
    with pytest.raises(FreddyInvalidRequestError, match="Nothing was sent"):
        FreddyHook().track_response("../x")


def test_a_signal_during_the_look_up_of_the_connection_loses_nothing(
    fake_freddy_connection: FakeFreddy, task: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    (response_id,) = started_elsewhere()
    look_up = FreddyHook.get_connection

    def interrupted(conn_id: str) -> Any:
        signal.raise_signal(signal.SIGALRM)
        return look_up(conn_id)

    def time_out(*_: Any) -> None:
        raise TimeoutError("the task's own")

    monkeypatch.setattr(FreddyHook, "get_connection", staticmethod(interrupted))
    former = signal.signal(signal.SIGALRM, time_out)
    try:
        with pytest.raises(TimeoutError, match="the task's own"):
            FreddyHook().track_response(response_id)
    finally:
        signal.signal(signal.SIGALRM, former)
    assert [one.record.response_id for one in record.all_started()][-1] == response_id
    task["task"].on_kill()
    assert fake_freddy_connection.left_running == []


def test_a_try_can_go_on_with_what_an_earlier_one_has_started(
    fake_freddy_connection: FakeFreddy, task: dict[str, Any]
) -> None:
    left, taken_over = started_elsewhere(2)
    ti = task["ti"]
    ti.try_number = 2
    task["task_state_store"].set(RECORD_KEY, [entry(left, ti, try_number=1), entry(taken_over, ti, try_number=1)])
    FreddyHook().track_response(taken_over)
    assert fake_freddy_connection.left_running == [taken_over]
    assert task["task_state_store"][RECORD_KEY] == [entry(taken_over, ti)]
