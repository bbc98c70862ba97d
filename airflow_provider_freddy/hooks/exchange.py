"""
One exchange with Freddy: a request sent until it works, cannot be sent again, or its time is spent.

:class:`Exchange` blocks; its twin for event loops is in ``async_exchange``. What both decide, they decide here.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import tenacity

from airflow_provider_freddy.core.cancel import CancelResult, CancelSteps, Wait
from airflow_provider_freddy.core.problem import Problem
from airflow_provider_freddy.core.reply import HttpReply, ModelResponse, read_reply
from airflow_provider_freddy.core.request import ApiRequest
from airflow_provider_freddy.core.retry import Budget, may_retry, pause_before_retry
from airflow_provider_freddy.signals import signals_deferred

if TYPE_CHECKING:
    from airflow_provider_freddy.hooks.sending import Sender

# A create is not sent again with less than this left: its reply would be cut off, and what it started be lost.
_TIME_FOR_REPLY = 5.0


def retrying_options(request: ApiRequest, budget: Budget, attempts: int | None) -> dict[str, Any]:
    """
    Return the options of tenacity that both kinds of exchange retry with.

    :param request: what is sent.
    :param budget: the time for all attempts and pauses.
    :param attempts: how many attempts at the most; ``None`` for as many as the budget allows.
    """
    reserve = 0.0 if request.idempotent else min(_TIME_FOR_REPLY, budget.remaining / 2)
    stop: Any = tenacity.stop_before_delay(budget.remaining - reserve)
    if attempts is not None:
        stop = tenacity.stop_any(stop, tenacity.stop_after_attempt(attempts))
    return {
        "retry": tenacity.retry_if_result(lambda answer: isinstance(answer, Problem) and may_retry(answer)),
        "wait": lambda state: pause_before_retry(state.attempt_number, _result(state)),
        "stop": stop,
        "retry_error_callback": _result,
    }


class CallLog:
    """
    One line per call: what was asked and what came back, never a key, a prompt or an output.

    :param log: the logger of the hook.
    """

    def __init__(self, log: Any) -> None:
        self._log = log
        self._last_status: dict[str, str] = {}

    def report(
        self, request: ApiRequest, reply: HttpReply | Problem, answer: ModelResponse | Problem, seconds: float
    ) -> None:
        """
        Write the line of one call.

        :param request: what was asked.
        :param reply: what came back.
        :param answer: how it was understood.
        :param seconds: how long it took.
        """
        if isinstance(answer, Problem):
            self._log.info("Freddy %s, %.0f ms", answer, 1000 * seconds)
            return
        # A wait asks the same thing again and again: only a change of status is news.
        news = request.method != "GET" or self._last_status.get(answer.id) != answer.status
        self._last_status[answer.id] = answer.status
        (self._log.info if news else self._log.debug)(
            "Freddy %s %s: HTTP %s, response %s is %s, request id %s, %.0f ms",
            request.method,
            request.path,
            getattr(reply, "status", None),
            answer.id,
            answer.status,
            answer.request_id,
            1000 * seconds,
        )


class Exchange:
    """
    Sends requests, retries them and logs them.

    :param sender: the HTTP side.
    :param log: the logger of the hook.
    """

    def __init__(self, sender: Sender, log: Any) -> None:
        self._sender = sender
        self._calls = CallLog(log)

    def ask(
        self,
        request: ApiRequest,
        budget: Budget,
        *,
        response_id: str | None = None,
        attempts: int | None = None,
        on_response: Callable[[ModelResponse], None] | None = None,
        before_attempt: Callable[[], None] = lambda: None,
    ) -> ModelResponse | Problem:
        """
        Send a request, again if that may help.

        :param request: what to send.
        :param budget: the time for all attempts and pauses.
        :param response_id: the response that it is about; a reply about another one is a problem.
        :param attempts: how many attempts at the most; as many as the budget allows by default.
        :param on_response: what to do with the response at once, before any signal can come between.
        :param before_attempt: called before every attempt; may raise to make an end.
        """

        def attempt() -> ModelResponse | Problem:
            before_attempt()
            start = time.monotonic()
            # Never deferred during a pause: nothing exists then that could get lost.
            with signals_deferred() if on_response else nullcontext():
                reply = self._sender.send(request, budget)
                answer = read_reply(request, reply, response_id=response_id) if isinstance(reply, HttpReply) else reply
                # Before anything that can fail, such as a line in the log.
                if on_response and isinstance(answer, ModelResponse):
                    on_response(answer)
                self._calls.report(request, reply, answer, time.monotonic() - start)
            return answer

        retrying = tenacity.Retrying(**retrying_options(request, budget, attempts))
        answer: ModelResponse | Problem = retrying(attempt)
        return answer

    def follow(self, steps: CancelSteps, budget: Budget, response_id: str) -> CancelResult | Problem:
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
                time.sleep(step.seconds)
                answer = None
            else:
                answer = self.ask(step, budget, response_id=response_id)


def _result(state: tenacity.RetryCallState) -> Any:
    return state.outcome.result() if state.outcome else None
