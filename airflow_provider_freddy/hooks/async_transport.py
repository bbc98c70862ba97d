"""
The asynchronous session with Freddy: Airflow's ``HttpAsyncHook``, set up like the blocking one.

Imported only when something is sent, and by nothing that a DAG file imports.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import certifi
import requests
from airflow.providers.http.hooks.http import HttpAsyncHook
from requests.structures import CaseInsensitiveDict

from airflow_provider_freddy.connection import ConnectionSettings
from airflow_provider_freddy.core import failure
from airflow_provider_freddy.exceptions import FreddyInvalidRequestError
from airflow_provider_freddy.hooks.async_sending import KEEP_ALIVE_SECONDS, AsyncSender, ssl_context
from airflow_provider_freddy.hooks.sending import FreddyAuth
from airflow_provider_freddy.hooks.transport import Transport

#: How many connections to Freddy one session has at the most.
DEFAULT_LIMIT = 64
# As long as the blocking side reads them: some proxies send very long policies.
_LONGEST_LINE = 65536


class AsyncTransport(HttpAsyncHook):
    """
    One session with Freddy for the event loop that opens it.

    Headers, authentication, proxies, certificates and the base URL, with an SRV record looked up, are those of the
    blocking :class:`~airflow_provider_freddy.hooks.transport.Transport`, so that both sides always send the same way.

    :param settings: the connection.
    """

    def __init__(self, settings: ConnectionSettings) -> None:
        super().__init__(http_conn_id=settings.conn_id)
        self._settings = settings

    async def config(self) -> Any:
        """Return what ``HttpAsyncHook`` itself sends with, without asking Airflow for the connection."""
        from airflow.providers.http.hooks.http import SessionConfig

        blocking = await asyncio.to_thread(Transport, self._settings)
        return SessionConfig(base_url=blocking.sender.url_of(""), headers=_headers(blocking), auth=None)

    async def open(self, limit: int = DEFAULT_LIMIT) -> AsyncSender:
        """
        Open the session.

        :param limit: how many connections it has at the most, 64 by default.
        :return: what sends through it; it is to be closed in the same event loop.
        :raises FreddyInvalidRequestError: if a certificate cannot be read, or an SRV record cannot be looked up.
        """
        try:
            # CA files are read, a name may be looked up: nothing that an event loop should wait for.
            parts = await asyncio.to_thread(self._prepare)
        except OSError as error:
            raise FreddyInvalidRequestError(
                f"The Airflow connection {self._settings.conn_id!r} cannot be used: {failure.words_of(error)}. "
                "Nothing was sent to Freddy."
            ) from None
        session = aiohttp.ClientSession(
            # aiohttp's own reading of the environment would let a .netrc entry replace the key.
            trust_env=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            max_line_size=_LONGEST_LINE,
            max_field_size=_LONGEST_LINE,
            connector=aiohttp.TCPConnector(limit=limit, keepalive_timeout=KEEP_ALIVE_SECONDS, ssl=parts.ssl),
        )
        return AsyncSender(
            session,
            parts.base_url,
            self._settings.connect_timeout,
            self._settings.read_timeout,
            parts.options,
            self._settings.api_key,
        )

    def _prepare(self) -> _Parts:
        blocking = Transport(self._settings)
        base_url = blocking.sender.url_of("").rstrip("/")
        session = blocking.session
        environment: dict[str, Any] = dict(
            session.merge_environment_settings(
                base_url, proxies=session.proxies, stream=True, verify=session.verify, cert=session.cert
            )
        )
        context: ssl.SSLContext | bool = True
        if base_url.startswith("https"):
            verify = environment["verify"]
            context = ssl_context(certifi.where() if verify is True else verify, environment["cert"])
        proxy = requests.utils.select_proxy(base_url, environment["proxies"])
        options = {
            # Not those of the session: aiohttp gives these to a proxy too, when it asks it to connect.
            "headers": _headers(blocking),
            # aiohttp keeps from other hosts only a header of this name.
            "allow_redirects": blocking.sender.allow_redirects and self._settings.auth_header()[0] == "Authorization",
            # The first request counts here.
            "max_redirects": session.max_redirects + 1,
            "proxy": proxy and requests.utils.prepend_scheme_if_needed(proxy, "http"),  # type: ignore[no-untyped-call]
        }
        return _Parts(base_url, options, context)


@dataclass(frozen=True)
class _Parts:
    base_url: str
    options: dict[str, Any] = field(repr=False)
    ssl: ssl.SSLContext | bool


def _headers(blocking: Transport) -> dict[str, str]:
    # A dictionary without regard to case, so that no header of the connection stands beside the key.
    headers = CaseInsensitiveDict(blocking.session.headers)
    if headers.get("Accept-Encoding") == requests.utils.DEFAULT_ACCEPT_ENCODING:
        # What requests can unpack; and for the small JSON of this API it costs more than receiving it.
        headers["Accept-Encoding"] = "identity"
    auth = blocking.session.auth
    assert isinstance(auth, FreddyAuth)
    headers[auth.name] = auth.value
    for name, value in headers.items():
        if not str(value).isascii():
            # aiohttp would send it as UTF-8, which is not what the blocking side sends.
            raise OSError(f"its header {name!r} has letters that not every HTTP client can send")
    return {name: str(value) for name, value in headers.items()}
