"""Cancelling a great many responses over one session."""

from __future__ import annotations

import asyncio
import logging
import signal
import time

import pytest

from airflow_provider_freddy.core.cancel import CancelOutcome, CancelResult
from airflow_provider_freddy.exceptions import (
    FreddyCancelNotConfirmedError,
    FreddyCredentialsError,
    FreddyError,
    FreddyInvalidRequestError,
    FreddyNotFoundError,
    FreddyPermissionError,
)
from airflow_provider_freddy.hooks import bulk_cancel as module
from airflow_provider_freddy.hooks.bulk_cancel import Crowd, in_a_loop_of_its_own


def started(hook, number, **life):
    return [
        hook.create_response("Hello", metadata={f"fake_{name}": value for name, value in life.items()}).id
        for _ in range(number)
    ]


def deletes(freddy):
    return [request for request in freddy.requests if request.method == "DELETE"]


def test_all_are_cancelled_and_each_has_an_outcome(hook, fake_freddy):
    running, done, queued = started(hook, 20), started(hook, 5, duration=0), started(hook, 3, queued_for=0.3)
    outcomes = dict(hook.cancel_responses([*running, *done, *queued]))
    assert {outcomes[one].outcome for one in [*running, *queued]} == {CancelOutcome.CANCELLED}
    assert {outcomes[one].outcome for one in done} == {CancelOutcome.ALREADY_FINAL}
    assert fake_freddy.left_running == []


def test_what_cannot_be_cancelled_yet_keeps_nobody_else_waiting(hook, fake_freddy):
    queued, running = started(hook, 60, queued_for=60), started(hook, 30)
    outcomes = dict(hook.cancel_responses([*queued, *running], budget=8))
    assert set(fake_freddy.left_running) == set(queued)
    assert all(isinstance(outcomes[response_id], CancelResult) for response_id in running)


def test_a_timeout_of_airflow_comes_out_as_it_is(hook, fake_freddy):
    class AirflowTimeout(BaseException):
        """As Airflow raises it from its signal handler."""

    def on_alarm(*_):
        raise AirflowTimeout

    fake_freddy.fault("hang", method="DELETE", times=None)
    ids = started(hook, 3)
    before = signal.signal(signal.SIGALRM, on_alarm)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.5)
        with pytest.raises(AirflowTimeout):
            list(hook.cancel_responses(ids, budget=20))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_what_goes_wrong_with_one_stops_nobody_else(hook, fake_freddy):
    good, forbidden, refused = started(hook, 3)
    fake_freddy.fault("status", response_id=forbidden, status=403, times=None)
    fake_freddy.fault("status", response_id=refused, status=401, times=None)
    outcomes = dict(hook.cancel_responses([forbidden, "resp_unknown", "..", refused, good]))
    assert isinstance(outcomes[good], CancelResult)
    assert type(outcomes[forbidden]) is FreddyPermissionError
    assert type(outcomes[refused]) is FreddyCredentialsError
    assert type(outcomes["resp_unknown"]) is FreddyNotFoundError
    assert type(outcomes[".."]) is FreddyInvalidRequestError
    assert f"Response {forbidden} MAY STILL RUN AND COST MONEY" in str(outcomes[forbidden])


@pytest.mark.parametrize(("tell_status", "verify", "looks"), [(False, False, 0), (True, False, 2), (False, True, 2)])
def test_looks_are_only_made_where_they_are_wanted(hook, fake_freddy, tell_status, verify, looks):
    ids = [*started(hook, 2), *started(hook, 2, duration=0)]
    outcomes = dict(hook.cancel_responses(ids, tell_status=tell_status, verify=verify))
    assert [outcomes[one].status for one in ids[2:]] == (["completed"] * 2 if tell_status else [None] * 2)
    assert len([request for request in fake_freddy.requests if request.method == "GET"]) == looks


@pytest.mark.parametrize("concurrency", [1, 5, 128])
def test_there_are_never_more_connections_than_cancels_at_once(hook, fake_freddy, concurrency):
    ids = started(hook, 150)
    before = fake_freddy.connections
    outcomes = list(hook.cancel_responses(ids, concurrency=concurrency))
    assert len(outcomes) == 150
    assert fake_freddy.connections - before <= concurrency
    assert fake_freddy.left_running == []


def test_a_long_link_is_used_by_more_at_once(hook, fake_freddy):
    ids = started(hook, 200)
    fake_freddy.fault("delay", method="DELETE", seconds=0.2, times=None)
    start = time.monotonic()
    list(hook.cancel_responses(ids))
    # One after another would take 40 s.
    assert time.monotonic() - start < 8
    assert fake_freddy.left_running == []


class Crowded:
    """Counts ids that are taken and things that are done, without any network."""

    def __init__(self, number):
        self.number, self.taken, self.under_way, self.most = number, 0, 0, 0

    def ids(self):
        for one in range(self.number):
            self.taken += 1
            yield f"resp_{one}"

    async def do(self, response_id):
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(0.001)
        self.under_way -= 1
        return response_id.upper()


