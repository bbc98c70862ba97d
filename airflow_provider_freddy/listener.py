"""
What the API server does when a user marks a task or a run: it cancels what that has started.

Where the task runs in a worker, its own kill hook does so a little later, and where it waits in the triggerer, its
trigger does. Neither is called for a task that is marked while it hands its wait over to the triggerer: in the second
before a triggerer has taken it, Airflow removes the trigger without ever starting it (seen on 3.3.2), and a task
marked before that is refused the deferral. The listener is the only hook that sees these.
"""

from __future__ import annotations

import logging
import threading
from typing import Any

from airflow.listeners import hookimpl

from airflow_provider_freddy.version_compat import in_api_server

#: Seconds for all cancels of one mark.
BUDGET = 30.0

log = logging.getLogger(__name__)


@hookimpl
def on_task_instance_failed(previous_state: Any, task_instance: Any, error: Any) -> None:
    """Cancel what a task instance that was marked failed has started."""
    _cancel_marked(task_instance)


@hookimpl
def on_task_instance_success(previous_state: Any, task_instance: Any) -> None:
    """Cancel what a task instance that was marked successful has started."""
    _cancel_marked(task_instance)


@hookimpl
def on_task_instance_skipped(previous_state: Any, task_instance: Any) -> None:
    """Cancel what a task instance that was marked skipped has started."""
    _cancel_marked(task_instance)


@hookimpl
def on_dag_run_failed(dag_run: Any, msg: str) -> None:
    """Cancel what a run that was marked failed has started."""
    if in_api_server():
        _in_background(dag_run.dag_id, dag_run.run_id)


def _cancel_marked(task_instance: Any) -> None:
    # In a task's process and in the scheduler other hooks do it, and the scheduler must not be kept waiting.
    if in_api_server():
        ti = task_instance
        _in_background(ti.dag_id, ti.run_id, ti.task_id, ti.map_index, ti.try_number)


def _in_background(dag_id: str, run_id: str, *which: Any) -> None:
    """Begin the cancel; the user who marked something does not wait for it."""
    threading.Thread(target=_cancel, args=(dag_id, run_id, which), name="freddy-cancel-marked", daemon=True).start()


def _cancel(dag_id: str, run_id: str, which: tuple[Any, ...]) -> None:
    from airflow_provider_freddy.bulk import CancelTarget, cancel_all
    from airflow_provider_freddy.hooks.freddy import FreddyHook
    from airflow_provider_freddy.marked import recorded_in_database

    whose = f"run {run_id} of DAG {dag_id}" + (f", task {which[0]}" if which else "")
    try:
        entries = recorded_in_database(dag_id, run_id, *which)
        if not entries:
            return
        hooks = {conn_id: FreddyHook(conn_id) for conn_id in {entry.freddy_conn_id for entry in entries}}
        targets = [
            CancelTarget(entry.response_id, hooks[entry.freddy_conn_id], entry.organization_id) for entry in entries
        ]
        for outcome in cancel_all(targets, BUDGET).values():
            if isinstance(outcome, Exception):
                log.error("Marked by a user, %s: %s", whose, outcome)
            else:
                log.info("Marked by a user, %s: Freddy response %s", whose, outcome)
    except Exception as error:
        message = "Marked by a user, %s: what it has started MAY STILL RUN AND COST MONEY. %r"
        log.error(message, whose, error)
