"""The callbacks: what a failed task has started is cancelled, without ever getting in the task's way."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_freddy.core.endpoint import DEFAULT_CONN_ID
from airflow_provider_freddy.core.seconds import check_seconds

if TYPE_CHECKING:
    from airflow_provider_freddy.hooks.freddy import FreddyHook

#: Seconds. Airflow ends a task process 20 s after it reported its end, and all callbacks of a DAG processor after 50 s.
DEFAULT_BUDGET = 8.0


def cancel_response_on_failure(context: Mapping[str, Any]) -> None:
    """
    Cancel what the failed task instance has started and that still runs.

    For ``on_failure_callback`` and ``on_retry_callback`` of a task or of ``default_args``, alone or in a list, and
    for the DAG's own ``on_failure_callback``, where it cancels what the whole run has started. It never raises, ends
    within 8 seconds in the task's process, and its last line in the log says what became of every response. In the DAG
    processor, Airflow has some seconds more to say what was started.

    :param context: the context that Airflow gives to a callback.
    """
    CancelResponseCallback()(context)


class CancelResponseCallback:
    """
    The same with options. Without ``task_ids`` and ``response_id`` it cancels what the task itself has started.

    :param task_ids: tasks of the run whose responses to cancel, all their map indexes; for example what a sensor
        that timed out has waited for.
    :param response_id: one response or several, also as a template.
    :param freddy_conn_id: the connection for ``response_id``; a recorded response brings its own.
    :param organization_id: the organization for ``response_id``, also as a template; the connection's by default.
    :param budget: seconds for everything together, 8 by default.
    :raises ValueError: if an argument makes no sense.
    """

    def __init__(
        self,
        *,
        task_ids: str | Iterable[str] | None = None,
        response_id: str | Sequence[str] | None = None,
        freddy_conn_id: str = DEFAULT_CONN_ID,
        organization_id: str | None = None,
        budget: float = DEFAULT_BUDGET,
    ) -> None:
        if isinstance(task_ids, str):
            task_ids = [task_ids]
        self.task_ids = None if task_ids is None else list(task_ids)
        self.response_id = response_id
        self.freddy_conn_id = freddy_conn_id
        self.organization_id = organization_id
        self.budget = check_seconds(budget, "budget")

    @property
    def cancels_own_responses(self) -> bool:
        """Whether it is for what the task itself has started."""
        return self.task_ids is None and self.response_id is None

    def __repr__(self) -> str:
        return f"CancelResponseCallback(task_ids={self.task_ids!r}, response_id={self.response_id!r})"

    def __call__(self, context: Mapping[str, Any]) -> None:
        """
        Cancel, and write one line that says what became of every response.

        :param context: the context that Airflow gives to a callback.
        """
        # Not at the top: a DAG file imports this module on every parse.
        from airflow_provider_freddy.callback_run import run

        run(self, context)

    def render(self, value: Any, context: Mapping[str, Any]) -> Any:
        """
        Return one of the options with its template rendered.

        :param value: the option.
        :param context: the context that Airflow gives to a callback.
        """
        return context["task"].render_template(value, dict(context)) if value is not None else None

    def make_hook(self, freddy_conn_id: str) -> FreddyHook:
        """
        Return the hook for the responses that are given by id.

        :param freddy_conn_id: the Airflow connection.
        """
        from airflow_provider_freddy.hooks.freddy import FreddyHook

        return FreddyHook(freddy_conn_id)


def with_ours(callbacks: Any) -> list[Any]:
    """
    Return what an author has set, with :func:`cancel_response_on_failure` after it, unless it is there already.

    :param callbacks: one callback, a collection of them, or ``None``.
    """
    if not callbacks:
        callbacks = []
    elif not isinstance(callbacks, Collection):
        callbacks = [callbacks]
    ours = [] if any(map(_cancels_own, callbacks)) else [cancel_response_on_failure]
    return [*callbacks, *ours]


def _cancels_own(callback: Any) -> bool:
    """Tell whether a callback, or a notifier of ours, cancels what the task itself has started."""
    return callback is cancel_response_on_failure or getattr(callback, "cancels_own_responses", False)