@pytest.mark.parametrize("concurrency", [1, 8, 64])
def test_ids_are_taken_only_as_there_is_room(concurrency):
    number = 5000 if concurrency > 1 else 500
    crowded = Crowded(number)
    ahead, largest, seen = 0, 0, 0

    async def main():
        nonlocal ahead, largest, seen
        async for batch in Crowd(crowded.do, crowded.ids(), concurrency).outcomes():
            seen += len(batch)
            largest = max(largest, len(batch))
            ahead = max(ahead, crowded.taken - seen)
            assert all(outcome == one.upper() for one, outcome in batch)

    asyncio.run(main())
    assert seen == number
    assert crowded.most <= concurrency
    assert ahead <= concurrency + largest


def test_nothing_more_is_taken_while_nobody_takes_outcomes():
    crowded = Crowded(5000)
    outcomes = in_a_loop_of_its_own(Crowd(crowded.do, crowded.ids(), 8).outcomes())
    next(outcomes)
    taken = crowded.taken
    time.sleep(0.1)
    assert crowded.taken == taken <= 100
    outcomes.close()
    assert crowded.taken == taken


def test_an_error_of_the_ids_is_not_lost(hook, fake_freddy):
    def ids():
        yield from started(hook, 3)
        raise LookupError("the database is away")

    outcomes = []
    with pytest.raises(LookupError, match="the database is away"):
        outcomes.extend(hook.cancel_responses(ids()))
    assert fake_freddy.left_running == []


def test_without_ids_nothing_is_sent(hook, fake_freddy):
    assert list(hook.cancel_responses([])) == []
    assert fake_freddy.requests == []


def test_when_freddy_asks_to_slow_down_all_slow_down(hook, fake_freddy):
    ids = started(hook, 60)
    fake_freddy.fault("status", method="DELETE", status=429, retry_after=0.7, times=1)
    list(hook.cancel_responses(ids))
    assert fake_freddy.left_running == []
    refused = next(request.at for request in deletes(fake_freddy) if request.status == 429)
    # What was under way in the same moment could not know.
    assert [request for request in deletes(fake_freddy) if refused + 0.15 < request.at < refused + 0.7] == []


def test_who_stops_early_leaves_no_connection_and_no_task(hook, fake_freddy, recwarn):
    ids = started(hook, 100)
    outcomes = hook.cancel_responses(ids, concurrency=4)
    next(outcomes)
    outcomes.close()
    # What was on its way may still arrive.
    time.sleep(0.2)
    counted = len(deletes(fake_freddy))
    time.sleep(0.2)
    assert len(deletes(fake_freddy)) == counted < 100
    assert [str(warning.message) for warning in recwarn if "nclosed" in str(warning.message)] == []


def test_in_an_event_loop_it_says_what_to_do_instead(hook, fake_freddy):
    ids = started(hook, 3)

    async def main():
        with pytest.raises(FreddyInvalidRequestError, match=r"asyncio\.to_thread"):
            hook.cancel_responses(ids)
        return await asyncio.to_thread(lambda: list(hook.cancel_responses(ids)))

    assert len(asyncio.run(main())) == 3
    assert fake_freddy.left_running == []


def test_when_the_time_is_over_the_rest_is_told_and_not_sent(hook, fake_freddy):
    ids = started(hook, 300)
    fake_freddy.fault("hang", method="DELETE", times=None)
    start = time.monotonic()
    outcomes = dict(hook.cancel_responses(ids, budget=0.5, concurrency=16))
    assert time.monotonic() - start < 8
    assert len(outcomes) == 300
    assert all(isinstance(outcome, FreddyError) for outcome in outcomes.values())
    assert all("MAY STILL RUN AND COST MONEY" in str(outcome) for outcome in outcomes.values())
    assert {type(outcomes[one]) for one in ids[-10:]} == {FreddyCancelNotConfirmedError}
    assert len(deletes(fake_freddy)) < 100


@pytest.mark.parametrize("concurrency", [0, -1])
def test_a_concurrency_that_makes_no_sense_is_refused_at_once(hook, concurrency):
    with pytest.raises(FreddyInvalidRequestError, match="concurrency"):
        hook.cancel_responses(["resp_1"], concurrency=concurrency)


def test_a_certificate_that_is_not_there_is_a_bad_connection(new_hook):
    hook = new_hook(host="https://127.0.0.1:1", extra={"verify": "/nowhere/ca.pem"})
    with pytest.raises(FreddyInvalidRequestError, match="/nowhere/ca"):
        list(hook.cancel_responses(["resp_1"]))


def test_a_line_tells_how_far_it_has_come_and_one_how_it_ended(hook, hook_log, fake_freddy, monkeypatch):
    ids = [*started(hook, 30), *started(hook, 2, duration=0), "resp_unknown"]
    monkeypatch.setattr(module, "PROGRESS_SECONDS", 0.0)
    hook_log.clear()
    hook_log.set_level(logging.INFO)
    list(hook.cancel_responses(ids, concurrency=2))
    lines = [record.getMessage() for record in hook_log.records]
    assert len(lines) == 34
    assert lines[0].endswith("so far.")
    assert lines[-1].startswith("Cancelling Freddy responses: 30 cancelled, 2 already ended, 1 failed, in ")


def test_there_is_no_line_per_response(hook, hook_log, fake_freddy):
    ids = started(hook, 50)
    hook_log.clear()
    hook_log.set_level(logging.INFO)
    list(hook.cancel_responses(ids))
    assert len([record for record in hook_log.records if record.levelno >= logging.INFO]) <= 2
