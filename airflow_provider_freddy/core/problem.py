"""What can go wrong with a call, sorted by what a caller can do about it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from airflow_provider_freddy.core.request import ApiRequest

#: A message of the API or of a proxy is cut here: it goes into logs that people read.
_MAX_MESSAGE = 300


class ProblemKind(StrEnum):
    """The decisions that a caller can take, one value each."""

    CREDENTIALS = "credentials"
    PERMISSION = "permission"
    NOT_FOUND = "not_found"
    RATE_LIMITED = "rate_limited"
    INVALID_REQUEST = "invalid_request"
    NOT_CANCELLABLE_YET = "not_cancellable_yet"
    ALREADY_FINAL = "already_final"
    UNAVAILABLE = "unavailable"
    UNEXPECTED_REPLY = "unexpected_reply"
    CANCEL_NOT_CONFIRMED = "cancel_not_confirmed"


@dataclass(frozen=True)
class Problem:
    """
    A call that did not work.

    :param kind: what a caller can do about it.
    :param request: the call.
    :param message: what happened, from the API where it said something.
    :param http_status: the HTTP status, ``None`` when there was no reply.
    :param code: the API's own error code.
    :param request_id: the ``x-request-id`` of the reply; the vendor's support asks for it.
    :param retry_after: seconds that the API asks to wait.
    :param maybe_processed: whether the API may have acted on the request all the same.
    """

    kind: ProblemKind
    request: ApiRequest
    message: str
    http_status: int | None = None
    code: str | None = None
    request_id: str | None = None
    retry_after: float | None = None
    maybe_processed: bool = False

    def __str__(self) -> str:
        status = f"HTTP {self.http_status}" if self.http_status is not None else "no reply"
        details = ", ".join(
            f"{name} {shorten(value)}"
            for name, value in (("code", self.code), ("request id", self.request_id))
            if value
        )
        return (
            f"{self.request.method} {self.request.path}: {status}"
            f"{f' ({details})' if details else ''}: {shorten(self.message)}"
        )

    def because(self, message: str, kind: ProblemKind | None = None) -> Problem:
        """
        Return the same problem with more said about it.

        :param message: put in front of what is said already.
        :param kind: another kind, if the larger view makes it one.
        """
        return replace(self, kind=kind or self.kind, message=f"{message} {self.message}")


def shorten(text: str) -> str:
    """
    Fold white space and cut a text that somebody else wrote, and drop what no log can take (half a surrogate pair).

    :param text: for example the body of a proxy's error page.
    """
    folded = " ".join(text.split()).encode(errors="replace").decode()
    return folded if len(folded) <= _MAX_MESSAGE else folded[: _MAX_MESSAGE - 3] + "..."


def kind_of_error_reply(http_status: int, code: str | None) -> ProblemKind:
    """
    Sort an HTTP error (the error table of the Freddy API, and what proxies answer).

    :param http_status: the HTTP status, outside 200-299.
    :param code: the API's own error code, if the body had one.
    """
    if http_status in {404, 409} and code is None:
        # Freddy names every refusal with a code; a proxy's error page must not pass for its word.
        return ProblemKind.UNEXPECTED_REPLY
    if http_status == 409:
        return ProblemKind.ALREADY_FINAL
    if http_status == 400 and code == "invalid_status":
        return ProblemKind.NOT_CANCELLABLE_YET
    by_status = {
        401: ProblemKind.CREDENTIALS,
        403: ProblemKind.PERMISSION,
        404: ProblemKind.NOT_FOUND,
        408: ProblemKind.UNAVAILABLE,
        425: ProblemKind.UNAVAILABLE,
        429: ProblemKind.RATE_LIMITED,
    }
    if http_status in by_status:
        return by_status[http_status]
    if http_status >= 500:
        return ProblemKind.UNAVAILABLE
    return ProblemKind.INVALID_REQUEST if http_status >= 400 else ProblemKind.UNEXPECTED_REPLY
