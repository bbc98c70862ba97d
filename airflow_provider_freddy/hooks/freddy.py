"""The hook: what the provider says to Freddy, with the retries, time budgets and logging that belong to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_freddy.core.endpoint import CONN_TYPE, DEFAULT_CONN_ID

if TYPE_CHECKING:
    import requests

    from airflow_provider_freddy.connection import ConnectionSettings
    from airflow_provider_freddy.core.cancel import CancelResult
    from airflow_provider_freddy.core.reply import ModelResponse
    from airflow_provider_freddy.exceptions import FreddyError
    from airflow_provider_freddy.hooks.exchange import Exchange
    from airflow_provider_freddy.hooks.transport import Transport

#: Seconds for one call with all its retries, where the caller names none.
DEFAULT_BUDGET = 60.0
#: Seconds for cancelling a great many responses, and how many of them at once at the most.
BULK_BUDGET = 600.0
DEFAULT_CONCURRENCY = 128


class FreddyHook(BaseHook):
    """
    Talk to Freddy: start, look at and cancel model responses.

    The connection is looked up at the first call, and again if Freddy refuses its key. One HTTP connection is kept for
    the life of the hook.

    :param freddy_conn_id: the Airflow connection of type ``freddy``.
    """

    conn_name_attr = "freddy_conn_id"
    default_conn_name = DEFAULT_CONN_ID
    conn_type = CONN_TYPE
    hook_name = "Freddy"

    def __init__(self, freddy_conn_id: str = DEFAULT_CONN_ID) -> None:
        super().__init__()
        self.freddy_conn_id = freddy_conn_id
        # No cached_property: on Python 3.11 that takes a lock for the whole class, and a kill hook must not wait
        # for another thread's look-up.
        self._settings: ConnectionSettings | None = None
        self.may_ask_airflow = True
        self._open_transport: Transport | None = None
        self._open_exchange: Exchange | None = None

    @property
    def settings(self) -> ConnectionSettings:
        """
        The checked settings of the connection, looked up once.

        :raises FreddyCredentialsError: if the connection has no usable API key.
        :raises FreddyInvalidRequestError: if something else in it makes no sense.
        """
        if self._settings is None:
            from airflow_provider_freddy.connection import read_connection

            self._settings = read_connection(self.get_connection(self.freddy_conn_id))
        return self._settings

    @property
    def is_resolved(self) -> bool:
        """Whether the connection has been looked up, so that nothing more is asked of Airflow."""
        return self._settings is not None

    def resolve(self) -> None:
        """
        Look the connection up now.

        :raises FreddyError: if there is something wrong with it.
        """
        _ = self.settings

    @property
    def _transport(self) -> Transport:
        if self._open_transport is None:
            from airflow_provider_freddy.hooks.transport import Transport

            self._open_transport = Transport(self.settings)
        return self._open_transport

    @property
    def exchange(self) -> Exchange:
        """What sends requests for this hook, retries and logs them; opened at the first use."""
        if self._open_exchange is None:
            from airflow_provider_freddy.hooks.exchange import Exchange

            self._open_exchange = Exchange(self._transport.sender, self.log)
        return self._open_exchange

    @property
    def session_description(self) -> dict[str, Any]:
        """All that a process without Airflow needs to send as this hook does; holds the key."""
        return self._transport.description

    def use(self, settings: ConnectionSettings) -> None:
        """
        Send with other settings from now on; what is under way ends with the old ones.

        :param settings: the connection as it was read anew.
        """
        self._settings, self._open_transport, self._open_exchange = settings, None, None

    def sibling(self, freddy_conn_id: str | None = None, *, may_ask_airflow: bool = True) -> FreddyHook:
        """
        Return a hook with an HTTP connection of its own, which need not ask Airflow for the same connection again.

        For signal handlers and threads: the connection of the hook that they interrupt may be in use.

        :param freddy_conn_id: another Airflow connection; this hook's own by default.
        :param may_ask_airflow: whether it may look its connection up again if Freddy refuses the key.
        """
        other = FreddyHook(freddy_conn_id or self.freddy_conn_id)
        other.may_ask_airflow = may_ask_airflow
        if other.freddy_conn_id == self.freddy_conn_id:
            other._settings = self._settings
        return other

    def get_conn(self) -> requests.Session:
        """Return the ``requests`` session, with authentication and everything else of the connection set up."""
        return self._transport.session

    def organization(self, organization_id: str | None = None) -> str:
        """
        Return the organization that a call is for.

        :param organization_id: the organization; the connection's by default.
        :raises FreddyInvalidRequestError: if neither names one, or it cannot be an id.
        """
        from airflow_provider_freddy.hooks import calls

        return calls.organization_of(self, organization_id)

    def create_response(
        self,
        inputs: Any,
        *,
        model: str | None = None,
        organization_id: str | None = None,
        background: bool = True,
        budget: float = DEFAULT_BUDGET,
        cancel_on_failure: bool = True,
        task_metadata: bool = True,
        **parameters: Any,
    ) -> ModelResponse:
        """
        Start a model response. It costs money until it ends.

        In a running task it is recorded for that task instance at once, and the task is armed: should it fail, be
        skipped, or be told to stop, the response is cancelled. If it cannot be recorded it is cancelled at once. What
        an earlier try of the task has left running is cancelled first (Airflow 3.3+).

        :param inputs: text, or the list of messages as the API takes it.
        :param model: the model; the API's default if not given.
        :param organization_id: the organization that pays; the connection's by default.
        :param background: whether the call returns at once while the response is generated on its own.
        :param budget: seconds for the call with all its retries, 60 by default. It is only sent again when the
            first one cannot have started a response.
        :param cancel_on_failure: whether the response ends with a task that does not end well. If not, it is only
            recorded, for whoever cancels it by name or sweeps the run.
        :param task_metadata: whether ``metadata`` says which DAG, run, task, map index and try has started it, beside
            what you put there.
        :param parameters: further fields of the body, passed through untouched (API contract, part A).
        :return: the response as the API describes it, usually ``queued``.
        :raises FreddyInvalidRequestError: if an argument makes no sense (nothing was sent) or the API refuses it.
        :raises FreddyError: one of its other classes, if the API cannot be reached or refuses.
        """
        from airflow_provider_freddy.hooks import calls

        return calls.create(
            self,
            inputs,
            model=model,
            organization_id=organization_id,
            background=background,
            budget=budget,
            cancel_on_failure=cancel_on_failure,
            task_metadata=task_metadata,
            parameters=parameters,
        )

    def track_response(
        self, response_id: str, *, organization_id: str | None = None, cancel_on_failure: bool = True
    ) -> None:
        """
        Take charge of a response that something else has started, such as the vendor's SDK, in the running task.

        From here on it is treated like one of :meth:`create_response`. Nothing is asked of Freddy, so call it at once:
        what kills the task before it can be called is not covered.

        :param response_id: the response.
        :param organization_id: the organization that owns it; the connection's by default.
        :param cancel_on_failure: whether the response ends with a task that does not end well. If not, it is only
            recorded, for whoever cancels it by name or sweeps the run.
        :raises FreddyInvalidRequestError: if an argument makes no sense (nothing was sent), or no task runs in this
            process (the response was cancelled).
        :raises FreddyTaskKilledError: if the task is at its end; the response was cancelled.
        :raises Exception: whatever else stands in the way; the response was cancelled, or the error says why it could
            not be.
        """
        from airflow_provider_freddy.hooks import calls

        calls.take_on(self, response_id, organization_id, cancel_on_failure)

    def get_response(
        self, response_id: str, *, organization_id: str | None = None, budget: float = DEFAULT_BUDGET
    ) -> ModelResponse:
        """
        Look at a response.

        :param response_id: the response.
        :param organization_id: the organization that owns it; the connection's by default.
        :param budget: seconds for the call with all its retries, 60 by default.
        :raises FreddyNotFoundError: if the organization has no such response.
        :raises FreddyError: one of its other classes, if the API cannot be reached or refuses.
        """
        from airflow_provider_freddy.hooks import calls

        return calls.get(self, response_id, organization_id, budget)

    def cancel_response(
        self,
        response_id: str,
        *,
        organization_id: str | None = None,
        budget: float = DEFAULT_BUDGET,
        tell_status: bool = True,
        verify: bool = False,
    ) -> CancelResult:
        """
        Cancel a response, and come back when it no longer runs.

        A response that had already ended is no error. One that is still queued, which the API refuses to cancel, is
        tried again until it can be cancelled.

        :param response_id: the response.
        :param organization_id: the organization that owns it; the connection's by default.
        :param budget: seconds for all of it, 60 by default.
        :param tell_status: whether to ask for the final status of a response that had already ended.
        :param verify: whether a cancel that Freddy has accepted counts only when the response is seen to have ended.
        :return: what became of it.
        :raises FreddyCancelNotConfirmedError: if it still runs, or may, when the budget is spent.
        :raises FreddyNotFoundError: if the organization has no such response.
        :raises FreddyError: one of its other classes, if the API cannot be reached or refuses.
        """
        from airflow_provider_freddy.hooks import calls

        return calls.cancel(
            self,
            response_id,
            organization_id=organization_id,
            budget=budget,
            tell_status=tell_status,
            verify=verify,
        )

    def cancel_responses(
        self,
        response_ids: Iterable[str],
        *,
        organization_id: str | None = None,
        budget: float = BULK_BUDGET,
        tell_status: bool = False,
        verify: bool = False,
        concurrency: int = DEFAULT_CONCURRENCY,
    ) -> Iterator[tuple[str, CancelResult | FreddyError]]:
        """
        Cancel a great many responses over one session, and yield what became of each as it comes.

        The ids are taken one by one and nothing is kept, so that a generator of any length will do. What goes wrong
        with one is yielded and stops nobody else; when Freddy asks to slow down, all slow down. A line in the log
        tells every 5 seconds how far it has come. It runs an event loop: not for code that runs in one.

        :param response_ids: the responses.
        :param organization_id: the organization that owns them; the connection's by default.
        :param budget: seconds for all of it, 600 by default.
        :param tell_status: whether to ask for the final status of those that had already ended; a request more each.
        :param verify: whether a cancel that Freddy has accepted counts only when the response is seen to have ended;
            a request more each.
        :param concurrency: how many are cancelled at once at the most, and so the number of connections, 128 by
            default; they are opened only as a long link needs them.
        :return: pairs of a response id and its :class:`~airflow_provider_freddy.core.cancel.CancelResult`, or the error
            that stands in the way.
        :raises FreddyError: if there is something wrong with the connection or the arguments.
        """
        from airflow_provider_freddy.hooks import calls

        return calls.cancel_many(
            self,
            response_ids,
            organization_id=organization_id,
            budget=budget,
            tell_status=tell_status,
            verify=verify,
            concurrency=concurrency,
        )

    def test_connection(self) -> tuple[bool, str]:
        """
        Check key, organization and base URL without starting anything: look at a response that cannot exist.

        :return: whether the connection works, and a sentence that says what to mend. The key is never in it.
        """
        from airflow_provider_freddy.hooks import calls

        return calls.check(self)

    def close(self) -> None:
        """Close the HTTP connection. A later call opens another one."""
        transport, self._open_transport, self._open_exchange = self._open_transport, None, None
        if transport is not None:
            transport.session.close()

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Return the custom fields of the connection form, for Airflow 2.11 to 3.1."""
        from airflow_provider_freddy.hooks.form import connection_form_widgets

        return connection_form_widgets()

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return labels, placeholders and hidden fields of the connection form, for Airflow 2.11 to 3.1."""
        from airflow_provider_freddy.hooks.form import ui_field_behaviour

        return ui_field_behaviour()
