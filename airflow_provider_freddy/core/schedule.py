"""
When to look at a response the next time.

Most responses end soon, and one that has run for long will likely run on for long. The mean delay for a number of
looks is least when the interval grows with the square root of the age (for log-normal lengths, as these are; doubling
intervals do worse on both counts). Fixed intervals are for those who know better.
"""

from __future__ import annotations

import functools
import math
import random
from typing import Any, Literal

from airflow_provider_freddy.core.seconds import check_seconds

#: What ``poll_interval`` takes: the name of a schedule, or seconds.
PollInterval = float | Literal["adaptive", "thrifty"]

#: How many looks in a row may fail before the wait is given up.
DEFAULT_TOLERATED_FAILURES = 5

#: Every interval is stretched or shrunk by up to this part of it, so that a thousand waits do not beat in step.
JITTER = 0.1
#: Seconds that failed looks slow the next ones down to, unless the schedule itself is slower.
LONGEST_AFTER_FAILURE = 60.0


class PollSchedule:
    """
    An interval that grows with the square root of the response's age.

    :param first: seconds from the start of a response to the first look.
    :param factor: the interval is this, times the square root of the age in seconds.
    :param shortest: seconds, the least interval.
    :param longest: seconds, the greatest interval.
    """

    # No dataclass: those cost a DAG file more to import than all the rest of this module.
    __slots__ = ("factor", "first", "longest", "shortest")

    def __init__(self, first: float, factor: float, shortest: float, longest: float) -> None:
        self.first = first
        self.factor = factor
        self.shortest = shortest
        self.longest = longest

    def interval(self, age: float) -> float:
        """
        Return the seconds from one look to the next, without jitter.

        :param age: seconds that the response has run.
        """
        return min(self.longest, max(self.shortest, self.factor * math.sqrt(max(0.0, age))))

    def first_delay(self, age: float) -> float:
        """
        Return the seconds to the first look.

        A wait that begins when the response has run for long has begun anew, perhaps together with a thousand others:
        it gets a random phase.

        :param age: seconds that the response has run.
        """
        if age < self.first:
            return (self.first - age) * random.uniform(1.0, 1.0 + JITTER)
        return self.interval(age) * random.random()

    def next_delay(self, age: float, failures: int = 0, progress: float | None = None) -> float:
        """
        Return the seconds from a look to the next one.

        :param age: seconds that the response has run.
        :param failures: how many looks in a row have failed; after a failure it is never sooner than after a good look.
        :param progress: how much of the response is done, from 0 to 100, where the API says so.
        """
        interval = self.interval(age)
        if failures:
            # Doubled from the first one on: a lost connection may have cost two requests.
            slower = min(interval * 2.0 ** min(failures, 3), LONGEST_AFTER_FAILURE)
            return max(interval, slower) * random.uniform(1.0, 1.0 + 2 * JITTER)
        if progress is not None and 0 < progress < 100:
            # At this pace it ends then; a hint, so it moves the next look, but never far from the schedule.
            to_end = age * (100 - progress) / progress
            interval = min(max(to_end, interval / 2, self.shortest), interval * 1.5)
        return interval * random.uniform(1.0 - JITTER, 1.0 + JITTER)


#: As many looks as a fixed interval of 5 s for responses of about 20 s, far fewer for long ones, and sooner.
ADAPTIVE = PollSchedule(first=2.0, factor=1.2, shortest=2.0, longest=30.0)
#: Fewer looks and less delay than a fixed interval of 30 or 60 s.
THRIFTY = PollSchedule(first=18.0, factor=6.0, shortest=10.0, longest=45.0)

_BY_NAME = {"adaptive": ADAPTIVE, "thrifty": THRIFTY}


def schedule_for(poll_interval: Any) -> PollSchedule:
    """
    Return the schedule for what a user gives as ``poll_interval``.

    :param poll_interval: ``adaptive``, ``thrifty``, or seconds for a fixed interval.
    :raises ValueError: if it is none of these.
    """
    if isinstance(poll_interval, str):
        if poll_interval not in _BY_NAME:
            raise ValueError(
                f"The poll_interval must be one of {', '.join(_BY_NAME)}, or seconds, not {poll_interval[:40]!r}."
            )
        return _BY_NAME[poll_interval]
    return _fixed(check_seconds(poll_interval, "poll_interval"))


@functools.lru_cache(maxsize=64)
def _fixed(seconds: float) -> PollSchedule:
    return PollSchedule(first=seconds, factor=0.0, shortest=seconds, longest=seconds)
