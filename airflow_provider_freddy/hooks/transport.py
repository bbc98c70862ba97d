"""
The session with Freddy: Airflow's ``HttpHook``, set up for an API client.

Imported only when something is sent: the HTTP libraries cost a DAG file more than everything else together.
"""

from __future__ import annotations

import json
import types
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow import __version__ as airflow_version
from airflow.providers.common.compat.sdk import AirflowException
from airflow.providers.http.hooks.http import HttpHook

from airflow_provider_freddy import __version__
from airflow_provider_freddy.connection import ConnectionSettings
from airflow_provider_freddy.hooks.sending import FreddyAuth, Sender, describe

if TYPE_CHECKING:
    import requests


class Transport(HttpHook):
    """
    One session with Freddy: connects once and keeps the connection.

    Proxies, certificates, SRV records and TCP keep-alive are the business of ``HttpHook``.

    :param settings: the connection.
    """

    def __init__(self, settings: ConnectionSettings) -> None:
        self._settings = settings
        self._auth = FreddyAuth(*settings.auth_header())
        super().__init__(http_conn_id=settings.conn_id, auth_type=lambda: self._auth)
        self.session = self.get_conn()
        self.sender = Sender(
            self.session,
            self._url,
            settings.connect_timeout,
            settings.read_timeout,
            # An API does not redirect: what does is a proxy's login page or another product.
            settings.http_options.get("allow_redirects", False),
            settings.api_key,
        )

    def _url(self, path: str) -> str:
        try:
            return str(self.url_from_endpoint(path))
        except AirflowException as error:
            # The DNS look-up of an SRV record; for the sender it is a request that was not sent.
            raise OSError(str(error)) from None

    @cached_property
    def description(self) -> dict[str, Any]:
        """All that another process needs to send in the same way; holds the key."""
        return describe(self.sender)

    def get_connection(self, conn_id: str) -> Any:  # type: ignore[override]
        """
        Return the settings in the shape of an HTTP connection.

        No ``Connection`` object: reading its extra talks to Airflow's supervisor, and a hook made inside a signal
        handler must not.

        :param conn_id: not looked at.
        """
        extra = dict(self._settings.http_options)
        return types.SimpleNamespace(
            host=self._settings.base_url, schema=None, port=None, login=None, password=None,
            extra=json.dumps(extra), extra_dejson=extra,
        )  # fmt: skip

    def get_conn(self, *args: Any, **kwargs: Any) -> requests.Session:
        """Return a new session, set up by ``HttpHook`` and with what an API client adds."""
        session = super().get_conn(*args, **kwargs)
        session.headers["Accept"] = "application/json"
        session.headers["User-Agent"] = f"airflow-provider-freddy/{__version__} apache-airflow/{airflow_version}"
        # Not by way of the extra: a header may have the name of an option.
        session.headers.update(self._settings.headers)
        self._auth.keep_from_other_hosts(session)
        return session
