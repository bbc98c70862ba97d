"""The fake Freddy as tests and the command line use it."""

from __future__ import annotations

import contextlib
import json
import secrets
import string
import time
from collections.abc import Callable
from typing import Any, Literal, Self
from urllib.parse import quote, urlencode

from starlette.applications import Starlette

from airflow_provider_freddy.testing.app import Api
from airflow_provider_freddy.testing.behaviour import Behaviour
from airflow_provider_freddy.testing.control import Control
from airflow_provider_freddy.testing.faults import Faults
from airflow_provider_freddy.testing.http_server import serving
from airflow_provider_freddy.testing.journal import Journal, RequestRecord, ResponseRecord
from airflow_provider_freddy.testing.lifecycle import Plan
from airflow_provider_freddy.testing.wire import Vocabulary


class FakeFreddy:
    """
    A fake Freddy on a port of this machine, served from a background thread.

    ::

        with FakeFreddy(duration=5) as freddy:
            monkeypatch.setenv("AIRFLOW_CONN_FREDDY_DEFAULT", freddy.connection_json())
            ...
            assert not freddy.left_running

    A create's ``metadata`` may ask for another life with ``fake_duration``, ``fake_queued_for`` (seconds) and
    ``fake_outcome``.

    :param api_key: The key that it accepts; a new one by default.
    :param organization_id: The one organization of that key.
    :param duration: Seconds for which a response is processed; ``inf`` for one that never ends.
    :param queued_for: Seconds for which it waits before, when it cannot be cancelled yet.
    :param outcome: ``completed`` or ``failed``.
    :param vocabulary: ``status`` (``processing``, ``createdAt``) or ``background`` (``queued`` and
        ``in_progress``, ``created_at``).
    :param latency: Seconds that every reply takes at least.
    :param tls: Serve HTTPS, with a certificate of its own making.
    :param base_path: Where the API begins, such as ``/freddy``; at the root by default.
    :param host: Address to listen on.
    :param port: Port to listen on; 0 for any that is free.
    :raises ValueError: One of these makes no sense.
    """

    def __init__(
        self,
        *,
        api_key: str | None = None,
        organization_id: str = "org_fake",
        duration: float = 60.0,
        queued_for: float = 0.0,
        outcome: Literal["completed", "failed"] = "completed",
        vocabulary: Vocabulary = "status",
        latency: float = 0.0,
        tls: bool = False,
        base_path: str = "",
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self._behaviour = Behaviour(
            api_key=api_key or _new_key(),
            organization_id=organization_id,
            vocabulary=vocabulary,
            latency=latency,
            plan=Plan(duration=duration, queued_for=queued_for, outcome=outcome),
        )
        self._journal = Journal()
        self._journal.conceal(self.api_key)
        self._faults = Faults()
        self._tls = tls
        self._base_path = f"/{base_path.strip('/')}".rstrip("/")
        self._host = host
        self._port = port
        self._ca_file: str | None = None
        self._running: contextlib.ExitStack | None = None

    def start(self) -> Self:
        """
        Start to serve. After a stop this serves again at the same port and with the same journal.

        :return: The fake itself.
        :raises OSError: The port is taken.
        :raises RuntimeError: It is running already.
        """
        if self._running is not None:
            raise RuntimeError("The fake Freddy is running already")
        control = Control(self._journal, self._faults, self.reset)
        api = Api(self._behaviour, self._journal, self._faults)
        app = Starlette(routes=[*control.routes(), *api.routes(self._base_path)])
        with contextlib.ExitStack() as stack:
            server_file = self._issue_certificate(stack) if self._tls else None
            self._port = stack.enter_context(serving(app, self._host, self._port, server_file, self._journal.connected))
            self._running = stack.pop_all()
        return self

    def stop(self) -> None:
        """Stop at once and cut off what is under way; without effect if it is not running."""
        if self._running is not None:
            running, self._running = self._running, None
            running.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The base URL, with the base path and without a slash at its end."""
        if self._port == 0:
            raise RuntimeError("The fake Freddy has no port before it is started")
        return f"{'https' if self._tls else 'http'}://{self._host}:{self._port}{self._base_path}"

    @property
    def api_key(self) -> str:
        """The key that is accepted now."""
        return self._behaviour.api_key

    @property
    def organization_id(self) -> str:
        """The organization whose responses the key may use."""
        return self._behaviour.organization_id

    @property
    def ca_file(self) -> str | None:
        """Path of the certificate that a client has to trust; None without TLS and when not running."""
        return self._ca_file

    def connection_uri(self) -> str:
        """Return an Airflow connection to this fake as a URI."""
        host, extra = quote(self.url, safe=""), urlencode(self._connection_extra())
        return f"freddy://:{quote(self.api_key, safe='')}@{host}/?{extra}"

    def connection_json(self) -> str:
        """Return an Airflow connection to this fake as JSON."""
        return json.dumps(
            {
                "conn_type": "freddy",
                "host": self.url,
                "password": self.api_key,
                "extra": self._connection_extra(),
            }
        )

    def rotate_key(self, new: str) -> None:
        """
        Accept another key from now on, and no longer the one before.

        :param new: The key.
        """
        self._journal.conceal(new)
        self._behaviour.api_key = new

    def next_response(
        self,
        *,
        duration: float | None = None,
        queued_for: float | None = None,
        outcome: Literal["completed", "failed"] | None = None,
    ) -> None:
        """
        Have the next new response live otherwise; called again, the one after it.

        :param duration: Seconds for which it is processed; None for the fake's default, as for the others.
        :param queued_for: Seconds for which it waits before.
        :param outcome: ``completed`` or ``failed``.
        :raises ValueError: One of these makes no sense.
        """
        self._behaviour.plan_next(duration=duration, queued_for=queued_for, outcome=outcome)

    def fault(
        self,
        kind: str,
        method: str | None = None,
        response_id: str | None = None,
        times: int | None = 1,
        **options: Any,
    ) -> None:
        """
        Have requests to the API go wrong; each request takes the oldest fault that matches it.

        ``status``
            A reply with ``status``, the work is not done. Optional are ``code``, ``message``, ``retry_after``
            (seconds or an HTTP date) and ``body`` (text, or a value to send as JSON).
        ``drop_before``
            The connection is closed without a reply, the work is not done.
        ``drop_after``
            The work is done, then the connection closed without a reply.
        ``delay``
            All is well, but ``seconds`` late; with ``after=True`` the waiting comes after the work.
        ``garbage``
            A ``body`` of ``html``, ``empty``, ``not_json``, ``truncated``, ``wrong_shape`` or ``huge`` (5 MB)
            with ``status=200``; the work is done, unless ``work=False``.
        ``hang``
            No answer until the client gives up or the fake stops; the work is not done.

        :param kind: One of these.
        :param method: Only requests with this HTTP method; None for any.
        :param response_id: Only requests about this response; None for any.
        :param times: How many requests; None for all until the faults are cleared.
        :param options: Those of the kind.
        :raises ValueError: An unknown kind, or an option that makes no sense.
        :raises TypeError: An option that the kind does not have or that is missing.
        """
        self._faults.add(kind, method, response_id, times, **options)

    def clear_faults(self) -> None:
        """Let all requests go well again."""
        self._faults.clear()

    @property
    def responses(self) -> list[ResponseRecord]:
        """All responses as they are now, oldest first."""
        return self._journal.responses()

    def response(self, response_id: str) -> ResponseRecord:
        """
        Return a response as it is now.

        :param response_id: Its id.
        :raises KeyError: There is none.
        """
        record = self._journal.response(response_id)
        if record is None:
            raise KeyError(response_id)
        return record

    @property
    def left_running(self) -> list[str]:
        """The ids of the responses that are not final now, queued ones included: they will cost money."""
        return self._journal.left_running()

    @property
    def running_count(self) -> int:
        """How many responses are not final now."""
        return len(self.left_running)

    @property
    def requests(self) -> list[RequestRecord]:
        """All requests to the API in the order of their arrival."""
        return self._journal.requests()

    @property
    def connections(self) -> int:
        """How many TCP connections were accepted; with TLS, those whose handshake was completed."""
        return self._journal.connections()

    def wait_for(self, predicate: Callable[[], object], timeout: float) -> None:
        """
        Wait until something holds.

        :param predicate: Tells whether it does, such as ``lambda: not freddy.left_running``.
        :param timeout: Seconds to wait at most.
        :raises TimeoutError: It did not hold in time.
        """
        deadline = time.monotonic() + timeout
        while not predicate():
            if time.monotonic() > deadline:
                running = ", ".join(self.left_running) or "none"
                raise TimeoutError(f"Not within {timeout:g} s; responses left running: {running}")
            time.sleep(0.01)

    def reset(self) -> None:
        """Forget all responses and requests, and let everything go well again; the key stays as it is."""
        self._faults.clear()
        self._behaviour.forget_plans()
        self._journal.forget()

    def _connection_extra(self) -> dict[str, str]:
        extra = {"organization_id": self.organization_id}
        return extra if self._ca_file is None else {**extra, "verify": self._ca_file}

    def _issue_certificate(self, stack: contextlib.ExitStack) -> str:
        # Only TLS needs a library for certificates.
        from airflow_provider_freddy.testing.certificate import issued

        certificate = stack.enter_context(issued(self._host))
        stack.callback(setattr, self, "_ca_file", None)
        self._ca_file = certificate.ca_file
        return certificate.server_file


def _new_key() -> str:
    # The look of Freddy's newest keys.
    return "ak_" + "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(40))
