"""The callback in the shape of a notifier, where people expect one: listed by Airflow, templated, and asynchronous."""

from __future__ import annotations

import asyncio
import copy
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.notifier import BaseNotifier

from airflow_provider_freddy.callbacks import DEFAULT_BUDGET, CancelResponseCallback
from airflow_provider_freddy.core.endpoint import DEFAULT_CONN_ID
from airflow_provider_freddy.version_compat import run_in_thread

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_freddy.hooks.freddy import FreddyHook

log = logging.getLogger(__name__)


class CancelResponseNotifier(BaseNotifier):
    """
    Cancel responses when something happens: :class:`~airflow_provider_freddy.callbacks.CancelResponseCallback`.

    For every place that takes a callback or a notifier, alone or in a list. Without ``task_ids`` and ``response_id``
    it cancels what the task itself has started, and as a DAG's ``on_failure_callback`` what the whole run has. It
    never raises, and its last line in the log says what became of every response.

    :param task_ids: tasks of the run whose responses to cancel, all their map indexes.
    :param response_id: one response or several. (templated)
    :param freddy_conn_id: the connection for ``response_id``; a recorded response brings its own. (templated)
    :param organization_id: the organization for ``response_id``; the connection's by default. (templated)
    :param budget: seconds for everything together, 8 by default.
    :param context: the context, where Airflow gives it beforehand, as to the callback of a deadline.
    :raises ValueError: if an argument makes no sense.
    """

    template_fields: Sequence[str] = ("response_id", "organization_id", "freddy_conn_id")

    def __init__(
        self,
        *,
        task_ids: str | Iterable[str] | None = None,
        response_id: str | Sequence[str] | None = None,
        freddy_conn_id: str = DEFAULT_CONN_ID,
        organization_id: str | None = None,
        budget: float = DEFAULT_BUDGET,
        context: Context | None = None,
    ) -> None:
        super().__init__()
        # Below Airflow 3.1 the base class has none.
        self.context: Any = context or {}
        self.task_ids = task_ids if isinstance(task_ids, str) or task_ids is None else list(task_ids)
        self.response_id = response_id
        self.freddy_conn_id = freddy_conn_id
        self.organization_id = organization_id
        self.budget = budget
        # Its checks are those of the arguments.
        self._callback()

    @property
    def cancels_own_responses(self) -> bool:
        """Whether it is for what the task itself has started."""
        return self.task_ids is None and self.response_id is None

    def __call__(self, *args: Any) -> None:
        """
        Render and cancel.

        The base class renders in place: a notifier that is called again, for another task or try, would cancel the
        response of the first one. So every call has a copy.

        :param args: the context that Airflow gives to a callback.
        """
        try:
            super(CancelResponseNotifier, copy.copy(self)).__call__(*args)
        except Exception as error:
            _report(error)

    def notify(self, context: Any) -> None:
        """
        Cancel, in the process of the task or in the DAG processor.

        :param context: the context that Airflow gives to a callback.
        """
        self._callback()(context)

    async def async_notify(self, context: Any) -> None:
        """
        Cancel, in a triggerer (Airflow 3.1+), without holding up its event loop.

        There is no task there: give ``response_id``.

        :param context: the context, usually without a task instance.
        """
        try:
            callback = self._callback()
            if self.response_id is not None:
                from airflow_provider_freddy.hooks.freddy import FreddyHook

                callback.hook = FreddyHook(self.freddy_conn_id)
                # Asked for here: in the threads of the callback a triggerer would not be answered.
                await run_in_thread(callback.hook.resolve)
            await asyncio.to_thread(callback, context)
        except Exception as error:
            _report(error)

    def _callback(self) -> _RenderedCallback:
        return _RenderedCallback(
            task_ids=self.task_ids,
            response_id=self.response_id,
            freddy_conn_id=self.freddy_conn_id,
            organization_id=self.organization_id,
            budget=self.budget,
        )


class _RenderedCallback(CancelResponseCallback):
    """A callback whose fields the notifier has rendered: what came out is not rendered once more."""

    hook: FreddyHook | None = None

    def render(self, value: Any, context: Mapping[str, Any]) -> Any:
        return value

    def make_hook(self, freddy_conn_id: str) -> FreddyHook:
        return self.hook or super().make_hook(freddy_conn_id)


def _report(error: Exception) -> None:
    log.error(
        "Freddy notifier: what it should have cancelled MAY STILL RUN AND COST MONEY. %s: %s",
        type(error).__name__,
        error,
    )
