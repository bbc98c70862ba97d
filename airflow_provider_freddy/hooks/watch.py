"""What one trigger waits for, and when its response is looked at the next time."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

from airflow_provider_freddy.core.pace import Pace
from airflow_provider_freddy.core.problem import Problem
from airflow_provider_freddy.core.reply import ModelResponse
from airflow_provider_freddy.core.schedule import PollSchedule
from airflow_provider_freddy.core.wait import StatusWait

#: Seconds to the first look after somebody in this process has cancelled the response, doubled for every further one.
_FIRST_HURRY = 0.05

#: What the poller tells a wait: an answer that is news, or ``None`` when its deadline has come.
News = ModelResponse | Problem | None
#: A place in the poller's queue: when, a number that tells those of the same moment apart, and whose; nobody's once
#: the wait has left it. A list, which serves for all looks of a wait.
Entry = list[Any]


class Watch:
    """
    One wait: its response, and the times at which that is looked at.

    :param wait: the wait, which knows what a look means.
    :param organization_id: the organization that owns the response; the connection's by default.
    :param schedule: the schedule.
    :param started_at: when the response was started, seconds since 1970; ``None`` to learn it from the first look.
    :param deadline: when the wait is over, seconds since 1970.
    """

    # One for every waiting trigger, of which there are thousands.
    __slots__ = (
        "_began",
        "_deadline",
        "_delay",
        "_hurry",
        "_progress",
        "_schedule",
        "_started_at",
        "at_deadline",
        "entry",
        "organization_id",
        "told",
        "wait",
    )

    def __init__(
        self,
        wait: StatusWait,
        organization_id: str | None,
        schedule: PollSchedule,
        started_at: float | None = None,
        deadline: float | None = None,
    ) -> None:
        self.wait = wait
        self.organization_id = organization_id
        #: What the trigger awaits, and its place in the queue; the poller's to set.
        self.told: asyncio.Future[News] | None = None
        self.entry: Entry | None = None
        #: Whether the next time is that of the deadline, and not of a look.
        self.at_deadline = False
        self._schedule = schedule
        self._started_at = started_at
        self._deadline = deadline
        self._began = time.time()
        self._delay: float | None = None
        self._hurry: float | None = None
        self._progress: float | None = None

    @property
    def is_awaited(self) -> bool:
        """Whether the trigger waits to be told."""
        return self.told is not None and not self.told.done()

    @property
    def is_over(self) -> bool:
        """Whether the deadline has come."""
        return self._deadline is not None and time.time() >= self._deadline

    def note(self, answer: ModelResponse | Problem) -> bool:
        """
        Learn from a look.

        :param answer: what it has come to.
        :return: whether the wait has to be told.
        """
        if isinstance(answer, ModelResponse):
            if self._started_at is None and answer.created_at is not None:
                self._started_at = answer.created_at.timestamp()
            self._progress = answer.progress_percentage
        else:
            self._progress = None
        return self.wait.is_news(answer)

    def hurry(self) -> None:
        """Look soon and soon again: the response was cancelled a moment ago."""
        self._hurry = _FIRST_HURRY

    def leave_queue(self) -> bool:
        """
        Give the place in the queue away.

        :return: whether there was one; there is none while a look is under way.
        """
        if self.entry is None or self.entry[2] is None:
            return False
        self.entry[2] = None
        self.entry = None
        return True

    def seconds_to_next(self, pace: Pace, now: float) -> float:
        """
        Return the seconds until the next look, or to the deadline.

        :param pace: the pace that the API allows.
        :param now: of the clock of the pace.
        """
        return self._before_deadline(self._next_delay(pace, now))

    def seconds_after(self, pause: float) -> float:
        """
        Return the seconds to a look that cannot be made now: not at once after the pause, but at the usual rate.

        :param pause: seconds for which nothing may be asked.
        """
        return self._before_deadline(pause + random.random() * self._schedule.interval(self._age()))

    def _before_deadline(self, delay: float) -> float:
        if self._deadline is None:
            return delay
        left = self._deadline - time.time()
        self.at_deadline = left <= delay
        return max(0.0, min(left, delay))

    def _next_delay(self, pace: Pace, now: float) -> float:
        age = self._age()
        if self._delay is None and self._started_at is None:
            # It may have ended long ago.
            self._delay = random.uniform(0.0, min(1.0, self._schedule.shortest))
        elif self._delay is None:
            self._delay = self._schedule.first_delay(age)
        else:
            self._delay = self._schedule.next_delay(age, self.wait.failures, self._progress)
        if self._hurry is not None:
            # Cancelled a moment ago: the end is near, but the API may need a moment to say so.
            hurry, self._hurry = self._hurry, self._hurry * 2
            if hurry < self._delay:
                return hurry
            self._hurry = None
        return self._delay * pace.stretch(now)

    def _age(self) -> float:
        # The start is by the clock of another machine.
        return max(0.0, time.time() - (self._started_at or self._began))
