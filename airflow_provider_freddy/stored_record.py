"""
The record of what every task instance has started, where other processes find it.

It is kept twice, because every way to die leaves another one readable:

* in an XCom of the task instance, for callbacks in other processes and for other tasks of the run; an XCom has no try
  number, a mapped task is given those of its siblings too, and the next try deletes it;
* in the task state store of Airflow 3.3+, which outlives the try, but may only be asked in the task's own process.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from airflow_provider_freddy import record
from airflow_provider_freddy.record import RecordedResponse, StartedResponse, TaskTry
from airflow_provider_freddy.version_compat import begun_in_another_process, task_state_store
from airflow_provider_freddy.watchdog import client as watchdog

#: Key of the XCom and of the task state store.
RECORD_KEY = "freddy_responses"
#: Key of the task state store for the response that a failed try has left to its retry.
KEPT_KEY = "freddy_kept_for_retry"

log = logging.getLogger(__name__)

_tries_merged: set[TaskTry] = set()
_tries_inherited: set[TaskTry] = set()
# Keeps the writes of several threads of a task in order. No signal handler takes it.
_lock = threading.RLock()


def publish(context: Mapping[str, Any], hook: Any) -> None:
    """
    Write what the running try has started where other processes find it.

    :param context: the context of the running task.
    :param hook: the hook that started the last one.
    :raises Exception: whatever Airflow raises, if none of the places could be written.
    """
    this_try = TaskTry.of(context)
    with _lock:
        if this_try not in _tries_merged and begun_in_another_process(context):
            # The list that another process of the same try has written must not be overwritten.
            for earlier in recorded_by_try(context, ask_store=True):
                adopt(earlier, hook.sibling(earlier.freddy_conn_id))
        _tries_merged.add(this_try)
        _write(context, [entry.record for entry in record.started_by(this_try)])


def adopt(entry: RecordedResponse, hook: Any) -> None:
    """
    Take charge, in this process, of what another process of the same try has started.

    :param entry: what it has started.
    :param hook: a hook of the same connection.
    :raises Exception: whatever is wrong with the connection.
    """
    # Looked up now: a kill hook must not ask Airflow.
    hook.resolve()
    record.adopt(StartedResponse(entry, hook))
    if entry.cancel_on_failure:
        watchdog.start()
        watchdog.watch(entry.response_id, entry.organization_id, hook.session_description)


def _write(context: Mapping[str, Any], entries: list[RecordedResponse]) -> None:
    """Write the list to the XCom and, on 3.3+, to the store; one of them is enough."""
    failures: list[Exception] = []
    store = task_state_store(context)
    try:
        context["ti"].xcom_push(key=RECORD_KEY, value=[asdict(entry) for entry in entries])
    except Exception as error:
        failures.append(error)
    if store is not None:
        try:
            _write_store(store, [*_of_earlier_tries(context, store), *entries])
        except Exception as error:
            failures.append(error)
    if len(failures) == (1 if store is None else 2):
        raise failures[0]
    for failure in failures:
        log.warning("The record of started Freddy responses is kept in one place only: %s", failure)


def _write_store(store: Any, entries: list[RecordedResponse]) -> None:
    store.set(RECORD_KEY, [asdict(entry) for entry in entries])


def _of_earlier_tries(context: Mapping[str, Any], store: Any) -> list[RecordedResponse]:
    this_try = TaskTry.of(context)
    if this_try.try_number <= 1:
        return []
    # A try may go on with what an earlier one has started: it belongs to that one now.
    taken_over = {entry.record.response_id for entry in record.started_by(this_try)}
    return [
        entry
        for entry in read_entries(store.get(RECORD_KEY))
        if entry.started_in[:-1] == this_try[:-1]
        and entry.try_number < this_try.try_number
        and entry.cancel_on_failure
        and entry.response_id not in taken_over
    ]


def left_by_earlier_tries(context: Mapping[str, Any]) -> list[RecordedResponse]:
    """
    Read from the task state store (Airflow 3.3+) what earlier tries of this task instance have left.

    The XCom of an earlier try is gone when the next one starts, often before a callback in the DAG processor could
    read it; the store outlives the try.

    :param context: the context of a running task, or of a callback in its process.
    """
    store = task_state_store(context)
    return [] if store is None else _of_earlier_tries(context, store)


def inherit(context: Mapping[str, Any]) -> list[RecordedResponse]:
    """
    Return what earlier tries have left, the first time that a try asks.

    :param context: the context of the running task.
    """
    this_try = TaskTry.of(context)
    if this_try in _tries_inherited:
        return []
    _tries_inherited.add(this_try)
    return left_by_earlier_tries(context)


def forget_earlier_tries(context: Mapping[str, Any], settled: Iterable[str]) -> None:
    """
    Drop what is settled of earlier tries from the store.

    :param context: the context of the running task.
    :param settled: the ids of responses that no longer run.
    """
    gone = set(settled)
    with _lock:
        kept = [entry for entry in left_by_earlier_tries(context) if entry.response_id not in gone]
        own = [entry.record for entry in record.started_by(TaskTry.of(context))]
        _write_store(task_state_store(context), [*kept, *own])


def keep_for_retry(context: Mapping[str, Any], response_id: str) -> bool:
    """
    Write, while the failing try still can, that its retry may wait for its response.

    :param context: the context of the failing task.
    :param response_id: the response.
    :return: whether there is a place for it (Airflow 3.3+).
    """
    store = task_state_store(context)
    if store is None:
        return False
    ti = context["ti"]
    # A clear gives a task instance more tries, a retry does not: that tells the two apart.
    store.set(KEPT_KEY, {"response_id": response_id, "try_number": ti.try_number, "max_tries": ti.max_tries})
    return True


def kept_for_retry(context: Mapping[str, Any]) -> RecordedResponse | None:
    """
    Return what the last try has left to this one; ``None`` if this one comes of a clear or a kill.

    :param context: the context of the running task.
    """
    store = task_state_store(context)
    kept = store.get(KEPT_KEY) if store is not None and context["ti"].try_number > 1 else None
    ti = context["ti"]
    if not isinstance(kept, Mapping) or (kept.get("try_number"), kept.get("max_tries")) != (
        ti.try_number - 1,
        ti.max_tries,
    ):
        return None
    entries = {entry.response_id: entry for entry in left_by_earlier_tries(context)}
    return entries.get(str(kept.get("response_id")))


def recorded_by_try(context: Mapping[str, Any], *, ask_store: bool) -> list[RecordedResponse]:
    """
    Read what the try of this context has started: never another try's, never a sibling's.

    :param context: the context of a task or of a task's callback.
    :param ask_store: whether to ask the task state store too; must be false outside of the task's process.
    """
    ti = context["ti"]
    this_try = TaskTry.of(context)
    # Asked for by map index, an XCom that is not there is logged as an error; asked for without, a mapped task
    # is given those of all its siblings.
    which = {"map_indexes": [ti.map_index]} if ti.map_index >= 0 else {}
    lists = list(ti.xcom_pull(task_ids=[ti.task_id], key=RECORD_KEY, **which) or [])
    if ask_store:
        # A rescheduled task has lost its XComs, but not what is in the store.
        store = task_state_store(context)
        lists.append(store.get(RECORD_KEY) if store is not None else None)
    found = {entry.response_id: entry for entries in lists for entry in read_entries(entries)}
    return [entry for entry in found.values() if entry.started_in == this_try]


def recorded_by_run(context: Mapping[str, Any], task_ids: Iterable[str]) -> list[RecordedResponse]:
    """
    Read from the XComs what tasks of this run have started, all map indexes.

    :param context: the context of a task or of a callback of the run.
    :param task_ids: the tasks.
    """
    ti = context["ti"]
    lists = list(ti.xcom_pull(task_ids=list(task_ids), key=RECORD_KEY) or [])
    found = {entry.response_id: entry for entries in lists for entry in read_entries(entries)}
    return [entry for entry in found.values() if (entry.dag_id, entry.run_id) == (ti.dag_id, ti.run_id)]


def read_entries(entries: Any) -> list[RecordedResponse]:
    """
    Read what :func:`publish` has written, leaving out what is none of it.

    :param entries: the value of an XCom or of the store.
    """
    if not isinstance(entries, list | tuple):
        return []
    return [entry for entry in map(RecordedResponse.read, entries) if entry is not None]
