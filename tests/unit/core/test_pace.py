"""What the API says about the rate of requests, and what follows for everybody."""

from __future__ import annotations

import pytest

from airflow_provider_freddy.core.pace import FIRST_PAUSE, MAX_PAUSE, MAX_RETRY_AFTER, Pace, parse_reset
from airflow_provider_freddy.core.problem import Problem, ProblemKind
from airflow_provider_freddy.core.request import ApiRequest


def problem(kind=ProblemKind.RATE_LIMITED, retry_after=None):
    return Problem(kind, ApiRequest("GET", "/x"), "Words", retry_after=retry_after)


def limits(remaining, reset="30", limit="100"):
    headers = {"limit": limit, "remaining": remaining, "reset": reset}
    return {f"x-ratelimit-{name}-requests": value for name, value in headers.items() if value is not None}


@pytest.mark.parametrize("kind", [ProblemKind.RATE_LIMITED, ProblemKind.UNAVAILABLE])
def test_retry_after_is_a_pause_whatever_the_status(kind):
    pace = Pace()
    pace.note_answer(problem(kind, 7.0), now=100)
    assert pace.pause_left(100) == 7
    assert pace.pause_left(106) == 1
    assert pace.pause_left(107) == 0


def test_a_pause_is_never_shortened():
    pace = Pace()
    pace.note_answer(problem(retry_after=30.0), now=0)
    pace.note_answer(problem(retry_after=1.0), now=1)
    pace.note_answer(None, now=2)
    pace.note_reply(limits("50"), now=2)
    assert pace.pause_left(2) == 28


def test_a_date_in_the_far_future_does_not_stop_everybody_for_good():
    pace = Pace()
    pace.note_answer(problem(retry_after=1e12), now=0)
    assert pace.pause_left(0) == MAX_RETRY_AFTER


def test_refusals_without_a_time_double_the_pause_up_to_a_limit():
    pace, now, pauses = Pace(), 0.0, []
    for _ in range(20):
        pace.note_answer(problem(), now)
        pauses.append(pace.pause_left(now))
        now += pauses[-1]
    assert pauses[:4] == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE, 8 * FIRST_PAUSE]
    assert pauses[-1] == MAX_PAUSE


def test_a_hundred_refusals_of_the_same_moment_count_as_one():
    pace = Pace()
    for _ in range(100):
        pace.note_answer(problem(), now=0)
    assert pace.pause_left(0) == FIRST_PAUSE


def test_a_good_answer_ends_the_doubling():
    pace = Pace()
    for now in (0, 10, 20):
        pace.note_answer(problem(), now)
    pace.note_answer(None, 30)
    pace.note_answer(problem(), 40)
    assert pace.pause_left(40) == FIRST_PAUSE


@pytest.mark.parametrize("kind", [kind for kind in ProblemKind if kind is not ProblemKind.RATE_LIMITED])
def test_other_trouble_is_no_reason_for_a_pause(kind):
    pace = Pace()
    pace.note_answer(problem(kind), 0)
    assert pace.pause_left(0) == 0


def test_a_limit_that_is_used_up_is_a_pause_until_it_is_renewed():
    pace = Pace()
    pace.note_reply(limits("0", reset="20"), now=0)
    assert pace.pause_left(0) == 20
    pace.note_reply(limits("0", reset="86000"), now=0)
    assert pace.pause_left(0) == MAX_PAUSE


@pytest.mark.parametrize(("remaining", "stretch"), [("100", 1.0), ("10", 1.0), ("9", 2.0), ("1", 2.0)])
def test_a_limit_that_is_nearly_used_up_halves_the_rate(remaining, stretch):
    pace = Pace()
    pace.note_reply(limits(remaining), now=0)
    assert pace.stretch(1) == stretch
    assert pace.pause_left(1) == 0
    assert pace.stretch(31) == 1


@pytest.mark.parametrize(
    "headers",
    [{}, limits(None), limits("few"), limits("0", reset=None), limits("0", reset="soon"), limits("nan"), limits("inf"),
     limits("0", reset="1767225600"), limits("0", reset="-5"), limits("5", limit="0"), limits("5", limit=None),
     limits("5", limit="inf")],
)  # fmt: skip
def test_headers_that_make_no_sense_do_no_harm(headers):
    pace = Pace()
    pace.note_reply(headers, now=0)
    assert (pace.pause_left(0), pace.stretch(0)) == (0, 1.0)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30", 30), ("0.5", 0.5), ("0", 0), ("86399", 86399), ("86400", None),
     (" 12 ", 12), ("1s", 1), ("1.5s", 1.5), ("250ms", 0.25), ("2m", 120), ("1m30s", 90),
     ("1h", 3600), ("1h2m3s", 3723), ("1M", 60), (None, None), ("", None), ("soon", None), ("5x", None),
     ("1767225600", None), ("-1", None), ("nan", None), ("1s2m", None)],
)  # fmt: skip
def test_durations_are_read_in_all_their_forms(text, seconds):
    assert parse_reset(text) == seconds
