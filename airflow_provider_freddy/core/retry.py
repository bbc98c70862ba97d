"""Which calls may be sent again, after how long, and within which time."""

from __future__ import annotations

import math
import random
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from airflow_provider_freddy.core.problem import Problem, ProblemKind
from airflow_provider_freddy.core.request import ApiRequest
from airflow_provider_freddy.core.seconds import check_seconds

#: Seconds before the second attempt, doubled for every further one, and never more than the maximum.
FIRST_PAUSE = 0.5
MAX_PAUSE = 15.0
#: Seconds that every attempt is given, if there are as many: an answer may be slow.
SLOW_ANSWER = 3.5


class Budget:
    """
    The time that a caller gives to a piece of work, all attempts and pauses together.

    :param seconds: how long, counted from now.
    :raises ValueError: if that is no positive finite number.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = check_seconds(seconds, "time budget")
        self._end = time.monotonic() + self.seconds

    @property
    def remaining(self) -> float:
        """Seconds that are left, never less than 0."""
        return max(0.0, self._end - time.monotonic())


def attempt_seconds(request: ApiRequest, budget: Budget) -> float:
    """
    Return how long one attempt may take: where another one can follow, not the time of both.

    :param request: what is sent.
    :param budget: the time for all attempts and pauses.
    :return: seconds.
    """
    if not request.idempotent:
        return budget.remaining
    return max(budget.remaining / 2, min(budget.remaining, SLOW_ANSWER))


def may_retry(problem: Problem) -> bool:
    """
    Tell whether the same request may be sent again.

    GET and DELETE may whenever the trouble can pass; a POST that starts a response only when the first one
    cannot have started it, because every response is paid for.

    :param problem: what happened to the request.
    """
    if problem.kind not in {ProblemKind.UNAVAILABLE, ProblemKind.RATE_LIMITED}:
        return False
    return problem.request.idempotent or not problem.maybe_processed


def pause_before_retry(attempt: int, problem: Problem) -> float:
    """
    Return the seconds to wait before the next attempt: exponential, with jitter, never before ``Retry-After``.

    :param attempt: how many attempts there have been, from 1.
    :param problem: what happened to the last one.
    """
    longest = min(MAX_PAUSE, FIRST_PAUSE * 2 ** min(attempt - 1, 10))
    pause = random.uniform(longest / 2, longest)
    if problem.retry_after is not None:
        # Spread by up to a tenth: everybody who was turned away was given the same moment.
        return max(pause, problem.retry_after * random.uniform(1.0, 1.1))
    return pause


def parse_retry_after(value: str | None, *, now: datetime) -> float | None:
    """
    Read a ``Retry-After`` header (RFC 9110, 10.2.3).

    :param value: seconds or an HTTP date.
    :param now: the present, to turn a date into seconds.
    :return: seconds, at least 0, or ``None`` when there is none or it makes no sense.
    """
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            moment = parsedate_to_datetime(value)
        except ValueError:
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        seconds = (moment - now).total_seconds()
    return max(0.0, seconds) if math.isfinite(seconds) else None
