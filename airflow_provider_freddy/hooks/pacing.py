"""When a trigger looks the next time: its schedule, what the API allows, its deadline, and who wakes it."""

from __future__ import annotations

import random
import time

from airflow_provider_freddy.core.problem import Problem
from airflow_provider_freddy.core.reply import ModelResponse
from airflow_provider_freddy.core.schedule import PollSchedule
from airflow_provider_freddy.core.wait import StatusWait
from airflow_provider_freddy.hooks.shared_client import SharedClient

#: Seconds to the first look after somebody in this process has cancelled the response, doubled for every further one.
_FIRST_HURRY = 0.05


class LookTimes:
    """
    The times at which one wait looks.

    :param schedule: the schedule.
    :param client: the client whose pace is kept to.
    :param response_id: the response.
    :param started_at: when it was started, seconds since 1970; ``None`` to learn it from the first look.
    :param deadline: when the wait is over, seconds since 1970.
    """

    # One for every waiting trigger, of which there are thousands.
    __slots__ = (
        "_began",
        "_client",
        "_deadline",
        "_delay",
        "_hurry",
        "_progress",
        "_response_id",
        "_schedule",
        "_started_at",
    )

    def __init__(
        self,
        schedule: PollSchedule,
        client: SharedClient,
        response_id: str,
        started_at: float | None,
        deadline: float | None,
    ) -> None:
        self._schedule = schedule
        self._client = client
        self._response_id = response_id
        self._started_at = started_at
        self._deadline = deadline
        self._began = time.time()
        self._delay: float | None = None
        self._hurry: float | None = None
        self._progress: float | None = None

    def note(self, answer: ModelResponse | Problem) -> None:
        """
        Learn from a look.

        :param answer: what it has come to.
        """
        if self._started_at is None and isinstance(answer, ModelResponse) and answer.created_at is not None:
            self._started_at = answer.created_at.timestamp()
        self._progress = answer.progress_percentage if isinstance(answer, ModelResponse) else None

    async def until_next(self, wait: StatusWait) -> bool:
        """
        Sleep until the next look.

        :param wait: the wait, which knows of failed looks.
        :return: whether there is one; if not, the deadline has come.
        """
        delay = self._next_delay(wait.failures)
        while True:
            left = self._deadline - time.time() if self._deadline is not None else None
            if left is not None and left <= delay:
                return left > 0 and await self._client.sleepers.sleep(self._response_id, left)
            if await self._client.sleepers.sleep(self._response_id, delay):
                self._hurry = _FIRST_HURRY
                return True
            pause = self._client.pace.pause_left(time.monotonic())
            if not pause:
                return True
            # Not all at once when the pause is over: at the usual rate.
            delay = pause + random.random() * self._schedule.interval(self._age())

    def _next_delay(self, failures: int) -> float:
        age = self._age()
        if self._delay is None and self._started_at is None:
            # It may have ended long ago.
            self._delay = random.uniform(0.0, min(1.0, self._schedule.shortest))
        elif self._delay is None:
            self._delay = self._schedule.first_delay(age)
        else:
            self._delay = self._schedule.next_delay(age, failures, self._progress)
        if self._hurry is not None:
            # Cancelled a moment ago: the end is near, but the API may need a moment to say so.
            hurry, self._hurry = self._hurry, self._hurry * 2
            if hurry < self._delay:
                return hurry
            self._hurry = None
        return self._delay * self._client.pace.stretch(time.monotonic())

    def _age(self) -> float:
        return time.time() - (self._started_at or self._began)
