"""One poller for all waits: who is looked at when, who is told, and what is left behind."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections import Counter

import pytest

from airflow_provider_freddy.core.pace import Pace
from airflow_provider_freddy.core.problem import Problem, ProblemKind
from airflow_provider_freddy.core.reply import ModelResponse
from airflow_provider_freddy.core.request import ApiRequest
from airflow_provider_freddy.core.schedule import PollSchedule
from airflow_provider_freddy.core.wait import StatusWait
from airflow_provider_freddy.hooks.shared_poller import SharedPoller
from airflow_provider_freddy.hooks.watch import Watch

OFTEN = PollSchedule(first=0.01, factor=0.0, shortest=0.01, longest=0.01)
NEVER = PollSchedule(first=3600.0, factor=0.0, shortest=3600.0, longest=3600.0)
FAILED = Problem(ProblemKind.UNAVAILABLE, ApiRequest("GET", "/"), "answered 503")


class Api:
    """Answers looks from here, and counts them."""

    def __init__(self, status="in_progress", delay=0.0):
        self.status = status
        self.delay = delay
        self.error = None
        self.looks = Counter()
        self.under_way = self.most_at_once = 0

    async def look(self, response_id, organization_id):
        self.looks[response_id] += 1
        self.under_way += 1
        self.most_at_once = max(self.most_at_once, self.under_way)
        try:
            await asyncio.sleep(self.delay)
        finally:
            self.under_way -= 1
        if self.error:
            raise self.error
        return self.status if isinstance(self.status, Problem) else ModelResponse(response_id, self.status)

    async def looked(self, times, response_id="resp"):
        async with asyncio.timeout(5):
            while self.looks[response_id] < times:
                await asyncio.sleep(0.005)


def watch(response_id="resp", schedule=OFTEN, started_at=None, **options):
    # A wait whose start is unknown looks at once.
    return Watch(StatusWait(response_id, logging.getLogger(__name__)), None, schedule, started_at, **options)


def poller(api, at_once=40):
    return SharedPoller(api.look, Pace(), at_once)


async def first_news(shared, wait):
    """Wait as a trigger does: the first status is news to it."""
    news = await shared.news(wait)
    if news is not None:
        wait.wait.judge(news)
    return news


async def settled(*tasks):
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def test_wait_is_told_of_a_new_status_and_of_nothing_before():
    async def run():
        api = Api()
        shared, wait = poller(api), watch()
        await first_news(shared, wait)
        waiting = asyncio.create_task(shared.news(wait))
        await api.looked(5)
        assert not waiting.done()
        api.status = "completed"
        return await waiting

    assert asyncio.run(run()).status == "completed"


def test_wait_is_told_of_every_failure_and_of_the_first_answer_after_it():
    async def run():
        api = Api()
        shared, wait = poller(api), watch()
        await first_news(shared, wait)
        api.status = FAILED
        failures = [await first_news(shared, wait) for _ in range(2)]
        api.status = "in_progress"
        return failures, await first_news(shared, wait)

    failures, answer = asyncio.run(run())
    assert failures == [FAILED, FAILED]
    assert answer.status == "in_progress"


def test_deadline_is_told_without_a_look():
    async def run():
        api = Api()
        return await poller(api).news(watch(schedule=NEVER, started_at=time.time(), deadline=time.time() + 0.05)), api

    news, api = asyncio.run(run())
    assert news is None
    assert not api.looks


def test_deadline_comes_while_nothing_may_be_asked():
    async def run():
        api = Api()
        shared = poller(api)
        shared._pace.note_answer(
            Problem(ProblemKind.RATE_LIMITED, FAILED.request, "", retry_after=60), time.monotonic()
        )
        return await shared.news(watch(deadline=time.time() + 0.1)), api

    news, api = asyncio.run(run())
    assert news is None
    assert not api.looks


def test_error_of_a_look_reaches_the_wait_that_it_was_for():
    async def run():
        api = Api()
        api.error = RuntimeError("broken")
        await poller(api).news(watch())

    with pytest.raises(RuntimeError, match="broken"):
        asyncio.run(run())


def test_cancelled_wait_is_looked_at_no_more():
    async def run():
        api = Api()
        shared, wait = poller(api), watch()
        await first_news(shared, wait)
        waiting = asyncio.create_task(shared.news(wait))
        await api.looked(3)
        await settled(waiting)
        before = api.looks["resp"]
        await asyncio.sleep(0.1)
        return api.looks["resp"] - before, shared

    more, shared = asyncio.run(run())
    assert more == 0
    assert not shared._by_response
    assert not shared._due
    assert not shared._entries


def test_wait_cancelled_during_its_look_is_dropped():
    async def run():
        api = Api(delay=0.1)
        shared = poller(api)
        waiting = asyncio.create_task(shared.news(watch()))
        await api.looked(1)
        await settled(waiting)
        await asyncio.sleep(0.2)
        return api, shared

    api, shared = asyncio.run(run())
    assert api.looks["resp"] == 1
    assert not shared._entries


def test_all_who_wait_for_a_response_are_woken_and_nobody_else():
    async def run():
        api = Api(status="cancelled")
        shared = poller(api)
        since = time.time()
        both = [asyncio.create_task(shared.news(watch(schedule=NEVER, started_at=since))) for _ in range(2)]
        other = asyncio.create_task(shared.news(watch("other", schedule=NEVER, started_at=since)))
        await asyncio.sleep(0.05)
        shared.wake("resp")
        async with asyncio.timeout(1):
            found = [answer.status for answer in await asyncio.gather(*both)]
        await settled(other)
        return found, api

    found, api = asyncio.run(run())
    assert found == ["cancelled", "cancelled"]
    assert api.looks == {"resp": 2}


def test_woken_wait_looks_again_soon_until_the_api_says_so():
    async def run():
        api = Api()
        shared, wait = poller(api), watch(schedule=NEVER, started_at=time.time())
        wait.wait.judge(ModelResponse("resp", "in_progress"))
        waiting = asyncio.create_task(shared.news(wait))
        await asyncio.sleep(0.02)
        shared.wake("resp")
        await api.looked(3)
        api.status = "cancelled"
        async with asyncio.timeout(2):
            return await waiting

    assert asyncio.run(run()).status == "cancelled"


def test_cancel_during_a_look_is_followed_by_another_look_soon():
    async def run():
        api = Api(delay=0.05)
        # Its first look comes at once, the next one in an hour, unless it is woken.
        shared, wait = poller(api), watch(schedule=NEVER, started_at=time.time() - 3599.99)
        wait.wait.judge(ModelResponse("resp", "in_progress"))
        waiting = asyncio.create_task(shared.news(wait))
        await api.looked(1)
        shared.wake("resp")
        await api.looked(2)
        assert api.most_at_once == 1
        await settled(waiting)

    asyncio.run(run())


def test_what_falls_due_as_the_last_looker_ends_is_looked_at():
    async def run():
        answer = asyncio.get_running_loop().create_future()

        async def look(response_id, organization_id):
            return await answer if response_id == "first" else ModelResponse(response_id, "completed")

        shared = SharedPoller(look, Pace(), 1)
        first = asyncio.create_task(shared.news(watch("first", schedule=OFTEN)))
        second = asyncio.create_task(shared.news(watch("second", schedule=NEVER, started_at=time.time())))
        await asyncio.sleep(0.1)
        answer.set_result(ModelResponse("first", "completed"))
        asyncio.get_running_loop().call_soon(shared.wake, "second")
        async with asyncio.timeout(2):
            return [(await task).status for task in (first, second)]

    assert asyncio.run(run()) == ["completed", "completed"]


def test_pause_holds_for_what_was_due_before_it():
    async def run():
        pace = Pace()
        looks = []

        async def look(response_id, organization_id):
            looks.append(time.monotonic())
            problem = Problem(ProblemKind.RATE_LIMITED, FAILED.request, "", retry_after=60)
            pace.note_answer(problem, time.monotonic())
            await asyncio.sleep(0.05)
            return ModelResponse(response_id, "in_progress")

        shared = SharedPoller(look, pace, 2)
        waiting = [asyncio.create_task(shared.news(watch(f"resp{number}"))) for number in range(50)]
        await asyncio.sleep(0.5)
        await settled(*waiting)
        return looks

    assert len(asyncio.run(run())) <= 2


def test_deadline_is_kept_while_others_take_all_turns():
    async def run():
        api = Api(delay=1.0)
        shared = poller(api, at_once=1)
        others = [asyncio.create_task(shared.news(watch(f"resp{number}"))) for number in range(2)]
        await asyncio.sleep(0.1)
        news = await shared.news(watch("late", deadline=time.time() + 0.3))
        await settled(*others)
        return news, api

    news, api = asyncio.run(run())
    assert news is None
    assert not api.looks["late"]


def test_interrupted_look_does_not_leave_its_wait_alone():
    async def run():
        async def look(response_id, organization_id):
            await asyncio.sleep(0)
            raise asyncio.CancelledError

        await SharedPoller(look, Pace(), 1).news(watch())

    with pytest.raises(RuntimeError, match="CancelledError"):
        asyncio.run(run())


def test_no_more_looks_at_once_than_agreed():
    async def run():
        api = Api(delay=0.02)
        shared = poller(api, at_once=7)
        await asyncio.gather(*(shared.news(watch(f"resp{number}")) for number in range(50)))
        return api

    api = asyncio.run(run())
    assert api.most_at_once == 7
    assert set(api.looks.values()) == {1}


def test_pause_is_kept_by_all():
    async def run():
        api = Api()
        shared = poller(api)
        problem = Problem(ProblemKind.RATE_LIMITED, FAILED.request, "", retry_after=0.3)
        start = time.monotonic()
        shared._pace.note_answer(problem, start)
        await asyncio.gather(*(shared.news(watch(f"resp{number}")) for number in range(20)))
        return time.monotonic() - start

    assert asyncio.run(run()) >= 0.3


def test_thousand_waits_share_one_timer_and_leave_nothing_for_the_garbage_collector():
    async def run():
        api = Api()
        shared = poller(api)
        seldom = PollSchedule(first=0.2, factor=0.0, shortest=0.2, longest=0.2)
        waits = [watch(f"resp{number}", schedule=seldom) for number in range(1000)]
        await asyncio.gather(*(first_news(shared, wait) for wait in waits))
        waiting = [asyncio.create_task(shared.news(wait)) for wait in waits]
        await api.looked(2, "resp999")
        timers = sum(type(thing) is asyncio.TimerHandle for thing in gc.get_objects())
        # From here on the youngest generation is what was made since and still lives.
        gc.collect()
        gc.disable()
        try:
            await api.looked(5, "resp999")
            made = Counter(type(thing).__name__ for thing in gc.get_objects(generation=0))
        finally:
            gc.enable()
        await settled(*waiting)
        return timers, made

    timers, made = asyncio.run(run())
    assert timers < 100
    assert made.total() < 1000, made.most_common(5)
