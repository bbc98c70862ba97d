"""Signals in the middle of a call: what has started is never lost, and the hook works afterwards."""

from __future__ import annotations

import signal
import threading
from types import SimpleNamespace

import pytest

from airflow_provider_freddy import record, stored_record
from airflow_provider_freddy.exceptions import FreddyError

SIGNALS = [signal.SIGALRM, signal.SIGTERM, signal.SIGINT]
DELAY = 0.4
TASK_INSTANCE = SimpleNamespace(dag_id="dag", run_id="run", task_id="task", map_index=-1, try_number=1)


class Interrupted(BaseException):
    """What a handler of Airflow's raises: no ``Exception``."""


@pytest.fixture
def interrupt(fake_freddy):
    """Install handlers that raise, and give a function that sends a signal once the next request has arrived."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    main, threads = threading.main_thread().ident, []

    def raising(number, _frame):
        raise Interrupted(number)

    def send(number, requests):
        fake_freddy.wait_for(lambda: len(fake_freddy.requests) > requests, 10)
        if number == signal.SIGALRM:
            signal.setitimer(signal.ITIMER_REAL, 0.01)
        else:
            signal.pthread_kill(main, number)

    def during_next_request(number):
        threads.append(threading.Thread(target=send, args=(number, len(fake_freddy.requests))))
        threads[-1].start()

    for number in SIGNALS:
        signal.signal(number, raising)
    yield during_next_request
    for thread in threads:
        thread.join()
    signal.setitimer(signal.ITIMER_REAL, 0)
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def remembered(monkeypatch):
    """Run as in a task, and give what the hook records for it."""
    found = []
    monkeypatch.setattr(record, "running_task_context", lambda: {"ti": TASK_INSTANCE})
    monkeypatch.setattr(record, "register", lambda _context, response_id, *_, **__: found.append(response_id))
    monkeypatch.setattr(stored_record, "publish", lambda *_: None)
    monkeypatch.setattr("airflow_provider_freddy.hooks.taking_charge.arm", lambda _context: None)
    return found


@pytest.mark.parametrize("number", SIGNALS)
def test_a_create_that_is_interrupted_is_recorded_before_the_exception_arrives(
    hook, fake_freddy, interrupt, remembered, number
):
    fake_freddy.fault("delay", method="POST", seconds=DELAY, after=True)
    interrupt(number)
    with pytest.raises(Interrupted):
        hook.create_response("Hello")
    assert remembered == fake_freddy.left_running
    assert len(remembered) == 1
    # The hook can be used for the cleaning up.
    assert hook.cancel_response(remembered[0]).status == "cancelled"


def test_a_create_without_a_task_is_finished_before_the_exception_arrives(hook, fake_freddy, interrupt, hook_log):
    fake_freddy.fault("delay", method="POST", seconds=DELAY, after=True)
    interrupt(signal.SIGALRM)
    with pytest.raises(Interrupted):
        hook.create_response("Hello")
    assert fake_freddy.responses[0].id in hook_log.text


def test_a_pause_between_two_creates_can_be_interrupted(hook, fake_freddy, interrupt, remembered):
    fake_freddy.fault("status", method="POST", status=429, retry_after=20, times=None)
    interrupt(signal.SIGALRM)
    with pytest.raises(Interrupted):
        hook.create_response("Hello", budget=60)
    assert (len(fake_freddy.requests), remembered) == (1, [])


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("after", [False, True])
def test_a_look_that_is_interrupted_leaves_no_reply_for_the_next_one(hook, fake_freddy, interrupt, number, after):
    first, second = hook.create_response("Hello").id, hook.create_response("Hello").id
    fake_freddy.fault("delay", method="GET", seconds=DELAY, after=after)
    interrupt(number)
    with pytest.raises(Interrupted):
        hook.get_response(first)
    assert hook.get_response(second).id == second
    assert hook.cancel_response(first).response_id == first


def test_a_cancel_that_is_interrupted_can_be_made_again_with_the_same_hook(hook, fake_freddy, interrupt):
    response_id = hook.create_response("Hello").id
    fake_freddy.fault("hang", method="DELETE")
    interrupt(signal.SIGTERM)
    with pytest.raises(Interrupted):
        hook.cancel_response(response_id)
    hook.cancel_response(response_id)
    assert fake_freddy.left_running == []


def test_a_sibling_works_inside_a_signal_handler_while_the_hook_waits(hook, fake_freddy, interrupt):
    response_id = hook.create_response("Hello").id
    cancelled = []

    def handler(_number, _frame):
        cancelled.append(hook.sibling().cancel_response(response_id))

    signal.signal(signal.SIGTERM, handler)
    fake_freddy.fault("delay", method="GET", seconds=DELAY)
    interrupt(signal.SIGTERM)
    # The wait goes on after the handler, and gets its own reply.
    assert hook.get_response(response_id).status == "cancelled"
    assert [result.status for result in cancelled] == ["cancelled"]


def test_the_handlers_are_back_after_a_create_that_failed(hook, fake_freddy, interrupt):
    before = [signal.getsignal(number) for number in SIGNALS]
    fake_freddy.fault("status", method="POST", status=401)
    with pytest.raises(FreddyError):
        hook.create_response("Hello")
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_a_create_works_in_another_thread(hook, fake_freddy):
    found = []
    thread = threading.Thread(target=lambda: found.append(hook.create_response("Hello").id))
    thread.start()
    thread.join(10)
    assert found == fake_freddy.left_running


def test_a_response_that_cannot_be_recorded_is_cancelled(hook, fake_freddy, monkeypatch):
    def fail(*_, **__):
        raise OSError("The record is not to be reached")

    monkeypatch.setattr(record, "running_task_context", lambda: {"ti": TASK_INSTANCE})
    monkeypatch.setattr(stored_record, "publish", fail)
    monkeypatch.setattr("airflow_provider_freddy.hooks.taking_charge.arm", lambda _context: None)
    with pytest.raises(OSError, match="not to be reached"):
        hook.create_response("Hello")
    assert len(fake_freddy.responses) == 1
    assert fake_freddy.left_running == []


def test_a_response_that_ended_at_once_needs_no_record(hook, fake_freddy, remembered):
    fake_freddy.next_response(duration=0)
    hook.create_response("Hello", background=False)
    assert remembered == []
