"""Cancelling a great many responses over one session: ids are streamed, and never all in memory."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar

from airflow_provider_freddy.connection import ConnectionSettings
from airflow_provider_freddy.core.cancel import CancelOutcome, CancelResult, cancel_steps
from airflow_provider_freddy.core.problem import Problem
from airflow_provider_freddy.core.retry import Budget
from airflow_provider_freddy.exceptions import (
    FreddyCancelNotConfirmedError,
    FreddyError,
    FreddyInvalidRequestError,
    error_for,
)
from airflow_provider_freddy.hooks.costs import say_what_it_costs

T = TypeVar("T")

# To begin with; more only where the link is long: a connection costs a handshake and, with TLS, 250 kB.
_FIRST_WORKERS = 24
_NEW_WORKERS = 3
# When nothing has come out for so long, all may be waiting until their response can be cancelled: as many again take
# the next ids. There are never more connections for it: the session has a limit.
_STUCK_SECONDS = 1.0
# One processor can do no more than some 2,500 requests a second, however many are under way.
_SECONDS_PER_WORKER = 0.0004
#: Seconds between two lines about the progress.
PROGRESS_SECONDS = 5.0

Outcome = CancelResult | FreddyError


class Crowd(Generic[T]):
    """
    Does one thing for every id, many at a time.

    :param do: what to do; must not raise.
    :param ids: for what; taken one by one, as there is room.
    :param concurrency: how many at once at the most.
    """

    def __init__(self, do: Callable[[str], Awaitable[T]], ids: Iterable[str], concurrency: int) -> None:
        self._do = do
        self._ids = iter(ids)
        self._concurrency = concurrency
        self._workers: set[asyncio.Task[None]] = set()
        self._done: list[tuple[str, T]] = []
        self._error: BaseException | None = None
        self._news = asyncio.Event()
        self._quickest = math.inf
        self._all_taken = False

    async def outcomes(self) -> AsyncGenerator[list[tuple[str, T]], None]:
        """
        Yield what has come out, in batches, as it comes.

        :raises Exception: whatever the ids raise, when all that was begun has come out.
        """
        try:
            self._hire_first()
            while self._workers or self._done:
                try:
                    async with asyncio.timeout(_STUCK_SECONDS):
                        await self._news.wait()
                except TimeoutError:
                    self._hire_first()
                self._news.clear()
                batch, self._done = self._done, []
                if batch:
                    yield batch
            if self._error is not None:
                raise self._error
        finally:
            for worker in self._workers:
                worker.cancel()
            await asyncio.gather(*self._workers, return_exceptions=True)

    def _hire_first(self) -> None:
        for _ in range(0 if self._all_taken else min(_FIRST_WORKERS, self._concurrency)):
            self._hire()

    def _hire(self) -> None:
        worker = asyncio.ensure_future(self._work())
        self._workers.add(worker)
        worker.add_done_callback(self._dismiss)

    def _dismiss(self, worker: asyncio.Task[None]) -> None:
        self._workers.discard(worker)
        if not worker.cancelled():
            self._error = self._error or worker.exception()
        self._news.set()

    async def _work(self) -> None:
        connected = False
        for one in self._ids:
            start = time.monotonic()
            outcome = await self._do(one)
            self._done.append((one, outcome))
            self._news.set()
            if connected:
                self._hire_more(time.monotonic() - start)
            connected = True
        self._all_taken = True

    def _hire_more(self, seconds: float) -> None:
        """Hire if even the quickest answer, with which nothing interfered, takes longer than so many need in turn."""
        self._quickest = min(self._quickest, seconds)
        wanted = min(self._concurrency, int(self._quickest / _SECONDS_PER_WORKER))
        for _ in range(min(_NEW_WORKERS, wanted - len(self._workers))):
            self._hire()


async def cancel_streamed(
    settings: ConnectionSettings,
    ids: Iterable[str],
    organization_id: str,
    *,
    budget: Budget,
    tell_status: bool,
    verify: bool,
    concurrency: int,
) -> AsyncGenerator[list[tuple[str, Outcome]], None]:
    """
    Cancel responses over one session.

    :param settings: the connection.
    :param ids: the responses.
    :param organization_id: the organization that owns them.
    :param budget: the time for all of it.
    :param tell_status: whether to ask for the final status of those that had already ended.
    :param verify: whether a cancel counts only when the response is seen to have ended.
    :param concurrency: how many at once at the most.
    :return: for every id what became of it, in batches.
    """
    from airflow_provider_freddy.hooks.async_exchange import AsyncExchange
    from airflow_provider_freddy.hooks.async_transport import AsyncTransport

    sender = await AsyncTransport(settings).open(limit=concurrency)
    exchange = AsyncExchange(sender)

    async def cancel(response_id: str) -> Outcome:
        if not budget.remaining:
            return FreddyCancelNotConfirmedError(
                f"Response {response_id} MAY STILL RUN AND COST MONEY. Not sent: the time for all of them was over."
            )
        try:
            left = Budget(max(budget.remaining, 0.001))
            steps = cancel_steps(
                response_id, organization_id=organization_id, budget=left, tell_status=tell_status, verify=verify
            )
            outcome = await exchange.follow(steps, left, response_id)
        except ValueError as error:
            return FreddyInvalidRequestError(f"{error} Nothing was sent to Freddy.")
        except Exception as error:
            return FreddyError(f"Response {response_id} MAY STILL RUN AND COST MONEY. {type(error).__name__}: {error}")
        return error_for(say_what_it_costs(outcome, response_id)) if isinstance(outcome, Problem) else outcome

    try:
        async for batch in Crowd(cancel, ids, concurrency).outcomes():
            yield batch
    finally:
        await sender.close()


def in_a_loop_of_its_own(batches: AsyncGenerator[list[T], None]) -> Iterator[T]:
    """
    Run an asynchronous generator from code that is not asynchronous; it stands still while nothing is taken from it.

    :param batches: the generator.
    :return: the items of its batches, one by one.
    :raises FreddyInvalidRequestError: if an event loop runs already.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return _items(batches)
    raise FreddyInvalidRequestError(
        "cancel_responses runs an event loop of its own, and cannot be called where one runs already: call it, and "
        "take what it yields, in a thread, for example with asyncio.to_thread. Nothing was sent to Freddy."
    )


