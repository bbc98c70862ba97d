"""What is said when a request got no reply: the same words and decisions, whatever library sent it."""

from __future__ import annotations

from airflow_provider_freddy.core.problem import Problem, ProblemKind
from airflow_provider_freddy.core.request import ApiRequest


def not_sent(request: ApiRequest, why: str) -> Problem:
    """
    Describe a request that could not be sent at all: a wrong CA path, a base URL that is none.

    :param request: the request.
    :param why: the words of the error.
    """
    return Problem(ProblemKind.INVALID_REQUEST, request, f"Not sent: {_sentence(why)}")


def no_connection(request: ApiRequest, why: str) -> Problem:
    """
    Describe a request for which there was no connection, so that Freddy cannot have it.

    :param request: the request.
    :param why: the words of the error.
    """
    return Problem(ProblemKind.UNAVAILABLE, request, f"No connection: {_sentence(why)}")


def no_connection_in_time(request: ApiRequest, seconds: float) -> Problem:
    """
    Describe a request that waited for a connection in vain.

    :param request: the request.
    :param seconds: how long.
    """
    return Problem(ProblemKind.UNAVAILABLE, request, f"No connection within {seconds:.1f} s.")


def no_reply_in_time(request: ApiRequest, seconds: float) -> Problem:
    """
    Describe a request that was sent, and waited for its reply in vain.

    :param request: the request.
    :param seconds: how long.
    """
    return Problem(ProblemKind.UNAVAILABLE, request, f"No reply within {seconds:.1f} s.", maybe_processed=True)


def reply_too_slow(request: ApiRequest, http_status: int, request_id: str | None) -> Problem:
    """
    Describe a reply that began and did not end in time.

    :param request: the request.
    :param http_status: its status.
    :param request_id: its ``x-request-id``.
    """
    return Problem(
        ProblemKind.UNAVAILABLE, request, "The reply did not end in time.", http_status,
        request_id=request_id, maybe_processed=True,
    )  # fmt: skip


def tls_failed(request: ApiRequest, why: str, *, in_handshake: bool) -> Problem:
    """
    Describe trouble with TLS.

    :param request: the request.
    :param why: the words of the error.
    :param in_handshake: whether it came before anything was sent.
    """
    return Problem(
        ProblemKind.UNAVAILABLE, request, f"TLS failed: {_sentence(why)}", maybe_processed=not in_handshake
    )  # fmt: skip


def proxy_failed(request: ApiRequest) -> Problem:
    """
    Describe a proxy that let nothing through.

    :param request: the request.
    """
    return Problem(ProblemKind.UNAVAILABLE, request, "The proxy did not connect.")


def too_many_redirects(request: ApiRequest) -> Problem:
    """
    Describe a request that was sent from one place to the next.

    :param request: the request.
    """
    return Problem(ProblemKind.UNEXPECTED_REPLY, request, "Too many redirects.", maybe_processed=True)


def connection_broke(request: ApiRequest, why: str) -> Problem:
    """
    Describe a connection that broke when Freddy may have had the request already.

    :param request: the request.
    :param why: the words of the error.
    """
    return Problem(
        ProblemKind.UNAVAILABLE, request, f"The connection broke: {_sentence(why)}", maybe_processed=True
    )  # fmt: skip


def words_of(error: BaseException) -> str:
    """
    Return the words of a first cause: those of the wrappers repeat the URL and object addresses.

    :param error: the first cause.
    """
    return str(getattr(error, "strerror", None) or str(error) or type(error).__name__)


def _sentence(words: str) -> str:
    return f"{words.rstrip('.')}."
