"""
What a try does about the responses of earlier ones, before it pays for more.

It cancels what a killed try has left: the net under all kills. Or it takes over what a failed try has left to it on
purpose.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_freddy import record, stored_record
from airflow_provider_freddy.bulk import CancelTarget, cancel_all
from airflow_provider_freddy.core.reply import ModelResponse
from airflow_provider_freddy.core.status import COMPLETED
from airflow_provider_freddy.exceptions import FreddyNotFoundError
from airflow_provider_freddy.hooks.taking_charge import publish, take_charge

if TYPE_CHECKING:
    from airflow_provider_freddy.hooks.freddy import FreddyHook

#: Seconds for all of it together.
BUDGET = 20.0


def take_over(hook: FreddyHook, context: Mapping[str, Any]) -> ModelResponse | None:
    """
    Take over the response that the last try has left to its retry, if it runs or has completed.

    :param hook: the hook of the running task.
    :param context: its context.
    :return: the response, with this try in charge of it; ``None`` if there is none worth waiting for.
    :raises FreddyError: if it cannot be looked at; this try is in charge of it then, too.
    """
    kept = stored_record.kept_for_retry(context)
    if kept is None:
        return None
    running = ModelResponse(kept.response_id, "in_progress")
    take_charge(hook.sibling(kept.freddy_conn_id), context, running, kept.organization_id, cancel_on_failure=True)
    publish(hook, context, kept.response_id, kept.organization_id)
    stored_record.forget_earlier_tries(context, [kept.response_id])
    cancel_earlier_tries(hook)
    response = hook.get_response(kept.response_id, organization_id=kept.organization_id)
    if response.is_final and response.status != COMPLETED:
        hook.log.info("Response %s of the last try has ended (%s): starting anew.", response.id, response.status)
        return None
    hook.log.info("Response %s of the last try is %s: taking it over.", response.id, response.status)
    return response


def cancel_earlier_tries(hook: FreddyHook) -> None:
    """
    Cancel what earlier tries of the running task have left running (Airflow 3.3+, which keeps the record of it).

    Never raises: the task's own work does not depend on it.

    :param hook: the hook of the running task.
    """
    context = record.running_task_context()
    if context is None:
        return
    try:
        left = stored_record.inherit(context)
        targets = [
            CancelTarget(entry.response_id, hook.sibling(entry.freddy_conn_id), entry.organization_id) for entry in left
        ]
        if not targets:
            return
        settled = []
        for response_id, outcome in cancel_all(targets, BUDGET).items():
            if isinstance(outcome, Exception) and not isinstance(outcome, FreddyNotFoundError):
                hook.log.error("Left by an earlier try: %s", outcome)
            else:
                settled.append(response_id)
                hook.log.info("Left by an earlier try: %s", outcome)
        stored_record.forget_earlier_tries(context, settled)
    except Exception as error:
        hook.log.warning("What earlier tries have left could not be read: %s", error)
