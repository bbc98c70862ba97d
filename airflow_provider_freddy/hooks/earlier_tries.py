"""The net under a try that was killed: the next one cancels what it left, before it pays for more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_freddy import record, stored_record
from airflow_provider_freddy.bulk import CancelTarget, cancel_all
from airflow_provider_freddy.exceptions import FreddyNotFoundError

if TYPE_CHECKING:
    from airflow_provider_freddy.hooks.freddy import FreddyHook

#: Seconds for all of it together.
BUDGET = 20.0


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
