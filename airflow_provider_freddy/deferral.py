"""What operators and sensors share when they hand their wait over to the triggerer, and take it up again."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from airflow.providers.common.compat.sdk import AirflowTaskTimeout

from airflow_provider_freddy import stored_record
from airflow_provider_freddy.arming import arm
from airflow_provider_freddy.core.event import EndReason, WaitEnd
from airflow_provider_freddy.exceptions import FreddyError, error_class

#: Airflow's own time limit of a deferral comes this much after the trigger's: it cancels nothing, and is not looked at
#: while a DAG is paused. It is there for the case that no triggerer runs the trigger.
BACKSTOP = timedelta(seconds=60)


def deadline(seconds: float | None) -> float | None:
    """
    Return the moment when a time is over, as seconds since 1970, which outlive a restart of the triggerer.

    :param seconds: how long from now, ``None`` for ever.
    """
    return None if seconds is None else time.time() + seconds


def backstop(end: float | None) -> timedelta | None:
    """
    Return Airflow's own time limit for a deferral.

    :param end: the deadline of the trigger, seconds since 1970.
    """
    return None if end is None else timedelta(seconds=max(0.0, end - time.time())) + BACKSTOP


def read_event(event: Any) -> WaitEnd:
    """
    Read what the trigger has sent.

    :param event: the event of the trigger.
    :raises FreddyError: if it is none of ours.
    """
    try:
        return WaitEnd.read(event)
    except ValueError as error:
        raise FreddyError(
            f"The trigger has sent {error}: triggerer and workers may have different versions of this provider."
        ) from None


def raise_if_early(end: WaitEnd) -> None:
    """
    Raise what a wait that ended before the response means for the task.

    :param end: the end of the wait.
    :raises AirflowTaskTimeout: at the deadline.
    :raises FreddyError: if the status could not be told any more.
    """
    if end.reason is EndReason.DEADLINE:
        raise AirflowTaskTimeout(end.message)
    if end.reason is EndReason.GAVE_UP:
        raise error_class(end.kind)(end.message)


def take_up(context: Mapping[str, Any], event: Any) -> None:
    """
    Take charge, in the process that resumes a task, of what the one that deferred it has started.

    Asks Airflow nothing when the event says that the response has ended, as nearly all do. Never raises: the task's
    own work does not depend on it.

    :param context: the context of the resumed task.
    :param event: the event of the trigger, if there is one.
    """
    try:
        end = WaitEnd.read(event)
    except ValueError:
        end = None
    if end is not None and end.settled:
        return
    from airflow_provider_freddy.hooks.freddy import FreddyHook

    try:
        arm(context)
        for entry in stored_record.recorded_by_try(context, ask_store=True):
            stored_record.adopt(entry, FreddyHook(entry.freddy_conn_id))
    except Exception as error:
        # The callbacks, which look for themselves, are still to come.
        context["ti"].log.warning("What the task had started before it was deferred could not be read: %s", error)
