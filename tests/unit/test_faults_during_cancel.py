"""
Freddy misbehaves just when a response has to be cancelled.

Whatever can still be done within the time of the hook is done, and if it was not enough the last line of the log says
which response may still run.
"""

from __future__ import annotations

import asyncio
import logging
import time
from types import SimpleNamespace
from unittest.mock import AsyncMock

import pytest

from airflow_provider_freddy import arming, callbacks, record
from airflow_provider_freddy.arming import KillHook
from airflow_provider_freddy.callbacks import CancelResponseCallback
from airflow_provider_freddy.hooks.freddy import FreddyHook
from airflow_provider_freddy.record import TaskTry
from airflow_provider_freddy.triggers import freddy as trigger_module
from airflow_provider_freddy.triggers.freddy import ResponseTrigger
from airflow_provider_freddy.watchdog import process as watchdog

THIS_TRY = TaskTry("dag", "run", "task", -1, 1)
MAY_RUN = "MAY STILL RUN AND COST MONEY"

#: What a hook has time for, once it has happened.
PASSING = {
    "500 once": {"kind": "status", "status": 500},
    "503 twice": {"kind": "status", "status": 503, "times": 2},
    "429 for a second": {"kind": "status", "status": 429, "retry_after": 1},
    "an answer after 3 s": {"kind": "delay", "seconds": 3},
    "an answer 3 s after the work": {"kind": "delay", "seconds": 3, "after": True},
    "a proxy's page": {"kind": "garbage", "body": "html", "status": 502, "work": False},
    "garbage for an answer": {"kind": "garbage", "body": "not_json", "work": False},
    "garbage for an answer, the work done": {"kind": "garbage", "body": "truncated"},
    "a connection dropped before the work": {"kind": "drop_before"},
    "a connection dropped after the work": {"kind": "drop_after"},
}
#: What no hook can do anything about.
LASTING = {
    "500 for ever": {"kind": "status", "status": 500},
    "429 for ever": {"kind": "status", "status": 429, "retry_after": 60},
    "no answer": {"kind": "hang"},
    "garbage for ever": {"kind": "garbage", "body": "html", "work": False},
    "connections dropped": {"kind": "drop_before"},
    "a key that is refused": {"kind": "status", "status": 401},
}


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch):
    """Shorten the pauses between attempts; how they grow is a matter of the core's own tests."""
    monkeypatch.setattr("airflow_provider_freddy.core.retry.FIRST_PAUSE", 0.02)
    monkeypatch.setattr("airflow_provider_freddy.core.retry.MAX_PAUSE", 0.1)


@pytest.fixture
def hooks(fake_freddy, monkeypatch, caplog):
    """Give, by name, every hook that cancels."""
    monkeypatch.setenv("AIRFLOW_CONN_FREDDY_DEFAULT", fake_freddy.connection_json())
    monkeypatch.setattr(ResponseTrigger, "log", logging.getLogger("trigger_under_test"))
    monkeypatch.setattr(record, "_started", {})
    monkeypatch.setattr(record, "_tries_closed", set())
    caplog.set_level(logging.INFO)
    hook = FreddyHook()
    ti = SimpleNamespace(**THIS_TRY._asdict())
    context = {"ti": ti, "exception": RuntimeError()}

    def start():
        response = hook.create_response("hello")
        record.register(context, response.id, "org_fake", hook, cancel_on_failure=True)
        return response.id

    def on_kill(response_id):
        async def killed():
            trigger = ResponseTrigger(response_id, "org_fake", cancel=True)
            trigger.task_instance = ti
            work = asyncio.ensure_future(trigger.on_kill())
            # Airflow 3.3 cancels what it has called, again every second.
            while not work.done():
                await asyncio.wait({work}, timeout=1)
                work.cancel()
            # Let the session be closed, which is otherwise kept for the next trigger.
            await asyncio.sleep(0.05)

        monkeypatch.setattr(trigger_module, "still_wanted", AsyncMock(return_value=False))
        asyncio.run(killed())

    def watch(response_id):
        message = {"watch": response_id, "organization_id": "org_fake", "session": hook.session_description}
        watchdog.cancel_one(message, logging.getLogger("watchdog_under_test"))

    def set_budget(seconds):
        for module, name in BUDGETS:
            monkeypatch.setattr(module, name, seconds)

    # Those of trigger and watchdog are longer than a test should take.
    monkeypatch.setattr(trigger_module, "KILL_SECONDS", 6.0)
    monkeypatch.setattr("airflow_provider_freddy.hooks.shared_client.LINGER_SECONDS", 0.0)
    monkeypatch.setattr(watchdog, "PATIENCE", 6.0)
    yield SimpleNamespace(
        start=start,
        set_budget=set_budget,
        act={
            "callback": lambda _: CancelResponseCallback(budget=callbacks.DEFAULT_BUDGET)(context),
            "kill hook": lambda _: KillHook(THIS_TRY, lambda: None)(),
            "trigger's on_kill": on_kill,
            "watchdog": watch,
        },
    )
    hook.close()


