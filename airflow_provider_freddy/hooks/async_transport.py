"""
The asynchronous session with Freddy: Airflow's ``HttpAsyncHook``, set up like the blocking one.

Imported only when something is sent, and by nothing that a DAG file imports.
"""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import certifi
import requests
from airflow.providers.http.hooks.http import HttpAsyncHook

from airflow_provider_freddy.connection import ConnectionSettings
from airflow_provider_freddy.hooks.async_sending import KEEP_ALIVE_SECONDS, AsyncSender, ssl_context
from airflow_provider_freddy.hooks.transport import Transport

#: How many connections to Freddy one session has at the most.
DEFAULT_LIMIT = 64


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
        :raises OSError: if a certificate cannot be read, or an SRV record cannot be looked up.
        """
        # CA files are read, a name may be looked up: nothing that an event loop should wait for.
        blocking, base_url, environment, context = await asyncio.to_thread(self._prepare)
        session = aiohttp.ClientSession(
            # aiohttp's own reading of the environment would let a .netrc entry replace the key.
            trust_env=False,
            headers=_headers(blocking),
            cookie_jar=aiohttp.DummyCookieJar(),
            connector=aiohttp.TCPConnector(limit=limit, keepalive_timeout=KEEP_ALIVE_SECONDS, ssl=context),
        )
        auth = self._settings.auth_header()[0]
        options = {
            # aiohttp keeps from other hosts only a header of this name.
            "allow_redirects": blocking.sender.allow_redirects and auth == "Authorization",
            "max_redirects": blocking.session.max_redirects,
            "proxy": requests.utils.select_proxy(base_url, environment["proxies"]),
        }
        return AsyncSender(
            session,
            base_url,
            self._settings.connect_timeout,
            self._settings.read_timeout,
            options,
            self._settings.api_key,
        )

    def _prepare(self) -> tuple[Transport, str, dict[str, Any], Any]:
        blocking = Transport(self._settings)
        base_url = blocking.sender.url_of("").rstrip("/")
        session = blocking.session
        environment: dict[str, Any] = dict(
            session.merge_environment_settings(
                base_url, proxies=session.proxies, stream=True, verify=session.verify, cert=session.cert
            )
        )
        context: Any = True
        if base_url.startswith("https"):
            verify = environment["verify"]
            context = ssl_context(certifi.where() if verify is True else verify, environment["cert"])
        return blocking, base_url, environment, context


def _headers(blocking: Transport) -> dict[str, str]:
    auth = blocking.sender.session.auth
    headers = {name: str(value) for name, value in blocking.session.headers.items()}
    # The JSON of this API is small, and unpacking it costs more than receiving it.
    headers.pop("Accept-Encoding", None)
    return {**headers, auth.name: auth.value}  # type: ignore[union-attr]
