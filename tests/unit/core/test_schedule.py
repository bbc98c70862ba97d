"""When to look the next time."""

from __future__ import annotations

import math
import random
from statistics import NormalDist

import pytest

from airflow_provider_freddy.core.schedule import ADAPTIVE, JITTER, THRIFTY, PollSchedule, schedule_for

AGES = [0, 0.5, 1, 5, 20, 60, 300, 3600, 10**6]
every_schedule = pytest.mark.parametrize(
    "schedule", [ADAPTIVE, THRIFTY, schedule_for(5)], ids=["adaptive", "thrifty", "fixed"]
)


@every_schedule
def test_the_interval_grows_with_the_age_and_keeps_its_limits(schedule):
    intervals = [schedule.interval(age) for age in AGES]
    assert intervals == sorted(intervals)
    assert all(schedule.shortest <= interval <= schedule.longest for interval in intervals)


def test_the_interval_grows_with_the_square_root_of_the_age():
    assert ADAPTIVE.interval(400) == pytest.approx(2 * ADAPTIVE.interval(100))


@every_schedule
@pytest.mark.parametrize("age", [-5.0, 0.0])
def test_a_clock_that_is_behind_does_no_harm(schedule, age):
    assert schedule.interval(age) == schedule.shortest
    assert schedule.first_delay(age) > 0
    assert schedule.next_delay(age) > 0


@every_schedule
def test_a_thousand_waits_do_not_beat_in_step(schedule):
    for age in AGES:
        delays = {schedule.next_delay(age) for _ in range(100)}
        assert len(delays) > 90
        assert all(abs(delay / schedule.interval(age) - 1) <= JITTER + 1e-9 for delay in delays)


@every_schedule
def test_waits_that_begin_anew_get_a_random_phase(schedule):
    age = 600.0
    phases = sorted(schedule.first_delay(age) for _ in range(1000))
    interval = schedule.interval(age)
    assert 0 <= phases[0] < interval / 10
    assert interval * 0.9 < phases[-1] <= interval
    assert interval * 0.4 < phases[500] < interval * 0.6


@every_schedule
def test_the_first_look_at_a_new_response_is_soon_but_never_at_once(schedule):
    assert all(schedule.first <= schedule.first_delay(0) <= schedule.first * (1 + JITTER) for _ in range(100))


@every_schedule
@pytest.mark.parametrize("failures", [1, 2, 3, 10, 1000])
@pytest.mark.parametrize("age", AGES)
def test_after_a_failure_it_is_never_sooner_than_after_a_good_look(schedule, failures, age):
    assert all(schedule.next_delay(age, failures) >= schedule.interval(age) for _ in range(50))
    assert all(schedule.next_delay(age, failures) <= max(75, 1.2 * schedule.interval(age)) for _ in range(50))


def delays_are_about(expected, schedule, *args, jitter=JITTER, **kwargs):
    """Tell whether the delays are spread around the expected one, by no more than the jitter."""
    delays = [schedule.next_delay(*args, **kwargs) / expected for _ in range(200)]
    least = 1 if "failures" in kwargs else 1 - jitter
    return least <= min(delays) < least + jitter / 2 and 1 + jitter / 2 < max(delays) <= 1 + jitter


@pytest.mark.parametrize(
    ("interval", "slower"), [(4, [4, 8, 16, 32, 32, 32]), (20, [20, 40, 60, 60]), (90, [90, 90, 90])]
)
def test_failed_looks_in_a_row_double_the_interval_three_times_and_up_to_a_minute(interval, slower):
    schedule = PollSchedule(first=1, factor=0, shortest=interval, longest=interval)
    for failures, expected in enumerate(slower[1:], 1):
        assert delays_are_about(expected, schedule, 100, failures=failures, jitter=2 * JITTER)


@pytest.mark.parametrize(
    ("progress", "expected"), [(None, 20), (0, 20), (0.5, 30), (50, 30), (80, 25), (87.5, 100 / 7), (99, 12), (100, 20)]
)
def test_progress_tells_the_end_within_limits(progress, expected):
    schedule = PollSchedule(first=1, factor=2, shortest=12, longest=100)
    assert delays_are_about(expected, schedule, 100, progress=progress)


def test_progress_halves_the_interval_at_the_most():
    assert delays_are_about(10, PollSchedule(first=1, factor=2, shortest=2, longest=100), 100, progress=99)


def test_the_age_is_taken_as_it_is_also_below_a_second():
    assert PollSchedule(first=1, factor=4, shortest=1, longest=100).interval(0.25) == 2


def test_a_wait_that_begins_when_the_first_look_is_due_does_not_look_at_once():
    schedule = PollSchedule(first=2, factor=0, shortest=5, longest=5)
    assert max(schedule.first_delay(2) for _ in range(100)) > 2


@pytest.mark.parametrize("progress", [0, 0.0, 100, 50.0, 0.001, 99.999, 1e-300])
@pytest.mark.parametrize("age", AGES)
def test_progress_moves_the_next_look_but_never_far(progress, age):
    interval = ADAPTIVE.interval(age)
    delay = ADAPTIVE.next_delay(age, progress=progress)
    assert math.isfinite(delay)
    assert interval / 2 * (1 - JITTER) <= delay <= interval * 1.5 * (1 + JITTER)


def test_a_response_that_says_it_is_nearly_done_is_looked_at_sooner():
    sooner = max(ADAPTIVE.next_delay(100, progress=99) for _ in range(100))
    assert sooner < min(ADAPTIVE.next_delay(100) for _ in range(100))


@pytest.mark.parametrize("seconds", [0.5, 5, 60, 3600])
def test_a_fixed_interval_stays_as_it_is(seconds):
    schedule = schedule_for(seconds)
    assert {schedule.interval(age) for age in AGES} == {seconds}
    assert seconds <= schedule.first_delay(0) <= seconds * (1 + JITTER)


@pytest.mark.parametrize("value", ["fast", "", "5", 0, -1, math.inf, math.nan, True, None, [5]])
def test_what_is_no_schedule_is_refused(value):
    with pytest.raises(ValueError, match=r"^The poll_interval must be"):
        schedule_for(value)


def looks_and_delay(first, interval):
    """Return the mean number of looks, and the mean delay, for lengths that are log-normal with a median of 20 s."""
    number = 2000
    looks = delay = 0.0
    for part in range(number):
        length = 20 * math.exp(NormalDist().inv_cdf((part + 0.5) / number))
        at = first
        looks += 1
        while at < length:
            at += interval(at) * random.uniform(1 - JITTER, 1 + JITTER)
            looks += 1
        delay += at - length
    return looks / number, delay / number


def by_schedule(schedule):
    return looks_and_delay(schedule.first * 1.05, schedule.interval)


def fixed(seconds):
    """Return it for a sensor that looks at once and then at fixed intervals."""
    return looks_and_delay(0.0, lambda _age: seconds)


def test_the_default_asks_as_much_as_every_five_seconds_and_tells_far_sooner_than_every_thirty():
    looks, delay = by_schedule(ADAPTIVE)
    assert looks <= 1.05 * fixed(5)[0]
    assert delay <= fixed(30)[1] / 5


@pytest.mark.parametrize("seconds", [30, 60])
def test_the_thrifty_one_is_better_than_a_long_fixed_interval_on_both_counts(seconds):
    looks, delay = by_schedule(THRIFTY)
    fixed_looks, fixed_delay = fixed(seconds)
    assert looks < fixed_looks
    assert delay < fixed_delay
