"""Waiting in the triggerer: what ends a wait, and what is said about it."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta

import pytest
from airflow.triggers.base import TaskSuccessEvent

from airflow_provider_freddy.core.event import EndReason
from airflow_provider_freddy.hooks.shared_client import shared_client
from airflow_provider_freddy.triggers import freddy as module
from airflow_provider_freddy.triggers.freddy import ResponseTrigger
from tests.unit.hooks.conftest import KEY
from tests.unit.triggers.conftest import end_of, events_of, run, sent

#: Seconds: quick, and the same every time.
QUICK = 0.05


def test_a_trigger_is_built_anew_from_what_it_serializes_and_that_holds_no_secret(new_hook, fake_freddy):
    new_hook(fake_freddy)
    arguments = {
        "response_id": "resp_1",
        "organization_id": "org_1",
        "freddy_conn_id": "freddy_other",
        "wanted": ["in_progress"],
        "poll_interval": 7.5,
        "tolerated_failures": 3,
        "started_at": 1700000000.5,
        "deadline": 1800000000.25,
        "cancel": True,
        "keep_when_given_up": True,
        "end_task_on": ["completed"],
        "xcoms": ["return_value"],
        "push_link": True,
    }
    path, serialized = ResponseTrigger(**arguments).serialize()
    module_name, _, name = path.rpartition(".")
    assert (module_name, name) == (ResponseTrigger.__module__, "ResponseTrigger")
    assert serialized == arguments
    again = ResponseTrigger(**json.loads(json.dumps(serialized)))
    assert again.serialize() == (path, serialized)
    assert KEY not in json.dumps(serialized)


@pytest.mark.parametrize("poll_interval", ["adaptive", "thrifty", 5])
def test_every_kind_of_interval_survives(poll_interval):
    _, serialized = ResponseTrigger("resp_1", poll_interval=poll_interval).serialize()
    assert ResponseTrigger(**json.loads(json.dumps(serialized))).poll_interval == poll_interval


def test_the_arguments_of_an_older_version_keep_working(start):
    response_id = start(duration=0)
    end = run(ResponseTrigger(**{"response_id": response_id}))
    assert (end.reason, end.response["status"]) == (EndReason.STATUS, "completed")


@pytest.mark.parametrize("outcome", ["completed", "failed"])
def test_a_trigger_waits_for_the_end_and_tells_it_once(start, outcome):
    response_id = start(duration=0.3, outcome=outcome)
    end = run(ResponseTrigger(response_id, poll_interval=QUICK))
    assert end.reason is EndReason.STATUS
    assert (end.response["id"], end.response["status"], end.settled) == (response_id, outcome, True)


def test_what_the_model_wrote_is_not_in_the_event(start):
    end = run(ResponseTrigger(start(duration=0), poll_interval=QUICK))
    assert end.response["output"] is None


def test_a_wanted_status_ends_the_wait_although_the_response_runs_on(start, fake_freddy):
    end = run(ResponseTrigger(start(), wanted=["processing"], poll_interval=QUICK))
    assert (end.reason, end.response["status"], end.settled) == (EndReason.STATUS, "processing", False)
    assert fake_freddy.running_count == 1


@pytest.mark.parametrize("seconds", [-60, 0, 0.3])
def test_at_the_deadline_a_response_of_the_task_is_cancelled_and_that_is_said(start, fake_freddy, seconds):
    response_id = start()
    end = run(ResponseTrigger(response_id, poll_interval=QUICK, deadline=time.time() + seconds, cancel=True))
    assert (end.reason, end.settled) == (EndReason.DEADLINE, True)
    assert "is over" in end.message
    assert f"{response_id} cancelled" in end.message
    assert fake_freddy.left_running == []


@pytest.mark.parametrize("seconds", [-60, 0.3])
def test_at_the_deadline_somebody_elses_response_is_left_alone_and_that_is_said(start, fake_freddy, seconds):
    end = run(ResponseTrigger(start(), poll_interval=QUICK, deadline=time.time() + seconds))
    assert (end.reason, end.settled) == (EndReason.DEADLINE, False)
    assert "left alone" in end.message
    assert fake_freddy.running_count == 1
    assert sent(fake_freddy, "DELETE") == []


@pytest.mark.parametrize("cancel", [False, True])
def test_a_response_that_ended_while_no_triggerer_was_there_has_ended_in_time(start, cancel):
    response_id = start(duration=0)
    end = run(ResponseTrigger(response_id, deadline=time.time() - 60, cancel=cancel))
    assert (end.reason, end.response["status"], end.settled) == (EndReason.STATUS, "completed", True)


def test_a_response_that_ended_but_cannot_be_looked_at_is_told_in_words(start, fake_freddy):
    response_id = start(duration=0)
    fake_freddy.fault("status", method="GET", status=500, times=None)
    end = run(ResponseTrigger(response_id, deadline=time.time() - 1, cancel=True))
    assert (end.reason, end.settled) == (EndReason.DEADLINE, True)
    assert "already ended" in end.message


def test_a_cancel_that_fails_at_the_deadline_says_what_it_costs(start, fake_freddy, monkeypatch):
    monkeypatch.setattr(module, "CANCEL_SECONDS", 0.3)
    response_id = start()
    fake_freddy.fault("status", method="DELETE", status=500, times=None)
    end = run(ResponseTrigger(response_id, deadline=time.time(), cancel=True))
    assert not end.settled
    assert "MAY STILL RUN AND COST MONEY" in end.message
    assert KEY not in end.message


@pytest.mark.parametrize("fault", [("status", {"status": 500}), ("status", {"status": 401}), ("drop_before", {}),
                                   ("garbage", {"body": "html"})], ids=str)  # fmt: skip
def test_so_many_failed_looks_in_a_row_are_tolerated(start, fake_freddy, fault):
    response_id = start(duration=0)
    # aiohttp sends once more by itself what a kept connection has lost, but these looks open new ones.
    fake_freddy.fault(fault[0], method="GET", times=3, **fault[1])
    end = run(ResponseTrigger(response_id, poll_interval=QUICK, tolerated_failures=3))
    assert end.reason is EndReason.STATUS


@pytest.mark.parametrize("tolerated", [0, 2])
@pytest.mark.parametrize("cancel", [False, True])
def test_one_failed_look_more_gives_up_and_cancels_what_is_the_tasks(start, fake_freddy, tolerated, cancel):
    response_id = start()
    fake_freddy.fault("status", method="GET", status=500, times=None)
    end = run(ResponseTrigger(response_id, poll_interval=QUICK, tolerated_failures=tolerated, cancel=cancel))
    assert (end.reason, end.kind, end.settled) == (EndReason.GAVE_UP, "unavailable", cancel)
    assert len(sent(fake_freddy)) == tolerated + 1
    assert len(sent(fake_freddy, "DELETE")) == cancel
    assert fake_freddy.running_count == (0 if cancel else 1)


@pytest.mark.parametrize(("status", "kind"), [(404, "not_found"), (403, "permission")])
def test_what_cannot_pass_gives_up_at_once(start, fake_freddy, status, kind):
    fake_freddy.fault("status", method="GET", status=status, times=None)
    end = run(ResponseTrigger(start(), poll_interval=QUICK, tolerated_failures=100))
    assert (end.reason, end.kind) == (EndReason.GAVE_UP, kind)
    assert len(sent(fake_freddy)) == 1


def test_a_connection_that_does_not_exist_is_told_and_the_task_does_not_wait_for_ever(quiet_environment):
    end = run(ResponseTrigger("resp_1", freddy_conn_id="nowhere", poll_interval=QUICK, tolerated_failures=2))
    assert end.reason is EndReason.GAVE_UP
    assert "nowhere" in end.message


def test_a_line_per_change_of_status_and_none_per_look(start, fake_freddy, trigger_log):
    run(ResponseTrigger(start(duration=2), poll_interval=0.02))
    assert len(sent(fake_freddy)) > 10
    records = [record for record in trigger_log.records if record.name == "airflow_provider_freddy.triggers.freddy"]
    said = [record.getMessage().split(" is ")[-1] for record in records]
    assert said == ["processing.", "completed."]


@pytest.mark.parametrize("fault", [("status", {"status": 429}), ("status", {"status": 401}),
                                   ("status", {"status": 503}), ("drop_before", {})], ids=str)  # fmt: skip
def test_trouble_is_never_asked_faster_than_health(start, fake_freddy, fault):
    response_id = start()

    async def for_a_while(number):
        triggers = [ResponseTrigger(response_id, poll_interval=0.2, tolerated_failures=1000) for _ in range(number)]
        tasks = [asyncio.ensure_future(events_of(trigger)) for trigger in triggers]
        await asyncio.sleep(1)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(for_a_while(5))
    healthy = len(sent(fake_freddy))
    fake_freddy.fault(fault[0], method="GET", times=None, **fault[1])
    asyncio.run(for_a_while(5))
    # 5 triggers, 5 intervals, and jitter.
    assert 10 <= healthy <= 40
    assert len(sent(fake_freddy)) - healthy <= healthy + 5


def test_nobody_asks_while_freddy_has_asked_to_wait(start, fake_freddy):
    ids = [start(duration=0) for _ in range(20)]
    fake_freddy.fault("status", method="GET", status=429, retry_after=2, times=1)

    async def main():
        triggers = [ResponseTrigger(one, poll_interval=0.1, started_at=time.time() - 5) for one in ids]
        return await asyncio.gather(*map(end_of, triggers))

    assert {end.reason for end in asyncio.run(main())} == {EndReason.STATUS}
    refused = next(request.at for request in sent(fake_freddy) if request.status == 429)
    # Those that were under way in the same moment could not know.
    assert [request for request in sent(fake_freddy) if refused + 1 < request.at < refused + 2] == []


def test_a_cancel_in_the_same_process_wakes_whoever_waits(start, fake_freddy):
    response_id = start()

    async def main():
        waiting = asyncio.ensure_future(end_of(ResponseTrigger(response_id, poll_interval=60, started_at=time.time())))
        await asyncio.sleep(0.3)
        with shared_client("freddy_default") as client:
            await client.cancel(response_id, None, 5)
            start = time.monotonic()
            end = await asyncio.wait_for(waiting, 10)
            return end, time.monotonic() - start

    end, seconds = asyncio.run(main())
    assert end.response["status"] == "cancelled"
    assert seconds < 1
    assert len(sent(fake_freddy)) <= 2


def test_the_first_look_at_an_old_response_has_a_random_phase(start, fake_freddy):
    response_id = start()

    async def main():
        triggers = [ResponseTrigger(response_id, poll_interval=1.0, started_at=time.time() - 600) for _ in range(50)]
        tasks = [asyncio.ensure_future(events_of(trigger)) for trigger in triggers]
        await asyncio.sleep(1.3)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(main())
    times = sorted(request.at for request in sent(fake_freddy))[:50]
    assert times[-1] - times[0] > 0.5
    assert max(sum(at <= other < at + 0.1 for other in times) for at in times) < 20


@pytest.mark.parametrize("pushed", [["return_value", "status", "usage"], ["status"], []])
def test_the_task_ends_from_the_trigger_with_its_xcoms(start, monkeypatch, pushed):
    xcoms = {}

    async def push(_task_instance, key, value):
        await asyncio.sleep(0)
        xcoms[key] = value

    monkeypatch.setattr(module, "push_xcom_from_trigger", push)
    response_id = start(duration=0)
    trigger = ResponseTrigger(response_id, poll_interval=QUICK, end_task_on=["completed"], xcoms=pushed)
    (event,) = asyncio.run(events_of(trigger))
    assert isinstance(event, TaskSuccessEvent)
    assert sorted(xcoms) == sorted(pushed)
    if "return_value" in pushed:
        assert xcoms["return_value"]["output"]


def test_a_task_whose_xcoms_cannot_be_pushed_resumes_in_a_worker(start, monkeypatch):
    async def push(*_):
        await asyncio.sleep(0)
        raise RuntimeError("the supervisor is away")

    monkeypatch.setattr(module, "push_xcom_from_trigger", push)
    end = run(ResponseTrigger(start(duration=0), end_task_on=["completed"], xcoms=["status"], poll_interval=QUICK))
    assert end.reason is EndReason.STATUS


@pytest.mark.parametrize("works", [True, False])
def test_the_link_is_pushed_when_the_wait_begins_and_is_not_what_it_depends_on(
    start, new_hook, fake_freddy, monkeypatch, works
):
    asked_before = []

    async def push(_task_instance, key, value):
        await asyncio.sleep(0)
        asked_before.append((key, value, len(fake_freddy.requests)))
        if not works:
            raise RuntimeError("the supervisor is away")

    monkeypatch.setattr(module, "push_xcom_from_trigger", push)
    response_id = start(duration=0)
    before = len(fake_freddy.requests)
    assert run(ResponseTrigger(response_id, poll_interval=QUICK, push_link=True)).reason is EndReason.STATUS
    link = f"{fake_freddy.url}/v1/model/response/{response_id}?organizationId=org_fake"
    assert asked_before == [("freddy_response_link", link, before)]
    run(ResponseTrigger(response_id, poll_interval=QUICK))
    assert len(asked_before) == 1


def test_a_response_that_failed_is_for_the_task_to_judge(start):
    trigger = ResponseTrigger(start(duration=0, outcome="failed"), end_task_on=["completed"], poll_interval=QUICK)
    assert run(trigger).response["status"] == "failed"


@pytest.mark.parametrize("number", [200])
def test_the_event_loop_stays_free_while_the_api_is_slow(number, new_hook, fake_freddy, start):
    response_id = start()
    fake_freddy.fault("delay", method="GET", seconds=0.5, times=None)
    lags = []

    async def ticker():
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.05)
            lags.append(time.monotonic() - before - 0.05)

    async def main():
        triggers = [ResponseTrigger(response_id, poll_interval=1.0) for _ in range(number)]
        tasks = [asyncio.ensure_future(events_of(trigger)) for trigger in triggers]
        ticking = asyncio.ensure_future(ticker())
        await asyncio.sleep(3)
        while len(sent(fake_freddy)) <= number:
            await asyncio.sleep(0.1)
        for task in [*tasks, ticking]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(asyncio.wait_for(main(), 60))
    # The first second imports the HTTP library and looks the connection up.
    assert sorted(lags[20:])[-3] < 0.3


def test_a_task_that_starts_in_the_triggerer_ends_with_airflows_own_time_limit(start, fake_freddy):
    trigger = ResponseTrigger(start(), poll_interval=QUICK, cancel=True)
    trigger.timeout_after = datetime.now(UTC) + timedelta(seconds=0.3)
    assert run(trigger).reason is EndReason.DEADLINE
    assert fake_freddy.left_running == []
