"""
The record of what every task instance has started, as this process keeps it: with the open hook of each response.

Cancelling from here asks Airflow nothing. What other processes can read of it is in ``stored_record``. An entry says
by itself whose it is, so that a late callback of one try never touches the response of the next.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

_TYPES = {"str": str, "int": int, "bool": bool}


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

    def add_to_metadata(self, metadata: Any) -> Any:
        """
        Add what tells somebody who finds a stray response in Freddy where it came from.

        :param metadata: the caller's; what is no mapping is his business and the API's.
        """
        if metadata is not None and not isinstance(metadata, Mapping):
            return metadata
        return {**{f"airflow_{name}": str(value) for name, value in self._asdict().items()}, **(metadata or {})}

    @property
    def task(self) -> str:
        """The task as people write it: with the index that it may have."""
        return f"{self.task_id}[{self.map_index}]" if self.map_index >= 0 else self.task_id

    def __str__(self) -> str:
        return f"{self.dag_id}.{self.task}, run {self.run_id}, try {self.try_number}"


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


# By response id, in the order in which they were started. No lock: a signal handler reads and writes it too.
_started: dict[str, StartedResponse] = {}
_tries_closed: set[TaskTry] = set()
_lost: dict[TaskTry, list[str]] = {}
_kept: dict[TaskTry, str] = {}


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


def adopt(entry: StartedResponse) -> None:
    """
    Take on what another process of the same try has started.

    :param entry: the response, with a hook to cancel it with.
    """
    _started.setdefault(entry.record.response_id, entry)


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


def keep(this_try: TaskTry, response_id: str) -> None:
    """
    Note that a failing try leaves a response to its retry, if there is one.

    :param this_try: the try.
    :param response_id: the response.
    """
    _kept[this_try] = response_id


def kept_by(this_try: TaskTry) -> str | None:
    """
    Return what a try leaves to its retry.

    :param this_try: the try.
    """
    return _kept.get(this_try)


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


def all_started() -> list[StartedResponse]:
    """Return all that this process has started, in order."""
    return list(_started.values())


def started(response_id: str) -> StartedResponse | None:
    """
    Return what this process knows of a response.

    :param response_id: the response.
    """
    return _started.get(response_id)


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
