"""A key that is replaced while a task waits: looked up again when Freddy refuses the old one."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from airflow_provider_freddy import arming, record
from airflow_provider_freddy.exceptions import FreddyCredentialsError
from airflow_provider_freddy.hooks import renewal
from airflow_provider_freddy.hooks.freddy import FreddyHook
from airflow_provider_freddy.record import TaskTry
from airflow_provider_freddy.testing import FakeFreddy
from tests.unit.test_rules import failed, task

__all__ = ["task"]

CALLS = {
    "create": lambda hook, response_id: hook.create_response("hello"),
    "get": lambda hook, response_id: hook.get_response(response_id),
    "cancel": lambda hook, response_id: hook.cancel_response(response_id),
}


@pytest.fixture
def run_id(request: pytest.FixtureRequest) -> str:
    return request.node.nodeid


@pytest.fixture
def replace_key(fake_freddy_connection: FakeFreddy, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Give Freddy another key, and Airflow too unless it is not to know yet."""

    def replace(*, tell_airflow: bool = True) -> None:
        fake_freddy_connection.rotate_key("ak_the_second")
        if tell_airflow:
            monkeypatch.setenv("AIRFLOW_CONN_FREDDY_DEFAULT", fake_freddy_connection.connection_json())

    return replace


@pytest.fixture
def looked_up(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Count how often Airflow is asked for the connection."""
    asked: list[str] = []
    look_up = FreddyHook.get_connection

    def get_connection(conn_id: str) -> Any:
        asked.append(conn_id)
        return look_up(conn_id)

    monkeypatch.setattr(FreddyHook, "get_connection", staticmethod(get_connection))
    return asked


@pytest.mark.parametrize("call", CALLS)
def test_a_call_goes_on_with_the_key_that_the_connection_has_by_now(
    fake_freddy_connection: FakeFreddy, replace_key: Callable[..., None], looked_up: list[str], call: str
) -> None:
    hook = FreddyHook()
    response_id = hook.create_response("hello").id
    replace_key()
    CALLS[call](hook, response_id)
    hook.get_response(response_id)
    statuses = [request.status for request in fake_freddy_connection.requests]
    assert statuses == [200, 401, 200, 200]
    assert looked_up == ["freddy_default"] * 2


@pytest.mark.parametrize("call", CALLS)
def test_a_key_that_is_still_the_old_one_is_not_tried_again(
    fake_freddy_connection: FakeFreddy, replace_key: Callable[..., None], looked_up: list[str], call: str
) -> None:
    hook = FreddyHook()
    response_id = hook.create_response("hello").id
    replace_key(tell_airflow=False)
    with pytest.raises(FreddyCredentialsError):
        CALLS[call](hook, response_id)
    assert len(fake_freddy_connection.requests) == 2
    assert looked_up == ["freddy_default"] * 2


def test_a_connection_that_is_gone_leaves_the_answer_of_freddy(
    fake_freddy_connection: FakeFreddy,
    replace_key: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    hook = FreddyHook()
    response_id = hook.create_response("hello").id
    replace_key()
    monkeypatch.delenv("AIRFLOW_CONN_FREDDY_DEFAULT")
    with pytest.raises(FreddyCredentialsError, match="HTTP 401"):
        hook.get_response(response_id)
    assert "Airflow connection 'freddy_default' could not be read again" in caplog.text


def test_many_threads_look_it_up_once(
    fake_freddy_connection: FakeFreddy, replace_key: Callable[..., None], looked_up: list[str]
) -> None:
    hook = FreddyHook()
    started = [hook.create_response("hello").id for _ in range(8)]
    replace_key()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(hook.cancel_response, started))
    assert fake_freddy_connection.left_running == []
    assert looked_up == ["freddy_default"] * 2


def test_a_task_that_fails_with_the_old_key_has_its_response_cancelled_with_the_new_one(
    fake_freddy_connection: FakeFreddy,
    replace_key: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    task: dict[str, Any],
) -> None:
    watched: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(renewal.watchdog, "watch", lambda one, _, session: watched.append((one, session["auth"])))
    FreddyHook().create_response("hello")
    (response_id,) = fake_freddy_connection.left_running
    replace_key()
    arming.cancel_what_is_left(failed(task))
    assert fake_freddy_connection.left_running == []
    # The watchdog is told, in case that the process is killed before.
    assert watched[-1] == (response_id, ["Authorization", "Bearer ak_the_second"])


def test_a_signal_handler_asks_airflow_nothing(
    fake_freddy_connection: FakeFreddy, replace_key: Callable[..., None], looked_up: list[str], task: dict[str, Any]
) -> None:
    FreddyHook().create_response("hello")
    replace_key()
    this_try = TaskTry.of(task)
    looked_up.clear()
    arming.cancel_started_in_signal_handler(this_try, 3.0)
    assert looked_up == []
    assert len(fake_freddy_connection.left_running) == 1
    # What follows the signal handler in a process that is not killed does.
    arming.cancel_started(this_try, 3.0)
    assert record.started_by(this_try)
    assert fake_freddy_connection.left_running == []
