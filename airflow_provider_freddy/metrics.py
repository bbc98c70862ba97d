"""
What is counted, through Airflow's own metrics. Never raises, and nothing is imported before something is counted.

A metrics client may take a lock. Code that has interrupted other code must not: what is counted in a signal handler
waits until the next count, or the end of the task.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from airflow_provider_freddy.core.cancel import CancelOutcome, CancelResult
from airflow_provider_freddy.core.problem import Problem, ProblemKind
from airflow_provider_freddy.version_compat import airflow_stats

#: A response was started by the provider.
CREATED = "freddy.responses.created"
#: A response that something else had started was taken charge of.
TRACKED = "freddy.responses.tracked"
#: A response was cancelled, and Freddy has confirmed it.
CANCELLED = "freddy.responses.cancelled"
#: A response was to be cancelled that had already ended.
ALREADY_FINALIZED = "freddy.responses.already_finalized"
#: A cancel could not be confirmed: the response may still run.
CANCEL_FAILED = "freddy.responses.cancel_failed"
#: How long it took from the wish to cancel to Freddy's confirmation; a timing.
CANCEL_LATENCY = "freddy.responses.cancel_latency"

_BY_OUTCOME = {CancelOutcome.CANCELLED: CANCELLED, CancelOutcome.ALREADY_FINAL: ALREADY_FINALIZED}

log = logging.getLogger(__name__)

_held_back = 0
_waiting: list[Callable[[Any], None]] = []


def count(name: str) -> None:
    """
    Count one.

    :param name: one of the names above.
    """
    _emit(lambda stats: stats.incr(name))


def count_cancel(outcome: CancelResult | Problem | Exception, seconds: float | None = None) -> None:
    """
    Count what a cancel has come to. A response that does not exist counts as nothing.

    :param outcome: the result, or what stood in the way.
    :param seconds: how long it took; ``None`` where nobody knows.
    """
    if isinstance(outcome, CancelResult):
        count(_BY_OUTCOME[outcome.outcome])
        if seconds is not None and outcome.outcome is CancelOutcome.CANCELLED:
            _emit(lambda stats: stats.timing(CANCEL_LATENCY, timedelta(seconds=seconds)))
        return
    problem = getattr(outcome, "problem", outcome)
    if not isinstance(problem, Problem) or problem.kind is not ProblemKind.NOT_FOUND:
        count(CANCEL_FAILED)


@contextmanager
def held_back() -> Generator[None]:
    """Keep what is counted in the block for later; for signal handlers."""
    global _held_back
    _held_back += 1
    try:
        yield
    finally:
        _held_back -= 1


def flush() -> None:
    """Send what was held back."""
    while _waiting and not _held_back:
        _send(_waiting.pop(0))


def _emit(metric: Callable[[Any], None]) -> None:
    if _held_back:
        _waiting.append(metric)
        return
    flush()
    _send(metric)


def _send(metric: Callable[[Any], None]) -> None:
    try:
        metric(airflow_stats())
    except Exception as error:
        log.debug("A metric was not sent: %r", error)