def go_wrong(fake_freddy, response_id, fault, **more):
    fault = {"times": 1, "method": "DELETE", **fault, **more}
    fake_freddy.fault(fault.pop("kind"), response_id=response_id, **fault)


BUDGETS = [
    (callbacks, "DEFAULT_BUDGET"),
    (arming, "KILL_BUDGET"),
    (trigger_module, "KILL_SECONDS"),
    (watchdog, "PATIENCE"),
]
NAMES = ["callback", "kill hook", "trigger's on_kill", "watchdog"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("fault", PASSING)
def test_what_passes_does_not_keep_a_hook_from_cancelling(fake_freddy, hooks, caplog, name, fault):
    response_id = hooks.start()
    go_wrong(fake_freddy, response_id, PASSING[fault])
    hooks.act[name](response_id)
    assert fake_freddy.response(response_id).status == "cancelled"
    assert response_id in caplog.messages[-1]
    assert MAY_RUN not in caplog.text


# A kill hook has no time for a second attempt: what it leaves is the watchdog's.
@pytest.mark.parametrize("name", [name for name in NAMES if name != "kill hook"])
def test_one_answer_that_never_comes_leaves_time_for_another_attempt(fake_freddy, hooks, caplog, name):
    response_id = hooks.start()
    go_wrong(fake_freddy, response_id, {"kind": "hang"})
    hooks.act[name](response_id)
    assert fake_freddy.response(response_id).status == "cancelled"
    assert MAY_RUN not in caplog.text


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("fault", ["500 once", "503 twice", "a proxy's page", "a connection dropped before the work"])
def test_nor_does_a_status_that_is_needed_and_not_told_at_once(fake_freddy, hooks, caplog, name, fault):
    response_id = hooks.start()
    # It says neither yes nor no, so that somebody has to look.
    go_wrong(fake_freddy, response_id, PASSING["garbage for an answer"])
    go_wrong(fake_freddy, response_id, PASSING[fault], method="GET")
    hooks.act[name](response_id)
    assert fake_freddy.response(response_id).status == "cancelled"
    assert [request.method for request in fake_freddy.requests if request.response_id == response_id].count("GET") > 1
    assert MAY_RUN not in caplog.text


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("fault", LASTING)
def test_the_last_line_names_what_may_still_run(fake_freddy, hooks, caplog, name, fault):
    response_id = hooks.start()
    go_wrong(fake_freddy, response_id, LASTING[fault], times=None)
    hooks.set_budget(1.0)
    start = time.monotonic()
    hooks.act[name](response_id)
    assert time.monotonic() - start < 2.5
    assert fake_freddy.left_running == [response_id]
    last = caplog.records[-1]
    assert response_id in last.getMessage()
    assert MAY_RUN in last.getMessage()
    assert last.levelno == logging.ERROR
    assert fake_freddy.api_key not in caplog.text
