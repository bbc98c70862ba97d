from __future__ import annotations

import itertools
import math
import random
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace

import pytest

from airflow_provider_freddy.core import retry
from airflow_provider_freddy.core.problem import Problem, ProblemKind
from airflow_provider_freddy.core.request import ApiRequest
from airflow_provider_freddy.core.retry import Budget, may_retry, parse_retry_after, pause_before_retry

NOW = datetime(2026, 10, 21, 7, 28, tzinfo=UTC)


def problem(kind=ProblemKind.UNAVAILABLE, method="GET", **details):
    return Problem(kind, ApiRequest(method, "/x"), "", **details)


@pytest.mark.parametrize(
    ("value", "seconds"), [("0", 0), ("1", 1), (" 7 ", 7), ("007", 7), ("2.5", 2.5), ("1e2", 100), ("86400", 86400)]
)
def test_retry_after_in_seconds(value, seconds):
    assert parse_retry_after(value, now=NOW) == seconds


@pytest.mark.parametrize("offset", [-1e6, -1, 0, 1, 59, 3600, 1e6])
def test_retry_after_as_a_date_is_the_time_until_then_and_never_negative(offset):
    moment = NOW + timedelta(seconds=offset)
    assert parse_retry_after(format_datetime(moment, usegmt=True), now=NOW) == max(0.0, offset)


@pytest.mark.parametrize(
    "value",
    [
        "Wed, 21 Oct 2026 07:28:30 GMT",
        "Wed, 21 Oct 2026 07:28:30 -0000",
        "Wed, 21 Oct 2026 09:28:30 +0200",
        "Wednesday, 21-Oct-26 07:28:30 GMT",
        "Wed Oct 21 07:28:30 2026",
    ],
)
def test_retry_after_is_read_in_all_forms_of_a_date(value):
    assert parse_retry_after(value, now=NOW) == 30


@pytest.mark.parametrize("value", ["-1", "-0.5", "-1e300"])
def test_a_negative_retry_after_means_now(value):
    assert parse_retry_after(value, now=NOW) == 0


@pytest.mark.parametrize(
    "value", [None, "", " ", "soon", "nan", "inf", "-inf", "1e999", "9" * 400, "Wed, 99 Oct 2026 07:28:00 GMT", "\x00"]
)
def test_a_retry_after_that_makes_no_sense_is_none(value):
    assert parse_retry_after(value, now=NOW) is None


def test_no_retry_after_whatever_breaks_the_reader():
    dice = random.Random(1)
    parts = ["Wed,", "21", "Oct", "2026", "07:28:00", "GMT", "+9999", "-2400", "0", "99999999999", ":", "", ";", "Ä"]
    values = [" ".join(dice.choices(parts, k=dice.randint(0, 7))) for _ in range(3000)]
    values += ["".join(chr(dice.randrange(256)) for _ in range(dice.randint(0, 30))) for _ in range(2000)]
    for value in values:
        seconds = parse_retry_after(value, now=NOW)
        assert seconds is None or (seconds >= 0 and math.isfinite(seconds)), value


PASSING = {ProblemKind.UNAVAILABLE, ProblemKind.RATE_LIMITED}


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("kind", ProblemKind)
def test_get_and_delete_are_sent_again_whenever_the_trouble_can_pass(kind, method):
    for maybe_processed in (False, True):
        assert may_retry(problem(kind, method, maybe_processed=maybe_processed)) == (kind in PASSING)


@pytest.mark.parametrize("kind", ProblemKind)
def test_a_create_is_sent_again_only_if_it_cannot_have_been_processed(kind):
    assert may_retry(problem(kind, "POST", maybe_processed=False)) == (kind in PASSING)
    assert not may_retry(problem(kind, "POST", maybe_processed=True))


def test_pauses_grow_up_to_a_limit_and_are_spread():
    for attempt in [*range(1, 20), 2000]:
        longest = min(retry.MAX_PAUSE, retry.FIRST_PAUSE * 2 ** min(attempt, 50) / 2)
        assert longest / 2 <= pause_before_retry(attempt, problem()) <= longest
    assert len({pause_before_retry(3, problem()) for _ in range(20)}) > 1


@pytest.mark.parametrize(("attempt", "after"), [*itertools.product([1, 5, 100], [0.0, 1.0, 60.0, 1e6])])
def test_a_pause_is_never_shorter_than_retry_after(attempt, after):
    for _ in range(50):
        pause = pause_before_retry(attempt, problem(retry_after=after))
        assert after <= pause <= max(after * 1.1, retry.MAX_PAUSE)


@pytest.mark.parametrize("seconds", [0, -1, math.nan, math.inf, -math.inf, None, "5", True, [5], 1j])
def test_a_budget_is_a_positive_number_of_seconds(seconds):
    with pytest.raises(ValueError, match="time budget"):
        Budget(seconds)


def test_a_budget_runs_out_and_stays_at_nothing(monkeypatch):
    now = itertools.count(100, 4)
    monkeypatch.setattr(retry.time, "monotonic", lambda: next(now))
    budget = Budget(9)
    assert [budget.remaining for _ in range(4)] == [5, 1, 0, 0]
    assert budget.seconds == 9


@pytest.mark.parametrize(("left", "seconds"), [(300, 150), (10, 5), (7, 3.5), (6, 3.5), (3.5, 3.5), (2, 2), (0, 0)])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_an_attempt_leaves_time_for_another_one_but_an_answer_may_be_slow(method, left, seconds):
    assert retry.attempt_seconds(ApiRequest(method, "/"), SimpleNamespace(remaining=left)) == seconds


def test_a_create_which_is_not_sent_again_has_all_the_time():
    assert retry.attempt_seconds(ApiRequest("POST", "/"), SimpleNamespace(remaining=10)) == 10