def _items(batches: AsyncGenerator[list[T], None]) -> Iterator[T]:
    with asyncio.Runner() as runner:

        async def next_batch() -> list[T] | None:
            return await anext(batches, None)

        async def close() -> None:
            await batches.aclose()

        inside = False
        try:
            while True:
                inside = True
                batch = runner.run(next_batch())
                inside = False
                if batch is None:
                    return
                yield from batch
        finally:
            # What a timeout of Airflow has interrupted inside cannot be closed from here: the runner cancels it.
            if not inside:
                runner.run(close())


class Progress:
    """
    A line in the log every few seconds while many responses are cancelled, and one at the end.

    :param log: the logger.
    """

    def __init__(self, log: Any) -> None:
        self._log = log
        self._start = self._told = time.monotonic()
        self._counts = {"cancelled": 0, "already ended": 0, "failed": 0}

    def note(self, outcome: Outcome) -> None:
        """
        Count one.

        :param outcome: what became of it.
        """
        if isinstance(outcome, CancelResult):
            self._counts["cancelled" if outcome.outcome is CancelOutcome.CANCELLED else "already ended"] += 1
        else:
            self._counts["failed"] += 1
        if (now := time.monotonic()) - self._told >= PROGRESS_SECONDS:
            self._told = now
            self._log.info("Cancelling Freddy responses: %s so far.", self)

    def end(self) -> None:
        """Write the last line."""
        self._log.info("Cancelling Freddy responses: %s, in %.1f s.", self, time.monotonic() - self._start)

    def __str__(self) -> str:
        return ", ".join(f"{number} {what}" for what, number in self._counts.items())
