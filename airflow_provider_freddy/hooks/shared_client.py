"""
One connection look-up and one HTTP session for all triggers of a process that use the same Airflow connection.

A trigger of its own session would open a socket per poll or hold one per trigger, and ask Airflow for the connection
once per trigger, which a triggerer with thousands of them does not survive.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Self, TypeVar

from airflow_provider_freddy import metrics
from airflow_provider_freddy.core import failure
from airflow_provider_freddy.core.cancel import CancelResult, cancel_steps
from airflow_provider_freddy.core.pace import Pace
from airflow_provider_freddy.core.problem import Problem, ProblemKind
from airflow_provider_freddy.core.reply import ModelResponse
from airflow_provider_freddy.core.request import RESPONSE_PATH, ApiRequest, get_response_request
from airflow_provider_freddy.core.retry import Budget
from airflow_provider_freddy.exceptions import FreddyError
from airflow_provider_freddy.hooks.shared_poller import SharedPoller
from airflow_provider_freddy.version_compat import in_dag_test, run_in_thread, states_of_run

if TYPE_CHECKING:
    from airflow_provider_freddy.connection import ConnectionSettings
    from airflow_provider_freddy.hooks.async_exchange import AsyncExchange
    from airflow_provider_freddy.hooks.freddy import FreddyHook

#: How many looks and how many cancels are under way at the most. Together they take all connections of the session, so
#: that no cancel waits for a look; and a thousand that wait here take far less memory than within the session.
LOOKS_AT_ONCE = 40
CANCELS_AT_ONCE = 24
#: Seconds for a look, of which its only attempt has half.
LOOK_SECONDS = 30.0
#: Seconds for a look-up of the Airflow connection: a fresh triggerer takes up to 20, more on a busy machine.
LOOK_UP_SECONDS = 120.0
#: Seconds after which the Airflow connection is read again: keys are rotated while triggers wait.
RENEW_SECONDS = 300.0
#: Seconds between two look-ups of the connection that have a reason, such as a refused key.
SOONEST_RENEWAL = 15.0
#: Seconds that an unused session is kept: a next trigger often comes at once.
LINGER_SECONDS = 5.0
#: Seconds that a replaced session is kept for what is still under way through it.
REPLACED_SECONDS = 60.0

log = logging.getLogger(__name__)

T = TypeVar("T")


class SharedClient:
    """
    What the triggers of one Airflow connection share in one event loop; a context manager that counts its users.

    :param freddy_conn_id: the Airflow connection.
    """

    def __init__(self, freddy_conn_id: str) -> None:
        self.freddy_conn_id = freddy_conn_id
        self.pace = Pace()
        self.poller = SharedPoller(self.look, self.pace, LOOKS_AT_ONCE)
        self.users = 0
        self._loop = asyncio.get_running_loop()
        self._settings: ConnectionSettings | None = None
        self._exchange: AsyncExchange | None = None
        self._opening: asyncio.Task[None] | None = None
        self._looked_up = 0.0
        self._refusal: Exception | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._unused = asyncio.Event()
        self._looking = asyncio.Semaphore(LOOKS_AT_ONCE)
        self._cancelling = asyncio.Semaphore(CANCELS_AT_ONCE)
        # A task that nobody refers to may be collected before its end.
        self._background: set[asyncio.Task[None]] = set()

    # -- asking Freddy -------------------------------------------------------------------------------------

    async def look(self, response_id: str, organization_id: str | None) -> ModelResponse | Problem:
        """
        Look at a response once. A key that is refused is looked up again, in case it has been rotated.

        :param response_id: the response.
        :param organization_id: the organization that owns it; the connection's by default.
        """

        async def ask(exchange: AsyncExchange) -> ModelResponse | Problem:
            request = get_response_request(response_id, organization_id=self._organization(organization_id))
            async with self._looking:
                return await exchange.ask_once(request, Budget(LOOK_SECONDS), response_id=response_id)

        try:
            return await self._with_valid_key(ask)
        except ValueError as error:
            return failure.not_sent(ApiRequest("GET", RESPONSE_PATH), str(error))
        except Exception as error:
            message = f"Not sent: the Airflow connection {self.freddy_conn_id!r} cannot be used. {error}"
            return Problem(ProblemKind.CREDENTIALS, ApiRequest("GET", RESPONSE_PATH), message)

    async def _with_valid_key(self, ask: Callable[[AsyncExchange], Awaitable[T | Problem]]) -> T | Problem:
        """Ask, and once more if the key is refused and the connection has another one by now."""
        exchange = await self.exchange()
        answer = await ask(exchange)
        if isinstance(answer, Problem) and answer.kind is ProblemKind.CREDENTIALS:
            renewed = await self._renewed(exchange)
            if renewed is not exchange:
                answer = await ask(renewed)
        return answer

    def _organization(self, organization_id: str | None) -> str:
        """Return the organization that a call is for."""
        found = organization_id or (self._settings and self._settings.organization_id)
        if not found:
            raise ValueError(f"no organization id is given, and the connection {self.freddy_conn_id!r} has none")
        return found

    async def link(self, response_id: str, organization_id: str | None) -> str:
        """
        Return where the connection has the page of a task link to.

        :param response_id: the response.
        :param organization_id: the organization that owns it; the connection's by default.
        :raises Exception: whatever stands in the way of the connection.
        """
        await self.exchange()
        assert self._settings is not None
        return self._settings.link(response_id, self._organization(organization_id))

    async def cancel(
        self, response_id: str, organization_id: str | None, seconds: float, *, verify: bool = False
    ) -> CancelResult | Problem:
        """
        Cancel a response, and wake whoever waits for it in this process.

        :param response_id: the response.
        :param organization_id: the organization that owns it; the connection's by default.
        :param seconds: the time for all of it.
        :param verify: whether to look at the response after a cancel that was accepted.
        :raises Exception: whatever stands in the way of the connection.
        """
        budget = Budget(seconds)

        async def follow(exchange: AsyncExchange) -> CancelResult | Problem:
            steps = cancel_steps(
                response_id,
                organization_id=self._organization(organization_id),
                budget=budget,
                tell_status=False,
                verify=verify,
            )
            return await exchange.follow(steps, budget, response_id)

        try:
            outcome = await self._with_valid_key(follow)
        except Exception as error:
            metrics.count_cancel(error)
            raise
        metrics.count_cancel(outcome, budget.seconds - budget.remaining)
        self.poller.wake(response_id)
        return outcome

    # -- the connection ------------------------------------------------------------------------------------

    async def exchange(self) -> AsyncExchange:
        """
        Return what talks to Freddy, with the connection looked up and the session open.

        :raises Exception: whatever is wrong with the connection; asked again, it is looked up anew after a while.
        """
        age = time.monotonic() - self._looked_up
        if self._exchange is None:
            if self._refusal is not None and age < SOONEST_RENEWAL:
                # Without the places where it was raised before, of which there would be more and more.
                raise self._refusal.with_traceback(None)
            await self._renew()
        elif age > RENEW_SECONDS:
            # In the background: the old key is most likely as good as the new one.
            self._looked_up = time.monotonic()
            self._keep(asyncio.ensure_future(self._renew_quietly()))
        if self._exchange is None:
            raise self._refusal or RuntimeError("The session with Freddy was closed.")
        return self._exchange

    async def _renewed(self, refused: AsyncExchange) -> AsyncExchange:
        """Look the connection up again, unless that was just done; return what is to be used from now on."""
        just_done = self._opening is None and time.monotonic() - self._looked_up < SOONEST_RENEWAL
        if self._exchange is refused and not just_done:
            await self._renew_quietly()
        return self._exchange or refused

    async def _renew_quietly(self) -> None:
        try:
            await self._renew()
        except Exception as error:
            log.warning(
                "Airflow connection %r could not be read again, the last one is kept: %s", self.freddy_conn_id, error
            )

    async def _renew(self) -> None:
        """Look up and open; whoever comes meanwhile waits for the same, and nobody's cancellation ends it."""
        if self._opening is None:
            self._looked_up = time.monotonic()
            self._opening = asyncio.ensure_future(self._look_up_and_open())
            self._keep(self._opening)
        await asyncio.shield(self._opening)

    async def _look_up_and_open(self) -> None:
        from airflow_provider_freddy.hooks.async_exchange import AsyncExchange
        from airflow_provider_freddy.hooks.async_transport import AsyncTransport
        from airflow_provider_freddy.hooks.freddy import FreddyHook

        hook = FreddyHook(self.freddy_conn_id)
        try:
            await self._look_up(hook)
            if self._settings is None:
                # Not waited for: only a kill or the end of a task needs it.
                self._keep(asyncio.ensure_future(_wake_airflow(self.freddy_conn_id)))
            if hook.settings != self._settings or self._exchange is None:
                sender = await AsyncTransport(hook.settings).open()
                replaced, self._exchange = self._exchange, AsyncExchange(sender, pace=self.pace, turns=self._cancelling)
                self._settings = hook.settings
                if replaced is not None:
                    self._keep(asyncio.ensure_future(_close_later(replaced)))
            self._refusal = None
        except Exception as error:
            self._refusal = error
            raise
        finally:
            self._looked_up = time.monotonic()
            self._opening = None

    async def _look_up(self, hook: FreddyHook) -> None:
        try:
            async with asyncio.timeout(LOOK_UP_SECONDS):
                await run_in_thread(hook.resolve)
        except TimeoutError:
            raise FreddyError(f"Airflow has not given it within {LOOK_UP_SECONDS:g} s.") from None

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._background.add(task)
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._background.discard(task)
        if not task.cancelled():
            # Whoever waited for it was told; asyncio would report it once more if nobody had.
            task.exception()

    # -- users ---------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        """Count one user more."""
        self.users += 1
        if self._keeper is None:
            self._keeper = asyncio.ensure_future(self._close_when_unused())
        return self

    def __exit__(self, *_: object) -> None:
        """Count one user less; the session is closed a few seconds after the last one."""
        self.users -= 1
        if not self.users:
            self._unused.set()

    async def _close_when_unused(self) -> None:
        """Wait until nobody is left, and close; a task, because the end of an event loop cancels tasks, not timers."""
        try:
            while self.users:
                self._unused.clear()
                await self._unused.wait()
                await asyncio.sleep(LINGER_SECONDS)
        finally:
            if _clients.get(self._loop, {}).get(self.freddy_conn_id) is self:
                del _clients[self._loop][self.freddy_conn_id]
            if self._opening is not None:
                await asyncio.wait({self._opening})
            exchange, self._exchange = self._exchange, None
            if exchange is not None:
                await exchange.sender.close()


