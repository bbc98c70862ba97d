"""The exchange with Freddy for event loops: what ``exchange`` does, waiting without blocking."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import tenacity

from airflow_provider_freddy.core.cancel import CancelResult, CancelSteps, Wait
from airflow_provider_freddy.core.pace import Pace
from airflow_provider_freddy.core.problem import Problem, ProblemKind
from airflow_provider_freddy.core.reply import HttpReply, ModelResponse, read_reply
from airflow_provider_freddy.core.request import ApiRequest
from airflow_provider_freddy.core.retry import Budget
from airflow_provider_freddy.hooks.exchange import CallLog, retrying_options

if TYPE_CHECKING:
    from airflow_provider_freddy.hooks.async_sending import AsyncSender


class AsyncExchange:
    """
    Sends requests and retries them; when Freddy asks one of them to slow down, all do.

    :param sender: the HTTP side.
    :param log: the logger, ``None`` for no line per call.
    :param pace: what is known of the pace that Freddy allows; shared by all that use the same connection.
    :param turns: how many requests of :meth:`ask` are under way at once; as many as there are by default.
    """

    def __init__(
        self,
        sender: AsyncSender,
        log: Any | None = None,
        pace: Pace | None = None,
        turns: asyncio.Semaphore | None = None,
    ) -> None:
        self.sender = sender
        self._turns: AbstractAsyncContextManager[Any] = turns or nullcontext()
        self.pace = pace or Pace()
        self._calls = CallLog(log) if log is not None else None

    async def ask_once(
        self, request: ApiRequest, budget: Budget, *, response_id: str | None = None
    ) -> ModelResponse | Problem:
        """
        Send a request once, whatever the pace.

        :param request: what to send.
        :param budget: the time for it.
        :param response_id: the response that it is about; a reply about another one is a problem.
        """
        start = time.monotonic()
        reply = await self.sender.send(request, budget)
        answer = read_reply(request, reply, response_id=response_id) if isinstance(reply, HttpReply) else reply
        now = time.monotonic()
        if isinstance(reply, HttpReply):
            self.pace.note_reply(reply.headers, now)
        self.pace.note_answer(answer if isinstance(answer, Problem) else None, now)
        if self._calls is not None:
            self._calls.report(request, reply, answer, now - start)
        return answer

    async def ask(
        self, request: ApiRequest, budget: Budget, *, response_id: str | None = None
    ) -> ModelResponse | Problem:
        """
        Send a request, again if that may help, at the pace that Freddy allows.

        :param request: what to send.
        :param budget: the time for all attempts and pauses.
        :param response_id: the response that it is about; a reply about another one is a problem.
        """

        async def attempt() -> ModelResponse | Problem:
            refused = await self._hold_back(request, budget)
            if refused:
                return refused
            # For the request alone: who waits until a response can be cancelled keeps nobody else from it.
            async with self._turns:
                return await self.ask_once(request, budget, response_id=response_id)

        answer = await attempt()
        if isinstance(answer, ModelResponse):
            return answer
        first: ModelResponse | Problem | None = answer

        async def attempt_or_first() -> ModelResponse | Problem:
            # The machinery of retries costs more than a call that works, so that the first one goes without.
            nonlocal first
            known, first = first, None
            return known or await attempt()

        retrying = tenacity.AsyncRetrying(**retrying_options(request, budget, None))
        result: ModelResponse | Problem = await retrying(attempt_or_first)
        return result

    async def _hold_back(self, request: ApiRequest, budget: Budget) -> Problem | None:
        """Wait while Freddy has asked everybody to; return the refusal if that is longer than there is time."""
        while pause := self.pace.pause_left(time.monotonic()):
            if pause >= budget.remaining:
                message = f"Not sent: Freddy has asked to wait {pause:.1f} s more."
                return Problem(ProblemKind.RATE_LIMITED, request, message, retry_after=pause)
            # Spread by up to a tenth: everybody was given the same moment.
            await asyncio.sleep(min(pause * random.uniform(1.0, 1.1), budget.remaining))
        return None

    async def follow(self, steps: CancelSteps, budget: Budget, response_id: str) -> CancelResult | Problem:
        """
        Do what the cancel protocol asks for, and tell it what came of it.

        :param steps: the protocol.
        :param budget: the time for all of it.
        :param response_id: the response that it is about.
        :raises ValueError: if the id cannot be one.
        """
        answer: ModelResponse | Problem | None = None
        while True:
            try:
                step = steps.send(answer)
            except StopIteration as end:
                result: CancelResult | Problem = end.value
                return result
            if isinstance(step, Wait):
                await asyncio.sleep(step.seconds)
                answer = None
            else:
                answer = await self.ask(step, budget, response_id=response_id)
