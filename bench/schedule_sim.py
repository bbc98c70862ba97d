"""
How late the end of a response is noticed, and how many looks that takes.

Simulated with the very schedule objects of the provider: 6,000 responses of log-normal length, a look takes 50 ms,
ours have their jitter. The peers look at once and then at a fixed interval, as their triggers do; 60 s is the default
of most, 30 s of Databricks. ``python -m bench.schedule_sim`` searches for the parameters of a frugal schedule.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

from bench.options import Options
from bench.report import Goal, Row

TITLE = "Schedules of polling"
LOOK_SECONDS = 0.05
FIXED = (5, 30, 60)
#: Median and sigma of the length, and what the mix is called.
MIXES = {
    "median 20 s, sigma 1.0": (20.0, 1.0),
    "median 20 s, sigma 1.6": (20.0, 1.6),
    "median 3 s, sigma 1.0": (3.0, 1.0),
    "median 300 s, sigma 1.0": (300.0, 1.0),
}
Delay = Callable[[float], float]


def durations(median: float, sigma: float, count: int, seed: int) -> list[float]:
    """
    Return the lengths of responses.

    :param median: seconds.
    :param sigma: of their logarithm.
    :param count: how many.
    :param seed: of the generator: all schedules get the same ones.
    """
    generator = random.Random(seed)
    return [generator.lognormvariate(math.log(median), sigma) for _ in range(count)]


def watch(lengths: Sequence[float], first: Callable[[], float], delay: Delay) -> tuple[float, float]:
    """
    Watch responses to their end.

    :param lengths: how long each runs.
    :param first: returns the age at the first look.
    :param delay: returns the seconds from a look to the next one, by the age.
    :return: the mean delay of noticing an end, and the mean number of looks.
    """
    delays, looks = 0.0, 0
    for length in lengths:
        age = first()
        looks += 1
        while age < length:
            age += LOOK_SECONDS
            age += delay(age)
            looks += 1
        delays += age + LOOK_SECONDS - length
    return delays / len(lengths), looks / len(lengths)


def watch_by(schedule: Any, lengths: Sequence[float], seed: int) -> tuple[float, float]:
    """
    Watch responses as one of the provider's schedules says.

    :param schedule: the schedule.
    :param lengths: how long each response runs.
    :param seed: of its jitter.
    """
    random.seed(seed)
    return watch(lengths, lambda: float(schedule.first_delay(0.0)), schedule.next_delay)


def watch_fixed(seconds: float, lengths: Sequence[float]) -> tuple[float, float]:
    """
    Watch responses as the peers do: at once, and then every so many seconds.

    :param seconds: the interval.
    :param lengths: how long each response runs.
    """
    return watch(lengths, lambda: 0.0, lambda _: seconds)


def measure(options: Options) -> list[Row]:
    """
    Compare the schedules on every mix.

    :param options: rounds (each with other lengths), and whether few responses will do.
    """
    from airflow_provider_freddy.core.schedule import ADAPTIVE, THRIFTY

    count = 500 if options.quick else 6000
    rows: list[Row] = []
    for mix, (median, sigma) in MIXES.items():
        results: dict[str, list[tuple[float, float]]] = {}
        for seed in range(options.rounds):
            lengths = durations(median, sigma, count, seed)
            for name, schedule in {"ADAPTIVE": ADAPTIVE, "THRIFTY": THRIFTY}.items():
                results.setdefault(name, []).append(watch_by(schedule, lengths, seed))
            for seconds in FIXED:
                results.setdefault(f"fixed {seconds} s", []).append(watch_fixed(seconds, lengths))
        rows += _rows(mix, results, short=median <= 20)
    return rows


def _rows(mix: str, results: dict[str, list[tuple[float, float]]], *, short: bool) -> Iterator[Row]:
    delays = {name: [delay for delay, _ in found] for name, found in results.items()}
    looks = {name: [number for _, number in found] for name, found in results.items()}
    fixed = [f"fixed {seconds} s" for seconds in FIXED]
    default = mix == next(iter(MIXES))
    goals: dict[tuple[str, str], list[Goal]] = {
        ("ADAPTIVE", "delay"): [Goal(at_most=1 / 5, of="fixed 30 s")] if default else [],
        ("ADAPTIVE", "looks"): [Goal(at_most=1.05, of="fixed 5 s")] if default else [],
        # On long responses fixed 30 and fixed 60 differ so much that nothing can beat both on both counts.
        ("THRIFTY", "delay"): [Goal(at_most=1, of="fixed 30 s"), Goal(at_most=1, of="fixed 60 s")] if short else [],
        ("THRIFTY", "looks"): [Goal(at_most=1, of="fixed 30 s"), Goal(at_most=1, of="fixed 60 s")] if short else [],
    }
    for name in ("ADAPTIVE", "THRIFTY"):
        for title, unit, table in (("delay", "mean delay, s", delays), ("looks", "mean number of GETs", looks)):
            peers = {other: table[other] for other in fixed}
            yield Row(f"{name}, {mix}: {unit}", table[name], peers, goals[name, title])


@cache
def _fixed(mix: str, seconds: int, count: int) -> tuple[float, float]:
    return watch_fixed(seconds, durations(*MIXES[mix], count, 1))


def search(count: int = 1500) -> list[tuple[float, Any]]:
    """
    Look for a schedule that beats fixed 30 s and fixed 60 s on both counts, on every mix of short responses.

    :param count: how many responses of each mix.
    :return: the best ones: the worst of all ratios to a fixed interval, and the schedule.
    """
    from airflow_provider_freddy.core.schedule import PollSchedule

    mixes = [mix for mix, (median, _) in MIXES.items() if median <= 20]
    found = []
    for values in itertools.product(
        (12.0, 14.0, 16.0, 18.0, 20.0, 22.0), (4.0, 5.0, 6.0, 7.0, 8.0), (10.0, 15.0, 20.0, 25.0), (45.0, 60.0, 90.0)
    ):
        schedule = PollSchedule(*values)
        found.append((max(worst_ratio(schedule, mix, count) for mix in mixes), schedule))
    return sorted(found, key=lambda pair: pair[0])[:10]


def worst_ratio(schedule: Any, mix: str, count: int) -> float:
    """
    Return the worst of delay and looks, against fixed 30 s and fixed 60 s; below 1 it beats both on both counts.

    :param schedule: the schedule.
    :param mix: the name of the mix of lengths.
    :param count: how many responses.
    """
    delay, looks = watch_by(schedule, durations(*MIXES[mix], count, 1), 1)
    against = [_fixed(mix, seconds, count) for seconds in (30, 60)]
    return max(max(delay / theirs[0], looks / theirs[1]) for theirs in against)


if __name__ == "__main__":
    for score, schedule in search():
        print(f"{score:.3f}  {schedule}")
