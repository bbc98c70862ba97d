"""From the moment in which a response exists to the one in which everybody who may have to cancel it knows of it."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_freddy import record, stored_record
from airflow_provider_freddy.arming import arm
from airflow_provider_freddy.core.reply import ModelResponse
from airflow_provider_freddy.exceptions import FreddyTaskKilledError
from airflow_provider_freddy.record import TaskTry
from airflow_provider_freddy.signals import signals_deferred
from airflow_provider_freddy.watchdog import client as watchdog

if TYPE_CHECKING:
    from airflow_provider_freddy.hooks.freddy import FreddyHook

#: Seconds for cancelling a response that cannot be taken charge of: the process may not have long.
BUDGET = 10.0


def take_charge(
    hook: FreddyHook,
    context: Mapping[str, Any] | None,
    response: ModelResponse,
    organization_id: str,
    cancel_on_failure: bool,
) -> None:
    """
    Make a response that has just started one that will be cancelled, without asking Airflow anything.

    :param hook: the hook that started it.
    :param context: the context of the running task, if there is one.
    :param response: the response.
    :param organization_id: the organization that owns it.
    :param cancel_on_failure: whether the end of its task is its end too.
    :raises Exception: whatever stands in the way; the response is cancelled then.
    """
    if context is None or response.is_final:
        return
    record.register(context, response.id, organization_id, hook, cancel_on_failure=cancel_on_failure)
    if not cancel_on_failure:
        return
    try:
        arm(context)
        watchdog.watch(response.id, organization_id, hook.session_description)
    except Exception:
        hook.cancel_response(response.id, organization_id=organization_id, budget=BUDGET)
        raise


def publish(hook: FreddyHook, context: Mapping[str, Any], response_id: str, organization_id: str) -> None:
    """
    Write the record where other processes find it.

    :param hook: the hook that started the response.
    :param context: the context of the running task.
    :param response_id: the response.
    :param organization_id: the organization that owns it.
    :raises FreddyTaskKilledError: if the try has ended meanwhile; the response is cancelled then.
    :raises Exception: whatever Airflow raises, if nobody could find the response later; it is cancelled then too.
    """
    try:
        # A kill is let through: its hook knows the response by now, and has no time to wait for Airflow. A timeout
        # is not: it would leave an unread answer in Airflow's channel.
        with signals_deferred(signal.SIGALRM, signal.SIGINT):
            stored_record.publish(context, hook)
        refuse_after_end(context)
    except Exception:
        hook.cancel_response(response_id, organization_id=organization_id, budget=BUDGET)
        raise


def refuse_after_end(context: Mapping[str, Any] | None) -> None:
    """
    Refuse to start anything for a try that is at its end.

    :param context: the context of the running task, if there is one.
    :raises FreddyTaskKilledError: if the try has failed or been told to stop.
    """
    if context is not None and record.is_closed(TaskTry.of(context)):
        raise FreddyTaskKilledError("The task has ended or been told to stop: no Freddy response is started for it.")
