"""
What the provider raises: one class for every decision that a caller can take.

All of them are ``AirflowException``, in Airflow 2 and 3, so that code which catches that keeps working.
"""

from __future__ import annotations

from airflow.providers.common.compat.sdk import AirflowException

from airflow_provider_freddy.core.problem import Problem, ProblemKind


class FreddyError(AirflowException):
    """
    The root of the tree.

    :param message: what happened, to which response, and whether it may still run.
    :param problem: the call that went wrong, ``None`` when no call was made.
    """

    def __init__(self, message: str, problem: Problem | None = None) -> None:
        super().__init__(message)
        self.problem = problem

    def __reduce__(self) -> tuple[type[FreddyError], tuple[str, Problem | None]]:
        # Exceptions cross processes by pickle, which would otherwise drop the second argument.
        return type(self), (str(self), self.problem)

    @property
    def http_status(self) -> int | None:
        """The HTTP status of the reply, ``None`` when there was none."""
        return self.problem.http_status if self.problem else None

    @property
    def request_id(self) -> str | None:
        """The ``x-request-id`` of the reply; the vendor's support asks for it."""
        return self.problem.request_id if self.problem else None


class FreddyCredentialsError(FreddyError):
    """The API key is missing or refused (401). Mend the connection; trying again is useless."""


class FreddyPermissionError(FreddyError):
    """The key has no access to the organization (403). Mend the organization id or the key's rights."""


class FreddyNotFoundError(FreddyError):
    """The organization has no such response (404)."""


class FreddyRateLimitedError(FreddyError):
    """The API asked to slow down (429), for longer than the call's time budget allowed."""

    @property
    def retry_after(self) -> float | None:
        """Seconds that the API asked to wait, ``None`` when it did not say."""
        return self.problem.retry_after if self.problem else None


class FreddyInvalidRequestError(FreddyError, ValueError):
    """The request cannot be right: bad argument or configuration (nothing was sent), or refused by the API (4xx)."""


class FreddyUnavailableError(FreddyError):
    """The API could not be reached or answered 5xx, for as long as the call's time budget allowed."""


class FreddyUnexpectedReplyError(FreddyError):
    """Something answered, but not as the API does: an HTML page of a proxy, an empty body, another shape."""


class FreddyCancelNotConfirmedError(FreddyError):
    """The cancel did not take within its time budget: the response may still run and cost money."""


class FreddyResponseEndedError(FreddyError):
    """
    The response ended in another way than the task wants: failed, or cancelled by somebody.

    :param message: what happened.
    :param response_id: the response.
    :param status: its final status.
    """

    def __init__(self, message: str, response_id: str = "", status: str = "") -> None:
        super().__init__(message)
        self.response_id = response_id
        self.status = status

    def __reduce__(self) -> tuple[type[FreddyResponseEndedError], tuple[str, str, str]]:  # type: ignore[override]
        return type(self), (str(self), self.response_id, self.status)


class FreddyTaskKilledError(FreddyError):
    """Airflow told the task to stop (marked, cleared, worker shut down) while it waited for a response."""


_CLASS_OF_KIND: dict[ProblemKind, type[FreddyError]] = {
    ProblemKind.CREDENTIALS: FreddyCredentialsError,
    ProblemKind.PERMISSION: FreddyPermissionError,
    ProblemKind.NOT_FOUND: FreddyNotFoundError,
    ProblemKind.RATE_LIMITED: FreddyRateLimitedError,
    ProblemKind.INVALID_REQUEST: FreddyInvalidRequestError,
    ProblemKind.NOT_CANCELLABLE_YET: FreddyInvalidRequestError,
    ProblemKind.ALREADY_FINAL: FreddyInvalidRequestError,
    ProblemKind.UNAVAILABLE: FreddyUnavailableError,
    ProblemKind.UNEXPECTED_REPLY: FreddyUnexpectedReplyError,
    ProblemKind.CANCEL_NOT_CONFIRMED: FreddyCancelNotConfirmedError,
}


def error_class(kind: str | None) -> type[FreddyError]:
    """
    Return the class for a kind of problem that another process has met.

    :param kind: the value of a :class:`ProblemKind`; for anything else it is the root of the tree.
    """
    return _CLASS_OF_KIND[ProblemKind(kind)] if kind in set(ProblemKind) else FreddyError


def error_for(problem: Problem) -> FreddyError:
    """
    Return the exception that belongs to a problem.

    :param problem: the call that went wrong.
    """
    return _CLASS_OF_KIND[problem.kind](f"Freddy {problem}", problem)
