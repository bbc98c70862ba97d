"""
The one poller for all waits of an event loop that use the same Airflow connection.

With a timer and a sleeping coroutine for every wait, thousands of them keep making objects that live for seconds.
Python's garbage collector then goes through the whole process again and again, and stops the event loop for a quarter
of a second each time. Here nothing that lasts is made for a look that finds nothing new.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from heapq import heappop, heappush
from itertools import count
from typing import cast

from airflow_provider_freddy.core.pace import Pace
from airflow_provider_freddy.core.problem import Problem
from airflow_provider_freddy.core.reply import ModelResponse
from airflow_provider_freddy.hooks.watch import Entry, News, Watch

Look = Callable[[str, str | None], Awaitable[ModelResponse | Problem]]


class SharedPoller:
    """
    Looks at every response that is waited for when it is due, and wakes its trigger for what is new only.

    :param look: looks once, given a response and its organization.
    :param pace: the pace that the API allows.
    :param at_once: how many looks are under way at the most.
    """

    def __init__(self, look: Look, pace: Pace, at_once: int) -> None:
        self._look = look
        self._pace = pace
        self._at_once = at_once
        self._loop = asyncio.get_running_loop()
        # A heap, the earliest first.
        self._entries: list[Entry] = []
        self._numbers = count()
        self._timer: asyncio.TimerHandle | None = None
        self._due: deque[Watch] = deque()
        self._lookers: set[asyncio.Task[None]] = set()
        # Nearly every response has one; a set for it would be as large as all the rest.
        self._by_response: dict[str, tuple[Watch, ...]] = {}

    async def news(self, watch: Watch) -> News:
        """
        Wait until a look says something new.

        :param watch: what to look at, and when.
        :return: what the look has come to; ``None`` if the deadline has come.
        """
        response_id = watch.wait.response_id
        told: asyncio.Future[News] = self._loop.create_future()
        watch.told = told
        self._by_response[response_id] = (*self._by_response.get(response_id, ()), watch)
        try:
            self._plan(watch, watch.seconds_to_next(self._pace, time.monotonic()))
            return await told
        finally:
            watch.told = None
            watch.leave_queue()
            if others := tuple(other for other in self._by_response[response_id] if other is not watch):
                self._by_response[response_id] = others
            else:
                del self._by_response[response_id]

    def wake(self, response_id: str) -> None:
        """
        Look at once, for everybody who waits for a response.

        :param response_id: the response.
        """
        for watch in self._by_response.get(response_id, ()):
            watch.hurry()
            # Not where a look is under way or about to be: the next one comes soon after it.
            if watch.leave_queue():
                self._due.append(watch)
        self._look_at_due()

    # -- when ----------------------------------------------------------------------------------------------

    def _plan(self, watch: Watch, seconds: float) -> None:
        """Put a watch into the queue."""
        entry = watch.entry or [0.0, next(self._numbers), None]
        entry[0], entry[2] = time.monotonic() + seconds, watch
        watch.entry = entry
        heappush(self._entries, entry)
        if entry is self._entries[0]:
            self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        delay = self._entries[0][0] - time.monotonic()
        self._timer = self._loop.call_later(max(0.0, delay), self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        now = time.monotonic()
        while self._entries and (self._entries[0][2] is None or self._entries[0][0] <= now):
            entry = heappop(self._entries)
            # Free to be used again.
            watch, entry[2] = entry[2], None
            if watch is not None and watch.at_deadline:
                self._tell(watch, None)
            elif watch is not None:
                self._due.append(watch)
        if self._entries:
            self._set_timer()
        self._look_at_due()

    # -- looking -------------------------------------------------------------------------------------------

    def _look_at_due(self) -> None:
        for _ in range(min(len(self._due), self._at_once - len(self._lookers))):
            looker = self._loop.create_task(self._look_while_due())
            self._lookers.add(looker)
            looker.add_done_callback(self._lookers.discard)

    async def _look_while_due(self) -> None:
        try:
            while self._due:
                watch = self._due.popleft()
                if watch.is_awaited:
                    await self._look_at(watch)
        finally:
            # In the same step as the last glance at the queue: what falls due next is for another one.
            self._lookers.discard(cast("asyncio.Task[None]", asyncio.current_task()))

    async def _look_at(self, watch: Watch) -> None:
        try:
            if watch.is_over:
                self._tell(watch, None)
            elif pause := self._pace.pause_left(time.monotonic()):
                # Asked here and nowhere before: Freddy may have said so while this one was waiting for its turn.
                self._plan(watch, watch.seconds_after(pause))
            else:
                answer = await self._look(watch.wait.response_id, watch.organization_id)
                if watch.note(answer):
                    self._tell(watch, answer)
                elif watch.is_awaited:
                    self._plan(watch, watch.seconds_to_next(self._pace, time.monotonic()))
        except BaseException as error:
            # Whoever waits must learn of it: nobody else does.
            if watch.told is not None and watch.is_awaited:
                watch.told.set_exception(error if isinstance(error, Exception) else RuntimeError(repr(error)))
            if not isinstance(error, Exception):
                raise

    def _tell(self, watch: Watch, news: News) -> None:
        if watch.told is not None and watch.is_awaited:
            watch.told.set_result(news)
