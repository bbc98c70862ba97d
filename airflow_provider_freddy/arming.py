"""
What a task needs so that its responses end with it, attached to the running task when it starts the first one.

A plain function has no ``on_kill`` of ours, and its author need not think of callbacks. Airflow reads both from the
operator object in the process of the task, which is at hand when a response is created: they are attached there,
beside what the author has set and never in its place. In other processes (the DAG processor) this reaches nothing;
callbacks that are to work there have to stand in the DAG file.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from airflow_provider_freddy import metrics, record
from airflow_provider_freddy.bulk import CancelTarget, cancel_all
from airflow_provider_freddy.core.cancel import CancelResult
from airflow_provider_freddy.core.retry import Budget
from airflow_provider_freddy.record import StartedResponse, TaskTry
from airflow_provider_freddy.version_compat import running_operator, watch_end_of_task
from airflow_provider_freddy.watchdog import client as watchdog

#: Seconds for a kill hook: Airflow 3 kills the process 5 s after it has asked it to stop.
KILL_BUDGET = 3.5
#: Seconds after a failure: Airflow ends a task process 20 s after it reported its end.
FAILURE_BUDGET = 10.0
#: Seconds for what the callbacks before have not cancelled; theirs and the author's count too.
LAST_BUDGET = 6.0

_CALLBACKS = ("on_failure_callback", "on_retry_callback", "on_skipped_callback")

log = logging.getLogger(__name__)


def arm(context: Mapping[str, Any]) -> None:
    """
    Attach kill hook and callbacks to the running task, once.

    :param context: the context of the running task.
    """
    task = running_operator(context)
    watch_end_of_task(release_what_goes_on)
    for name in _CALLBACKS:
        callbacks = getattr(task, name, None)
        if callbacks is None:
            callbacks = []
        elif not isinstance(callbacks, list | tuple):
            callbacks = [callbacks]
        if cancel_what_is_left not in callbacks:
            resumes = name == "on_retry_callback" and getattr(task, "on_retry", None) == "resume"
            first = [leave_to_retry] if resumes else []
            setattr(task, name, [*first, *callbacks, cancel_what_is_left])
    # With dag.test() the tries of a task share the operator object.
    author = task.on_kill.author if isinstance(task.on_kill, KillHook) else task.on_kill
    task.on_kill = KillHook(TaskTry.of(context), author)


class KillHook:
    """
    Stands in for a task's ``on_kill``: cancels, then does what the author's does.

    :param this_try: the try whose responses to cancel.
    :param author: the task's own ``on_kill``.
    """

    def __init__(self, this_try: TaskTry, author: Callable[[], Any]) -> None:
        self.this_try = this_try
        self.author = author

    def __call__(self) -> None:
        """
        Cancel what the try has started.

        Usually called from a signal handler: nothing here asks Airflow anything, takes a lock that the interrupted
        code may hold, or uses the HTTP connection that it may be using.
        """
        record.close(self.this_try)
        try:
            cancel_started_in_signal_handler(self.this_try, KILL_BUDGET)
        finally:
            self.author()


def leave_to_retry(context: Mapping[str, Any]) -> None:
    """
    Take out of the hands of all retry callbacks what the operator has left to the next try.

    :param context: the context that Airflow gives to a callback.
    """
    response_id = record.kept_by(TaskTry.of(context))
    entry = record.started(response_id) if response_id else None
    if entry is not None and entry.ending is None:
        record.note_ending(entry.record.response_id, f"{response_id} is left to the next try (on_retry='resume')")
        watchdog.release(entry.record.response_id)


def cancel_what_is_left(context: Mapping[str, Any]) -> None:
    """
    Cancel, at the end of a try in its own process, what the author's callbacks have not. Never raises.

    :param context: the context that Airflow gives to a callback.
    """
    try:
        record.close(TaskTry.of(context))
        cancel_started(TaskTry.of(context), LAST_BUDGET)
    except Exception as error:
        log.error("What the task has started with Freddy MAY STILL RUN AND COST MONEY. %r", error)


def release_what_goes_on() -> None:
    """
    Take leave of the watchdog when a try has ended in good order: done, deferred or rescheduled.

    What a try that failed or was told to stop could not get cancelled stays with the watchdog, which has more
    patience.
    """
    for entry in record.all_started():
        if not record.is_closed(entry.record.started_in):
            watchdog.release(entry.record.response_id)
    metrics.flush()


def cancel_started(this_try: TaskTry, seconds: float) -> None:
    """
    Cancel what a try has started in this process and that may still run.

    :param this_try: the try.
    :param seconds: the time for all of them together.
    """
    targets = [
        CancelTarget(entry.record.response_id, entry.hook, entry.record.organization_id) for entry in _running(this_try)
    ]
    if targets:
        for outcome in cancel_all(targets, seconds).values():
            _report(outcome)


def cancel_started_in_signal_handler(this_try: TaskTry, seconds: float) -> None:
    """
    Do the same from code that has interrupted other code of this thread.

    One after the other, because starting a thread takes a lock; over connections of its own, because those of the
    interrupted code may be in the middle of something. Never raises.

    :param this_try: the try.
    :param seconds: the time for all of them together.
    """
    budget = Budget(seconds)
    running = _running(this_try)
    hooks: dict[str, Any] = {}
    for position, entry in enumerate(running):
        # A share each, so that one that hangs does not cost the others their cancel.
        share = max(budget.remaining, 0.1) / (len(running) - position)
        try:
            hook = hooks.setdefault(entry.record.freddy_conn_id, entry.hook.sibling(may_ask_airflow=False))
            with metrics.held_back():
                outcome = hook.cancel_response(
                    entry.record.response_id,
                    organization_id=entry.record.organization_id,
                    budget=share,
                    tell_status=False,
                )
            _report(outcome)
        except Exception as error:
            _report(error)


def _running(this_try: TaskTry) -> list[StartedResponse]:
    return [entry for entry in record.started_by(this_try) if entry.ending is None and entry.record.cancel_on_failure]


def _report(outcome: CancelResult | Exception) -> None:
    if isinstance(outcome, Exception):
        log.error("The task ends before its Freddy response: %s", outcome)
    else:
        log.info("The task ends before its Freddy response: %s", outcome)