_clients: dict[asyncio.AbstractEventLoop, dict[str, SharedClient]] = {}


def shared_client(freddy_conn_id: str) -> SharedClient:
    """
    Return the client of an Airflow connection that this event loop shares, to be used in a ``with`` statement.

    Nothing is looked up before something is asked.

    :param freddy_conn_id: the Airflow connection.
    """
    loop = asyncio.get_running_loop()
    for closed in [other for other in _clients if other.is_closed()]:
        del _clients[closed]
    clients = _clients.setdefault(loop, {})
    client = clients.get(freddy_conn_id)
    if client is None:
        client = clients[freddy_conn_id] = SharedClient(freddy_conn_id)
    return client


async def _wake_airflow(freddy_conn_id: str) -> None:
    """
    Ask a fresh triggerer its first question before one is urgent.

    Airflow builds what answers it only then, which takes 4 to 20 s (3.3.2). The look-up of a connection is such a
    question, unless it is found in the environment.
    """
    if f"AIRFLOW_CONN_{freddy_conn_id.upper()}" in os.environ and not in_dag_test():
        with suppress(Exception):
            await run_in_thread(lambda: states_of_run("none", "none"))


async def _close_later(exchange: AsyncExchange) -> None:
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(REPLACED_SECONDS)
    await exchange.sender.close()
