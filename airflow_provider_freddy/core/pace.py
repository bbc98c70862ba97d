"""How fast one connection may be asked, learnt from what the API says; shared by everybody who uses it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from airflow_provider_freddy.core.problem import Problem, ProblemKind

#: Seconds to hold back after a 429 that does not say how long, doubled for every further one in a row.
FIRST_PAUSE = 1.0
MAX_PAUSE = 60.0
#: Seconds to hold back at the most when the API says how long: a date in the far future would stop everybody for good.
MAX_RETRY_AFTER = 3600.0
# Below this part of the limit, requests are asked for half as often until the limit is renewed.
_LOW = 0.1

_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+)ms)?\Z")


class Pace:
    """What the API has said about the rate of requests. All times are of the same monotonic clock."""

    def __init__(self) -> None:
        self._paused_until = 0.0
        self._slow_until = 0.0
        self._refusals = 0

    def note_reply(self, headers: Mapping[str, str], now: float) -> None:
        """
        Learn from the rate-limit headers of a reply.

        :param headers: by lower-case name.
        :param now: seconds.
        """
        remaining = _number(headers.get("x-ratelimit-remaining-requests"))
        reset = parse_reset(headers.get("x-ratelimit-reset-requests"))
        if remaining is None or reset is None:
            return
        if remaining <= 0:
            self._paused_until = max(self._paused_until, now + min(reset, MAX_PAUSE))
            return
        limit = _number(headers.get("x-ratelimit-limit-requests"))
        if limit and remaining < _LOW * limit:
            self._slow_until = now + min(reset, MAX_PAUSE)

    def note_answer(self, problem: Problem | None, now: float) -> None:
        """
        Learn from how a request ended.

        :param problem: what went wrong, ``None`` if nothing.
        :param now: seconds.
        """
        if problem is None or (problem.kind is not ProblemKind.RATE_LIMITED and problem.retry_after is None):
            self._refusals = 0
            return
        if now < self._paused_until and problem.retry_after is None:
            # One of many that were under way together: it says nothing new.
            return
        self._refusals += 1
        pause = problem.retry_after and min(problem.retry_after, MAX_RETRY_AFTER)
        if pause is None:
            pause = min(MAX_PAUSE, FIRST_PAUSE * 2 ** min(self._refusals - 1, 10))
        self._paused_until = max(self._paused_until, now + pause)

    def pause_left(self, now: float) -> float:
        """
        Return for how many seconds nothing may be asked.

        :param now: seconds.
        """
        return max(0.0, self._paused_until - now)

    def stretch(self, now: float) -> float:
        """
        Return by how much to stretch the intervals between requests.

        :param now: seconds.
        """
        return 2.0 if now < self._slow_until else 1.0


def parse_reset(value: str | None) -> float | None:
    """
    Read ``x-ratelimit-reset-requests``: seconds, or a duration such as ``1m30s`` or ``250ms``.

    :param value: the header.
    :return: seconds, ``None`` when it is missing or makes no sense.
    """
    if value is None:
        return None
    text = value.strip().lower()
    if (number := _number(text)) is not None:
        # A moment and not a duration: without the server's clock it says nothing.
        return number if 0 <= number < 86400 else None
    found = _DURATION.match(text)
    if not text or found is None:
        return None
    hours, minutes, seconds, milliseconds = (float(part or 0) for part in found.groups())
    return 3600 * hours + 60 * minutes + seconds + milliseconds / 1000


def _number(value: str | None) -> float | None:
    try:
        number = float(value) if value is not None else None
    except ValueError:
        return None
    # Neither infinity nor NaN is a number of anything.
    return number if number is not None and abs(number) < 1e15 else None
