"""Many cancels at once, within one time that holds whatever the network does."""

from __future__ import annotations

import contextvars
import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from airflow_provider_freddy import metrics
from airflow_provider_freddy.core.cancel import CancelResult
from airflow_provider_freddy.core.retry import Budget
from airflow_provider_freddy.exceptions import FreddyCancelNotConfirmedError, FreddyError

T = TypeVar("T")

#: How many requests are under way at once: below the size of the connection pool of ``requests``.
CONCURRENCY = 8


class Canceller(Protocol):
    """What can cancel one response: the hook."""

    @property
    def is_resolved(self) -> bool: ...

    def resolve(self) -> None: ...

    freddy_conn_id: str

    def cancel_response(
        self, response_id: str, *, organization_id: str | None = None, budget: float, verify: bool = False
    ) -> CancelResult: ...


# Airflow's channel to its supervisor is not made for questions from many threads at once.
_look_up = threading.Lock()


@dataclass(frozen=True)
class CancelTarget:
    """
    A response to cancel.

    :param response_id: the response.
    :param hook: the hook to cancel it with.
    :param organization_id: the organization that owns it; the connection's by default.
    """

    response_id: str
    hook: Canceller
    organization_id: str | None = None

    @property
    def freddy_conn_id(self) -> str:
        """The Airflow connection of the hook."""
        return self.hook.freddy_conn_id


def cancel_all(
    targets: Sequence[CancelTarget], seconds: float, *, verify: bool = False
) -> dict[str, CancelResult | Exception]:
    """
    Cancel all of them, whatever becomes of the others.

    :param targets: the responses.
    :param seconds: the time for all of them together.
    :param verify: whether a cancel counts only when the response is seen to have ended.
    :return: for every response id its result, or the error that stands in the way.
    """
    # A little less for the calls themselves, so that each can still say what it has come to.
    budget = Budget(0.9 * seconds)
    jobs = [Job(target.response_id, _cancel_job(target, budget, verify)) for target in targets]
    done = run_bounded(jobs, seconds)
    for target in targets:
        if target.response_id not in done:
            done[target.response_id] = _no_answer(target, seconds)
            metrics.count_cancel(done[target.response_id])
    return done


def _cancel_job(target: CancelTarget, budget: Budget, verify: bool) -> Callable[[], CancelResult]:
    def cancel() -> CancelResult:
        if not target.hook.is_resolved:
            with _look_up:
                _resolve(target.hook)
        if not budget.remaining:
            raise _no_answer(target, budget.seconds)
        return target.hook.cancel_response(
            target.response_id, organization_id=target.organization_id, budget=budget.remaining, verify=verify
        )

    def cancel_or_say_what_it_means() -> CancelResult:
        try:
            return cancel()
        except FreddyError as error:
            if target.response_id in str(error):
                raise
            raise type(error)(f"{_may_run(target)} {error}", error.problem) from None
        except Exception as error:
            raise FreddyError(f"{_may_run(target)} {type(error).__name__}: {error}") from None

    return cancel_or_say_what_it_means


def _resolve(hook: Canceller) -> None:
    try:
        hook.resolve()
    except Exception as error:
        # The hook counts what becomes of its calls; here there is none.
        metrics.count_cancel(error)
        raise


def _may_run(target: CancelTarget) -> str:
    return f"Response {target.response_id} MAY STILL RUN AND COST MONEY."


def _no_answer(target: CancelTarget, seconds: float) -> FreddyError:
    return FreddyCancelNotConfirmedError(f"{_may_run(target)} Its cancel was not confirmed within {seconds:.1f} s.")


@dataclass(frozen=True)
class Job(Generic[T]):
    """
    A piece of work with a name.

    :param name: under which the result is returned.
    :param work: what to do.
    """

    name: str
    work: Callable[[], T]


def run_bounded(jobs: Iterable[Job[T]], seconds: float) -> dict[str, T | Exception]:
    """
    Do all jobs in daemon threads, and come back in time even if some never end.

    Socket timeouts alone do not bound a call: a name look-up has none, and a server that sends a byte now and then
    renews the read timeout for ever.

    :param jobs: what to do.
    :param seconds: when to come back at the latest.
    :return: result or exception of every job that ended in time.
    """
    waiting: queue.SimpleQueue[Job[T]] = queue.SimpleQueue()
    ended: queue.SimpleQueue[tuple[str, T | Exception]] = queue.SimpleQueue()
    names: set[str] = set()
    for job in jobs:
        waiting.put(job)
        names.add(job.name)
    for _ in range(min(CONCURRENCY, len(names))):
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(_work_off, waiting, ended), daemon=True).start()
    results: dict[str, T | Exception] = {}
    end = time.monotonic() + seconds
    while len(results) < len(names):
        try:
            name, result = ended.get(timeout=max(0.0, end - time.monotonic()))
        except queue.Empty:
            break
        results[name] = result
    return results


def _work_off(waiting: queue.SimpleQueue[Job[T]], ended: queue.SimpleQueue[tuple[str, T | Exception]]) -> None:
    while True:
        try:
            job = waiting.get_nowait()
        except queue.Empty:
            return
        try:
            ended.put((job.name, job.work()))
        except Exception as error:
            ended.put((job.name, error))
