"""
One request through an ``aiohttp`` session: the twin of ``sending`` for event loops.

Reads replies and sorts failures with the same functions of the core; only the library differs.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
from yarl import URL

from airflow_provider_freddy.core import failure
from airflow_provider_freddy.core.problem import Problem
from airflow_provider_freddy.core.reply import MAX_BODY_BYTES, HttpReply
from airflow_provider_freddy.core.request import ApiRequest
from airflow_provider_freddy.core.retry import Budget, attempt_seconds
from airflow_provider_freddy.core.secret import without_secret

#: Seconds that an unused connection is kept: more than the longest interval between two looks.
KEEP_ALIVE_SECONDS = 75.0


@dataclass(frozen=True)
class AsyncSender:
    """
    Sends requests.

    :param session: set up with all that concerns the connections.
    :param base_url: without a slash at the end.
    :param connect_timeout: seconds.
    :param read_timeout: seconds.
    :param options: further arguments of every request: headers, proxy, redirects.
    :param secret: the key, blotted out where a reply repeats it.
    """

    session: aiohttp.ClientSession
    base_url: str
    connect_timeout: float
    read_timeout: float
    options: Mapping[str, Any] = field(repr=False)
    secret: str = field(repr=False)

    async def send(self, request: ApiRequest, budget: Budget) -> HttpReply | Problem:
        """
        Send one request once.

        :param request: what to send.
        :param budget: the time for this attempt and those that may follow.
        :return: the reply whatever its status, or the problem that there was no reply.
        """
        seconds = max(0.05, attempt_seconds(request, budget))
        timeout = aiohttp.ClientTimeout(
            total=seconds,
            sock_connect=self.connect_timeout,
            # A timer less for every look, where it could not ring first.
            sock_read=self.read_timeout if self.read_timeout < seconds else None,
        )
        try:
            # The path is quoted already, and quoting it anew could change which response is meant.
            query = f"?{urlencode(request.params)}" if request.params else ""
            url = URL(f"{self.base_url}{request.path}{query}", encoded=True)
            async with self.session.request(
                request.method, url, json=request.json, timeout=timeout, **self.options
            ) as response:
                try:
                    reply = await _receive(response)
                except TimeoutError:
                    return failure.reply_too_slow(request, response.status, response.headers.get("x-request-id"))
                return without_secret(reply, self.secret)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            return _problem(error, request, min(seconds, self.connect_timeout), min(seconds, self.read_timeout))

    async def close(self) -> None:
        """Close all connections."""
        await self.session.close()


async def _receive(response: aiohttp.ClientResponse) -> HttpReply:
    """Read the body, but no more of it than there is any use for."""
    body = await response.content.readany()
    while len(body) <= MAX_BODY_BYTES and (chunk := await response.content.readany()):
        body += chunk
    truncated = len(body) > MAX_BODY_BYTES
    if truncated:
        response.close()
    # Looked up without regard to case, so that nothing has to be copied.
    return HttpReply(response.status, response.headers, body, truncated=truncated)


def _problem(error: Exception, request: ApiRequest, connect_seconds: float, read_seconds: float) -> Problem:
    """Sort what aiohttp raises by whether Freddy may have the request and whether trying again can help."""
    words = failure.words_of(error)
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return failure.no_connection_in_time(request, connect_seconds)
    if isinstance(error, aiohttp.ClientProxyConnectionError | aiohttp.ClientHttpProxyError):
        return failure.proxy_failed(request)
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        cause = getattr(error, "certificate_error", None) or getattr(error, "os_error", None) or error
        return failure.tls_failed(request, failure.words_of(cause), in_handshake=True)
    if isinstance(error, aiohttp.ClientConnectorError):
        return failure.no_connection(request, _why_no_connection(error.os_error))
    if isinstance(error, TimeoutError):
        return failure.no_reply_in_time(request, read_seconds)
    if isinstance(error, aiohttp.TooManyRedirects):
        return failure.too_many_redirects(request)
    if isinstance(error, aiohttp.ClientConnectionError | aiohttp.ClientPayloadError | aiohttp.ClientResponseError):
        return failure.connection_broke(request, words)
    return failure.not_sent(request, words)


def _why_no_connection(error: OSError) -> str:
    """Return the system's words: asyncio puts the address in their place."""
    if isinstance(error, socket.gaierror) or not error.errno:
        return failure.words_of(error)
    return os.strerror(error.errno)


def ssl_context(verify: bool | str | None, cert: str | tuple[str, ...] | None) -> ssl.SSLContext:
    """
    Return the context for what ``requests`` takes as ``verify`` and ``cert``. Reads files: not for an event loop.

    :param verify: false to check nothing, or the path of a CA file or folder.
    :param cert: the path of a client certificate, or those of certificate and key.
    :raises OSError: if a file cannot be read.
    """
    place = verify if isinstance(verify, str) else None
    for path in [place, *([cert] if isinstance(cert, str) else cert or [])]:
        if path and not Path(path).exists():
            # OpenSSL would not say which.
            raise FileNotFoundError(f"there is no file {path}")
    context = ssl.create_default_context(
        cafile=place if place and not Path(place).is_dir() else None,
        capath=place if place and Path(place).is_dir() else None,
    )
    if verify is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if cert:
        context.load_cert_chain(*([cert] if isinstance(cert, str) else cert))
    return context
