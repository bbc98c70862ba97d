"""
The cancel protocol, without I/O: what to send next, and what the answers add up to.

A cancel is not one request. A response that is still queued refuses it and runs later (contract, part B), a reply
can get lost or be garbage, and 409 means that there is nothing left to do. :func:`cancel_steps` yields what to do
next and is sent the answer; whoever drives it does the I/O, blocking or not.
"""

from __future__ import annotations

import random
from collections.abc import Generator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import pendulum

from airflow_provider_freddy.core.problem import Problem, ProblemKind
from airflow_provider_freddy.core.reply import ModelResponse
from airflow_provider_freddy.core.request import ApiRequest, cancel_response_request, get_response_request
from airflow_provider_freddy.core.retry import Budget
from airflow_provider_freddy.core.status import CANCELLED

#: Seconds between two tries to cancel a response that cannot be cancelled yet.
_FIRST_WAIT = 0.25
_MAX_WAIT = 2.0


class CancelOutcome(StrEnum):
    """The two good ends of a cancel."""

    CANCELLED = "cancelled"
    ALREADY_FINAL = "already_final"


@dataclass(frozen=True)
class CancelResult:
    """
    What a cancel has come to: the response no longer runs.

    :param response_id: the response.
    :param outcome: ``cancelled`` by this call, or ``already_final`` before it.
    :param status: the final status, ``None`` where it could not be told.
    :param cancelled_at: aware UTC time of the cancel, ``None`` where the API did not say.
    :param request_id: the ``x-request-id`` of the reply that settled it.
    """

    response_id: str
    outcome: CancelOutcome
    status: str | None = None
    cancelled_at: pendulum.DateTime | None = None
    request_id: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return outcome, final status and time as JSON-compatible values, for an XCom."""
        return {
            "outcome": self.outcome.value,
            "status": self.status,
            "cancelled_at": self.cancelled_at.isoformat() if self.cancelled_at else None,
        }

    def __str__(self) -> str:
        if self.outcome is CancelOutcome.CANCELLED:
            at = f" at {self.cancelled_at.isoformat()}" if self.cancelled_at else ""
            return f"{self.response_id} cancelled{at}: costs nothing more"
        return f"{self.response_id} had already ended ({self.status or 'final status not known'}): costs nothing more"


@dataclass(frozen=True)
class Wait:
    """
    A step that is only waiting.

    :param seconds: how long.
    """

    seconds: float


Answer = ModelResponse | Problem | None
CancelSteps = Generator[ApiRequest | Wait, Answer, CancelResult | Problem]


def cancel_steps(
    response_id: str, *, organization_id: str, budget: Budget, tell_status: bool, verify: bool = False
) -> CancelSteps:
    """
    Yield what to do next until the response no longer runs or the budget is spent.

    Whoever drives it sends back, for a request, the response or the problem that it ended with (after retries),
    and ``None`` for a wait.

    :param response_id: the response to cancel.
    :param organization_id: the organization that owns it.
    :param budget: the time for all of it.
    :param tell_status: whether a 409 is followed by a GET that tells the final status.
    :param verify: whether a cancel that was accepted counts only when a GET shows that the response has ended.
    :return: the result, or the problem that stands in the way.
    :raises ValueError: if one of the ids cannot be one.
    """
    cancel = cancel_response_request(response_id, organization_id=organization_id)
    look = get_response_request(response_id, organization_id=organization_id)
    wait = _FIRST_WAIT
    while True:
        cancelled: CancelResult | None = None
        answer = yield cancel
        if isinstance(answer, ModelResponse) and answer.status == CANCELLED:
            cancelled = _cancelled(response_id, answer)
            if not verify:
                return cancelled
        if isinstance(answer, Problem) and not _worth_a_look(answer):
            return answer
        said_final = isinstance(answer, Problem) and answer.kind is ProblemKind.ALREADY_FINAL
        request_id = answer.request_id if answer else None
        if said_final and not (tell_status and budget.remaining):
            return _already_final(response_id, request_id, None)
        # Not cancellable yet, or a reply that says neither yes nor no: the status tells, and it has the last word.
        seen = yield look
        if said_final and not isinstance(seen, ModelResponse):
            return _already_final(response_id, request_id, None)
        if isinstance(seen, ModelResponse) and seen.is_final:
            if cancelled is not None and seen.status == CANCELLED:
                return cancelled
            return _already_final(response_id, request_id if said_final else seen.request_id, seen)
        if budget.remaining <= wait:
            return _not_confirmed(cancel, answer, seen, budget)
        yield Wait(wait * random.uniform(0.8, 1.0))
        wait = min(_MAX_WAIT, wait * 1.5)


def _worth_a_look(problem: Problem) -> bool:
    return problem.kind in {
        ProblemKind.ALREADY_FINAL,
        ProblemKind.NOT_CANCELLABLE_YET,
        ProblemKind.UNEXPECTED_REPLY,
    }


def _cancelled(response_id: str, answer: ModelResponse) -> CancelResult:
    return CancelResult(response_id, CancelOutcome.CANCELLED, CANCELLED, answer.cancelled_at, answer.request_id)


def _already_final(response_id: str, request_id: str | None, seen: Answer) -> CancelResult:
    """Describe a response that had ended, with what a look at it told."""
    if not isinstance(seen, ModelResponse) or not seen.is_final:
        return CancelResult(response_id, CancelOutcome.ALREADY_FINAL, request_id=request_id)
    return CancelResult(
        response_id,
        CancelOutcome.ALREADY_FINAL,
        seen.status,
        seen.cancelled_at,
        request_id or seen.request_id,
    )


def _not_confirmed(cancel: ApiRequest, answer: Answer, seen: Answer, budget: Budget) -> Problem:
    """Say, from the last two answers, why the cancel is not confirmed within the time."""
    if (
        isinstance(answer, Problem)
        and answer.kind is ProblemKind.UNEXPECTED_REPLY
        and not isinstance(seen, ModelResponse)
    ):
        return answer
    status = f"still {seen.status!r}" if isinstance(seen, ModelResponse) else f"not to be told ({seen})"
    last_words = answer.message if isinstance(answer, Problem) else "The API accepted the cancel."
    return Problem(
        kind=ProblemKind.CANCEL_NOT_CONFIRMED,
        request=cancel,
        message=f"Not cancelled within {budget.seconds:g} s, its status is {status}. Last answer: {last_words}",
        http_status=getattr(answer, "http_status", 200),
        code=getattr(answer, "code", None),
        request_id=getattr(answer, "request_id", None),
    )
