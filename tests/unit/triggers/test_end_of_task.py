"""What a trigger does when it is killed: cancel, unless the task only moves to another triggerer."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time

import pytest

from airflow_provider_freddy.triggers import freddy as module
from airflow_provider_freddy.triggers import still_wanted as asking
from airflow_provider_freddy.triggers.freddy import ResponseTrigger
from airflow_provider_freddy.triggers.still_wanted import RunStates
from tests.airflow_versions import needs_airflow
from tests.unit.triggers.conftest import events_of, run, sent, task_instance


def owned(response_id, map_index=-1):
    trigger = ResponseTrigger(response_id, poll_interval=60, started_at=time.time(), cancel=True)
    trigger.task_instance = task_instance(map_index)
    return trigger


async def kill(trigger, *, again_after=None):
    """Do what Airflow 3.3 does: cancel the run, call ``on_kill``, and cancel that every second (here: sooner)."""
    running = asyncio.ensure_future(events_of(trigger))
    await asyncio.sleep(0.1)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    killing = asyncio.ensure_future(trigger.on_kill())
    while again_after and not killing.done():
        await asyncio.sleep(again_after)
        killing.cancel()
    await killing


@pytest.mark.parametrize("states", [{}, {"task": "failed"}, {"task": "success"}, {"task": None}, {"other": "deferred"}])
def test_the_response_of_a_task_that_is_gone_is_cancelled(airflow, start, fake_freddy, trigger_log, states):
    airflow.states = states
    response_id = start()
    asyncio.run(kill(owned(response_id)))
    assert fake_freddy.left_running == []
    assert f"{response_id} cancelled" in trigger_log.text


def test_a_task_that_is_still_deferred_for_this_response_has_only_moved(airflow, start, fake_freddy, trigger_log):
    response_id = start()
    airflow.recorded = [response_id]
    asyncio.run(kill(owned(response_id)))
    assert fake_freddy.running_count == 1
    assert "another triggerer" in trigger_log.text


def test_a_task_that_is_deferred_for_another_response_has_been_cleared(airflow, start, fake_freddy):
    airflow.recorded = ["resp_of_the_next_try"]
    asyncio.run(kill(owned(start())))
    assert fake_freddy.left_running == []


def test_a_mapped_task_is_not_taken_for_its_sibling(airflow, start, fake_freddy):
    airflow.states = {"task_0": "deferred", "task_1": "failed"}
    first, second = start(), start()
    airflow.recorded = [first]
    asyncio.run(kill(owned(first, 0)))
    asyncio.run(kill(owned(second, 1)))
    assert fake_freddy.left_running == [first]


def test_when_airflow_cannot_be_asked_the_response_is_cancelled(airflow, start, fake_freddy):
    airflow.error = RuntimeError("the API server is away")
    asyncio.run(kill(owned(start())))
    assert fake_freddy.left_running == []


def test_when_airflow_does_not_answer_the_response_is_cancelled(airflow, start, fake_freddy, monkeypatch):
    monkeypatch.setattr(module, "ASK_SECONDS", 0.3)
    answer = threading.Event()

    def hang(dag_id, run_id):
        answer.wait(1)
        return {}

    monkeypatch.setattr(asking, "states_of_run", hang)

    async def main():
        await kill(owned(start()))
        answer.set()

    asyncio.run(main())
    assert fake_freddy.left_running == []


@needs_airflow("3.3", "before, a trigger has no kill hook")
@pytest.mark.parametrize("trouble", ["slow Airflow", "slow Freddy"])
def test_airflow_cancels_the_kill_hook_again_and_again_and_the_response_is_cancelled_all_the_same(
    airflow, start, fake_freddy, monkeypatch, trouble
):
    airflow.states = {}
    original = asking.states_of_run
    if trouble == "slow Airflow":
        monkeypatch.setattr(asking, "states_of_run", lambda *where: time.sleep(0.5) or original(*where))
    else:
        fake_freddy.fault("delay", method="DELETE", seconds=0.5)
    asyncio.run(kill(owned(start()), again_after=0.05))
    assert fake_freddy.left_running == []
    assert len(sent(fake_freddy, "DELETE")) == 1


def test_a_kill_hook_ends_whatever_freddy_does(airflow, start, fake_freddy, monkeypatch, trigger_log):
    monkeypatch.setattr(module, "KILL_SECONDS", 0.3)
    airflow.states = {}
    response_id = start()
    fake_freddy.fault("status", method="DELETE", status=503, times=None)
    begin = time.monotonic()
    asyncio.run(kill(owned(response_id)))
    assert time.monotonic() - begin < 10
    assert f"response {response_id} MAY STILL RUN AND COST MONEY" in trigger_log.text


def test_somebody_elses_response_is_not_asked_about(airflow, start, fake_freddy):
    trigger = owned(start())
    trigger.cancel = False
    asyncio.run(kill(trigger))
    assert (airflow.questions, fake_freddy.running_count) == (0, 1)


async def cancelled_before_3_3(trigger):
    running = asyncio.ensure_future(events_of(trigger))
    await asyncio.sleep(0.1)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


@pytest.mark.parametrize(("states", "left"), [({}, 0), ({"task": "deferred"}, 1)])
def test_before_airflow_3_3_the_cancellation_itself_is_the_kill(airflow, start, fake_freddy, monkeypatch, states, left):
    monkeypatch.setattr(module, "TRIGGERS_HAVE_KILL_HOOK", False)
    airflow.states = states
    asyncio.run(cancelled_before_3_3(owned(start())))
    assert fake_freddy.running_count == left


def test_before_airflow_3_3_a_question_without_answer_may_be_a_shutdown(airflow, start, fake_freddy, monkeypatch):
    monkeypatch.setattr(module, "TRIGGERS_HAVE_KILL_HOOK", False)
    airflow.error = RuntimeError("shutting down")
    asyncio.run(cancelled_before_3_3(owned(start())))
    assert fake_freddy.running_count == 1


@needs_airflow("3.3", "before, the cancellation itself is the kill")
def test_since_airflow_3_3_a_cancellation_alone_cancels_nothing(airflow, start, fake_freddy):
    asyncio.run(cancelled_before_3_3(owned(start())))
    assert (airflow.questions, fake_freddy.running_count) == (0, 1)


def test_a_thousand_questions_of_one_moment_are_few_readings(airflow):
    async def main():
        return await asyncio.gather(*(RunStates.read("dag", "run") for _ in range(1000)))

    answers = asyncio.run(main())
    assert all(answer == {"run": {"task": "deferred"}} for answer in answers)
    assert airflow.questions <= 3


def test_a_question_is_never_answered_by_a_reading_that_began_before_it(monkeypatch):
    number, under_way, go_on = 0, threading.Event(), threading.Event()

    def states_of_run(dag_id, run_id):
        nonlocal number
        number += 1
        mine = number
        under_way.set()
        go_on.wait(5)
        return mine

    monkeypatch.setattr(asking, "states_of_run", states_of_run)

    async def main():
        first = asyncio.ensure_future(RunStates.read("dag", "run"))
        await asyncio.to_thread(under_way.wait, 5)
        later = [asyncio.ensure_future(RunStates.read("dag", "run")) for _ in range(10)]
        await asyncio.sleep(0.05)
        go_on.set()
        return await first, await asyncio.gather(*later)

    assert asyncio.run(main()) == (1, [2] * 10)
    assert RunStates._batches == {}


def test_who_asks_for_another_run_gets_another_answer(airflow):
    async def main():
        return await asyncio.gather(RunStates.read("dag", "one"), RunStates.read("dag", "two"))

    assert [list(answer) for answer in asyncio.run(main())] == [["one"], ["two"]]


def test_a_question_that_fails_fails_for_all_and_the_next_one_is_asked_anew(airflow):
    async def main():
        airflow.error = RuntimeError("away")
        failed = await asyncio.gather(*(RunStates.read("dag", "run") for _ in range(5)), return_exceptions=True)
        airflow.error = None
        return failed, await RunStates.read("dag", "run")

    failed, later = asyncio.run(main())
    assert {type(error) for error in failed} == {RuntimeError}
    assert later == {"run": {"task": "deferred"}}


def test_a_finished_wait_asks_nothing_of_airflow(airflow, start):
    trigger = owned(start(duration=0))
    trigger.poll_interval, trigger.started_at = 0.05, None
    run(trigger)
    assert airflow.questions == 0
