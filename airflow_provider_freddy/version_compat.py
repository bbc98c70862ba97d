"""The differences between the Airflow versions that this provider supports, all in one place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from airflow import __version__ as _airflow_version

_MAJOR, _MINOR = (int(part) for part in _airflow_version.split(".")[:2])

AIRFLOW_V_3_0_PLUS = (_MAJOR, _MINOR) >= (3, 0)
AIRFLOW_V_3_1_PLUS = (_MAJOR, _MINOR) >= (3, 1)

_watching: list[Callable[[], None]] = []


def in_task_process(context: Mapping[str, Any]) -> bool:
    """
    Tell whether a failure or retry callback runs in the process that ran the task.

    There it may ask Airflow anything. In the DAG processor (3.x) a question that is not in its protocol is never
    answered and hangs it (seen on 3.3.2); only the task process puts ``exception`` into the context. 2.11 always
    puts it there, but also always has the database.

    :param context: the callback's context.
    """
    if "exception" in context:
        return True
    # dag.test() of 3.0 leaves it out. There, only a task instance that was run in this process has a state.
    return AIRFLOW_V_3_0_PLUS and not AIRFLOW_V_3_1_PLUS and getattr(context.get("ti"), "state", None) is not None


def can_read_xcom(context: Mapping[str, Any]) -> bool:
    """
    Tell whether ``ti.xcom_pull`` is answered in this callback.

    3.0 never answers it in the DAG processor (mended in 3.1.0, apache/airflow#55542).

    :param context: the callback's context.
    """
    return not AIRFLOW_V_3_0_PLUS or AIRFLOW_V_3_1_PLUS or in_task_process(context)


def running_operator(context: Mapping[str, Any]) -> Any:
    """
    Return the operator object whose ``on_kill`` and callbacks Airflow calls for the running try.

    That of the task instance. 3.0 executes a copy of the one that it has put into the context.

    :param context: the context of a running task.
    """
    return getattr(context["ti"], "task", None) or context["task"]


def task_state_store(context: Mapping[str, Any]) -> Any | None:
    """
    Return the store that outlives a try (Airflow 3.3+, AIP-103), ``None`` where there is none.

    :param context: the context of a running task; must not be used in a callback of another process.
    """
    return context.get("task_state_store")


def begun_in_another_process(context: Mapping[str, Any]) -> bool:
    """
    Tell whether the try of this context has been deferred or rescheduled before, so that another process began it.

    :param context: the context of a running task.
    """
    ti = context["ti"]
    if context.get("task_reschedule_count"):
        return True
    if not AIRFLOW_V_3_0_PLUS:
        return bool(ti.next_method)
    from_server = getattr(ti, "_ti_context_from_server", None)
    # Where Airflow does not tell, yes is the answer that only costs a question.
    return from_server is None or bool(getattr(from_server, "next_method", True))


def watch_end_of_task(at_end: Callable[[], None]) -> None:
    """
    Have a function called when the task's process has come to its end in good order, whatever the state.

    Airflow 3 calls listeners then, after the callbacks. A process that is killed does not come that far.

    :param at_end: what to call; the same function is registered once.
    """
    if not AIRFLOW_V_3_0_PLUS or at_end in _watching:
        return
    from airflow.providers.common.compat.sdk import get_listener_manager, hookimpl

    class Listener:
        @hookimpl
        def before_stopping(self, component: Any) -> None:
            at_end()

    _watching.append(at_end)
    get_listener_manager().add_listener(Listener())  # type: ignore[no-untyped-call]
