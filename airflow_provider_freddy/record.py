"""
The record of what every task instance has started.

It is kept three times, because every way to die leaves another one readable:

* in the process that started the response, with the open hook: cancelling from here asks Airflow nothing;
* in an XCom of the task instance, for callbacks in other processes and for other tasks of the run;
* in the task state store of Airflow 3.3+, which outlives the try.

An entry says by itself whose it is: an XCom has no try number, and a late callback of one try must never touch the
response of the next (a mapped task's XCom holds those of its siblings too).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple

from airflow_provider_freddy.version_compat import begun_in_another_process, task_state_store

_TYPES = {"str": str, "int": int, "bool": bool}

#: Key of the XCom and of the task state store.
RECORD_KEY = "freddy_responses"

log = logging.getLogger(__name__)


class TaskTry(NamedTuple):
    """One try of one task instance."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int

    @classmethod
    def of(cls, context: Mapping[str, Any]) -> TaskTry:
        """
        Return the try that a context belongs to.

        :param context: the context of a task or of a task's callback.
        """
        ti = context["ti"]
        return cls(ti.dag_id, ti.run_id, ti.task_id, ti.map_index, ti.try_number)

    def as_metadata(self) -> dict[str, str]:
        """Return what tells somebody who finds a stray response in Freddy where it came from."""
        return {f"airflow_{name}": str(value) for name, value in self._asdict().items()}

    def __str__(self) -> str:
        index = f"[{self.map_index}]" if self.map_index >= 0 else ""
        return f"{self.dag_id}.{self.task_id}{index}, run {self.run_id}, try {self.try_number}"


@dataclass(frozen=True)
class RecordedResponse:
    """
    One response, and the task instance that started it. Holds no secret.

    :param response_id: the response.
    :param organization_id: the organization that owns it.
    :param freddy_conn_id: the Airflow connection that it was started with.
    :param cancel_on_failure: whether the end of its task is its end too.
    """

    response_id: str
    organization_id: str
    freddy_conn_id: str
    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int
    cancel_on_failure: bool = True

    @property
    def started_in(self) -> TaskTry:
        """The try that started it."""
        return TaskTry(self.dag_id, self.run_id, self.task_id, self.map_index, self.try_number)

    @classmethod
    def read(cls, entry: Any) -> RecordedResponse | None:
        """
        Read an entry of an XCom or of the store; ``None`` if it is none.

        Answers of Airflow are not taken on trust: after an interrupted question the next answer can be that of
        another question (seen after an ``execution_timeout``).

        :param entry: what was stored.
        """
        if not isinstance(entry, dict):
            return None
        names = {field.name: _TYPES[str(field.type)] for field in fields(cls)}
        if not all(isinstance(entry.get(name), kind) for name, kind in names.items()):
            return None
        return cls(**{name: entry[name] for name in names})


@dataclass
class StartedResponse:
    """
    A response that this process has started.

    :param record: what is recorded of it.
    :param hook: the hook that started it, its connection resolved and open.
    :param ending: what became of it, in words; ``None`` while it may run.
    """

    record: RecordedResponse
    hook: Any
    ending: str | None = None


# By response id, in the order in which they were started. Written under the lock, which no signal handler takes.
_started: dict[str, StartedResponse] = {}
_tries_merged: set[TaskTry] = set()
_tries_inherited: set[TaskTry] = set()
_tries_closed: set[TaskTry] = set()
_lost: dict[TaskTry, list[str]] = {}
_lock = threading.RLock()


def running_task_context() -> Mapping[str, Any] | None:
    """Return the context of the task that runs in this process, ``None`` outside of a task."""
    from airflow.providers.common.compat.sdk import AirflowException, get_current_context

    try:
        return get_current_context()
    except (RuntimeError, AirflowException):
        return None


def register(
    context: Mapping[str, Any], response_id: str, organization_id: str, hook: Any, *, cancel_on_failure: bool
) -> None:
    """
    Record a response in this process, which asks Airflow nothing: from here on it can be cancelled.

    :param context: the context of the running task.
    :param response_id: the response.
    :param organization_id: the organization that owns it.
    :param hook: the hook that started it.
    :param cancel_on_failure: whether the end of its task is its end too.
    """
    record = RecordedResponse(
        response_id, organization_id, hook.freddy_conn_id, *TaskTry.of(context), cancel_on_failure
    )
    _started[response_id] = StartedResponse(record, hook)


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
                sibling = hook.sibling(earlier.freddy_conn_id)
                # Looked up now: a kill hook must not ask Airflow.
                sibling.resolve()
                _started.setdefault(earlier.response_id, StartedResponse(earlier, sibling))
        _tries_merged.add(this_try)
        _write(context, [entry.record for entry in started_by(this_try)])


def close(this_try: TaskTry) -> None:
    """
    Note that a try is at its end, so that nothing more is started for it.

    :param this_try: the try.
    """
    _tries_closed.add(this_try)


def is_closed(this_try: TaskTry) -> bool:
    """
    Tell whether a try is at its end: failed, or told to stop.

    :param this_try: the try.
    """
    return this_try in _tries_closed


def note_lost(this_try: TaskTry, words: str) -> None:
    """
    Note that the try may have started a response whose id nobody knows.

    :param this_try: the try.
    :param words: what happened.
    """
    _lost.setdefault(this_try, []).append(words)


def lost_by(this_try: TaskTry) -> list[str]:
    """
    Return what is noted of responses whose id nobody knows.

    :param this_try: the try.
    """
    return _lost.get(this_try, [])


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
    return [
        entry
        for entry in _read_all(store.get(RECORD_KEY))
        if entry.started_in[:-1] == this_try[:-1] and entry.try_number < this_try.try_number and entry.cancel_on_failure
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
        own = [entry.record for entry in started_by(TaskTry.of(context))]
        _write_store(task_state_store(context), [*kept, *own])


def all_started() -> list[StartedResponse]:
    """Return all that this process has started, in order."""
    return list(_started.values())


def started_by(this_try: TaskTry) -> list[StartedResponse]:
    """
    Return what this process knows that a try has started, in order.

    :param this_try: the try.
    """
    return [entry for entry in all_started() if entry.record.started_in == this_try]


def note_ending(response_id: str, ending: str) -> None:
    """
    Note that a response no longer runs, so that nobody in this process cancels it again.

    :param response_id: the response.
    :param ending: what became of it, in words.
    """
    if (entry := _started.get(response_id)) is not None:
        entry.ending = ending


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
    found = {entry.response_id: entry for entries in lists for entry in _read_all(entries)}
    return [entry for entry in found.values() if entry.started_in == this_try]


def recorded_by_run(context: Mapping[str, Any], task_ids: Iterable[str]) -> list[RecordedResponse]:
    """
    Read from the XComs what tasks of this run have started, all map indexes.

    :param context: the context of a task or of a callback of the run.
    :param task_ids: the tasks.
    """
    ti = context["ti"]
    lists = list(ti.xcom_pull(task_ids=list(task_ids), key=RECORD_KEY) or [])
    found = {entry.response_id: entry for entries in lists for entry in _read_all(entries)}
    return [entry for entry in found.values() if (entry.dag_id, entry.run_id) == (ti.dag_id, ti.run_id)]


def _read_all(entries: Any) -> list[RecordedResponse]:
    if not isinstance(entries, list | tuple):
        return []
    return [entry for entry in map(RecordedResponse.read, entries) if entry is not None]
