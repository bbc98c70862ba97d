"""
One request through a ``requests`` session: sent once, its reply read, its failures turned into problems.

Knows nothing of Airflow: the watchdog, which must start in no time, sends the same way.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from traceback import walk_tb
from typing import Any

import requests
import urllib3
from requests.auth import AuthBase
from requests.exceptions import (
    ConnectTimeout,
    InvalidHeader,
    InvalidJSONError,
    InvalidURL,
    ProxyError,
    ReadTimeout,
    SSLError,
    TooManyRedirects,
)

from airflow_provider_freddy.core import failure
from airflow_provider_freddy.core.problem import Problem
from airflow_provider_freddy.core.reply import MAX_BODY_BYTES, HttpReply
from airflow_provider_freddy.core.request import ApiRequest
from airflow_provider_freddy.core.retry import Budget, attempt_seconds
from airflow_provider_freddy.core.secret import without_secret

_CHUNK_BYTES = 16 * 1024
# Below this an attempt could not even be made; the budget is checked before every attempt.
_SHORTEST_TIMEOUT = 0.05
# A reply that has begun is given this time to end even when the budget is spent: it may name what costs money.
_REST_OF_REPLY = 1.0


class FreddyAuth(AuthBase):
    """
    Put the API key into every request.

    As ``session.auth`` and not as a header, because requests would let a ``.netrc`` entry replace a header.

    :param name: the header.
    :param value: its value.
    """

    def __init__(self, name: str, value: str) -> None:
        self.name = name
        self.value = value

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers[self.name] = self.value
        return request

    def keep_from_other_hosts(self, session: requests.Session) -> None:
        """
        See to it that the key stays behind when a redirect leads to another host.

        requests itself drops only a header named ``Authorization``.

        :param session: the session that follows redirects.
        """

        def rebuild_auth(request: requests.PreparedRequest, response: requests.Response) -> None:
            if session.should_strip_auth(str(response.request.url), str(request.url)):  # type: ignore[no-untyped-call]
                request.headers.pop(self.name, None)

        session.rebuild_auth = rebuild_auth  # type: ignore[method-assign]


@dataclass(frozen=True)
class Sender:
    """
    Sends requests.

    :param session: set up with everything but the timeouts.
    :param url_of: turns the path of a request into a URL.
    :param connect_timeout: seconds.
    :param read_timeout: seconds.
    :param allow_redirects: whether to follow redirects.
    :param secret: the key, blotted out where a reply repeats it.
    """

    session: requests.Session
    url_of: Callable[[str], str]
    connect_timeout: float
    read_timeout: float
    allow_redirects: bool
    secret: str = field(repr=False)

    def send(self, request: ApiRequest, budget: Budget) -> HttpReply | Problem:
        """
        Send one request once.

        :param request: what to send.
        :param budget: the time for this attempt and those that may follow.
        :return: the reply whatever its status, or the problem that there was no reply.
        """
        seconds = max(_SHORTEST_TIMEOUT, attempt_seconds(request, budget))
        timeout = (min(self.connect_timeout, seconds), min(self.read_timeout, seconds))
        session = self.session
        handled = sys.exception()
        try:
            prepared = session.prepare_request(
                requests.Request(request.method, self.url_of(request.path), params=request.params, json=request.json)
            )
            environment = session.merge_environment_settings(
                prepared.url, proxies=session.proxies, stream=True, verify=session.verify, cert=session.cert
            )
            with session.send(
                prepared, timeout=timeout, allow_redirects=self.allow_redirects, **environment
            ) as response:
                reply = _receive(response, request, budget)
                return without_secret(reply, self.secret) if isinstance(reply, HttpReply) else reply
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            # Nothing wider: what a signal handler raises in the middle of this is not for us.
            return _problem(error, request, timeout, handled)


def describe(sender: Sender) -> dict[str, Any]:
    """
    Describe a sender as JSON-compatible values, for a process that is to send in the same way.

    :param sender: a sender whose session authenticates with :class:`FreddyAuth`. The description holds the key.
    """
    session = sender.session
    auth = session.auth
    assert isinstance(auth, FreddyAuth)
    return {
        "base_url": sender.url_of(""),
        "headers": dict(session.headers),
        "auth": [auth.name, auth.value],
        "proxies": dict(session.proxies),
        "verify": session.verify,
        "cert": session.cert,
        "trust_env": session.trust_env,
        "max_redirects": session.max_redirects,
        "timeouts": [sender.connect_timeout, sender.read_timeout],
        "allow_redirects": sender.allow_redirects,
        "secret": sender.secret,
    }


def sender_from(description: dict[str, Any]) -> Sender:
    """
    Return a sender with a session of its own that sends as the described one does.

    :param description: what :func:`describe` has returned.
    """
    session = requests.Session()
    session.headers.clear()
    session.headers.update(description["headers"])
    for name in ("proxies", "verify", "trust_env", "max_redirects"):
        setattr(session, name, description[name])
    cert = description["cert"]
    # A pair comes back from JSON as a list, which urllib3 cannot use in a key of a dictionary.
    session.cert = tuple(cert) if isinstance(cert, list) else cert
    session.auth = auth = FreddyAuth(*description["auth"])
    auth.keep_from_other_hosts(session)
    base_url = description["base_url"]
    connect_timeout, read_timeout = description["timeouts"]
    return Sender(
        session,
        lambda path: f"{base_url}{path}",
        connect_timeout,
        read_timeout,
        description["allow_redirects"],
        description["secret"],
    )


def _receive(response: requests.Response, request: ApiRequest, budget: Budget) -> HttpReply | Problem:
    """Read the body, but neither for longer nor more of it than there is any use for."""
    body = bytearray()
    limit = Budget(max(budget.remaining, _REST_OF_REPLY))
    # Not iter_content, which returns nothing before a whole chunk is there; urllib3 has read1 from 2.2 on.
    read = getattr(response.raw, "read1", response.raw.read)
    while chunk := read(_CHUNK_BYTES, decode_content=True):
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            break
        if not limit.remaining:
            return failure.reply_too_slow(request, response.status_code, response.headers.get("x-request-id"))
    headers = {name.lower(): value for name, value in response.headers.items()}
    return HttpReply(response.status_code, headers, bytes(body), truncated=len(body) > MAX_BODY_BYTES)


def _problem(
    error: Exception, request: ApiRequest, timeout: tuple[float, float], handled: BaseException | None
) -> Problem:
    """
    Sort what requests raises by whether Freddy may have the request and whether trying again can help.

    ``handled`` is the exception that the caller was handling: it is in the chain of this one, but no cause of it.
    """
    causes = list(_causes(error, handled))
    words = failure.words_of(causes[-1])
    if isinstance(error, ConnectTimeout):
        return failure.no_connection_in_time(request, timeout[0])
    if isinstance(error, ReadTimeout):
        return failure.no_reply_in_time(request, timeout[1])
    if isinstance(error, SSLError):
        return failure.tls_failed(request, words, in_handshake=_in_handshake(causes))
    if isinstance(error, ProxyError):
        return failure.proxy_failed(request)
    if isinstance(error, TooManyRedirects):
        return failure.too_many_redirects(request)
    if isinstance(error, InvalidURL | InvalidHeader | InvalidJSONError) or not isinstance(
        error, requests.RequestException | urllib3.exceptions.HTTPError
    ):
        # A wrong CA path, a base URL that is none, a value that JSON cannot hold: nothing was sent.
        return failure.not_sent(request, words)
    if any(isinstance(cause, urllib3.exceptions.NewConnectionError) for cause in causes):
        return failure.no_connection(request, words)
    return failure.connection_broke(request, words)


def _causes(error: BaseException, handled: BaseException | None) -> Iterator[BaseException]:
    """Yield an exception and its causes, the first cause last."""
    cause: BaseException | None = error
    while cause is not None and cause is not handled:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _in_handshake(causes: list[BaseException]) -> bool:
    """Tell whether TLS failed while urllib3 connected; later, Freddy may have the request already."""
    return any(frame.f_code.co_name == "connect" for cause in causes for frame, _ in walk_tb(cause.__traceback__))
