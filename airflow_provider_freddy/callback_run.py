"""What the callbacks do when Airflow calls them."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_freddy import metrics, record, stored_record
from airflow_provider_freddy.bulk import CancelTarget, Job, cancel_all, run_bounded
from airflow_provider_freddy.core.identifier import check_identifier
from airflow_provider_freddy.core.retry import Budget
from airflow_provider_freddy.exceptions import FreddyError, FreddyNotFoundError
from airflow_provider_freddy.hooks.freddy import FreddyHook
from airflow_provider_freddy.record import RecordedResponse, TaskTry
from airflow_provider_freddy.version_compat import (
    begun_in_another_process,
    can_read_states_in_callback,
    can_read_xcom,
    in_own_task_process,
    in_task_process,
    states_of_run,
)

if TYPE_CHECKING:
    from airflow_provider_freddy.callbacks import CancelResponseCallback

#: Seconds for a question to Airflow that the cancel of the try's own responses must not depend on.
STORE_SECONDS = 2.0

#: Seconds for all callbacks that follow each other in one process: a DAG processor runs those of a file one after the
#: other, and is killed with the rest of them after 50 (``dag_file_processor_timeout``).
BATCH_SECONDS = 40.0
_SECONDS_BETWEEN_BATCHES = 5.0
_batch_began = _batch_ended = float("-inf")

# Of a task whose run has ended, unless it has been cleared since.
_RUNNING_AGAIN = {"scheduled", "queued", "running", "deferred", "restarting", "up_for_retry", "up_for_reschedule"}

# People look for the last line of a callback under this name.
log = logging.getLogger("airflow_provider_freddy.callbacks")


def run(callback: CancelResponseCallback, context: Mapping[str, Any]) -> None:
    """
    Cancel, and write one line that says what became of every response. Never raises.

    :param callback: the callback with its options.
    :param context: the context that Airflow gives to it.
    """
    global _batch_ended
    try:
        _cancel(callback, context)
    except Exception as error:
        # The task's own error is what matters to Airflow; ours goes into the log.
        metrics.count(metrics.CANCEL_FAILED)
        log.error(
            "Freddy callback for %s: what it has started MAY STILL RUN AND COST MONEY. %s: %s",
            _whose(context),
            type(error).__name__,
            error,
        )
    finally:
        _batch_ended = time.monotonic()


def _share_of_batch(seconds: float) -> float:
    """Return the time for one callback, which leaves some to those that follow it."""
    global _batch_began
    now = time.monotonic()
    if now - _batch_ended > _SECONDS_BETWEEN_BATCHES:
        _batch_began = now
    return min(seconds, max(0.3, (_batch_began + BATCH_SECONDS - now) / 3))


def _cancel(callback: CancelResponseCallback, context: Mapping[str, Any]) -> None:
    in_dag_processor = not in_task_process(context)
    budget = Budget(callback.budget)
    endings: list[str] = []
    if _known_here(callback, context):
        found: Any = _targets(callback, context, endings)
    else:
        # Airflow's answers can take long too: the API server may be what is down. A DAG processor that answers for the
        # first time takes seconds on a busy machine, which are not to be missing for the cancel.
        patience = _share_of_batch(math.inf) if in_dag_processor else budget.seconds
        job = Job("targets", lambda: _targets(callback, context, endings))
        found = run_bounded([job], patience).get("targets")
        if not isinstance(found, list):
            raise found or FreddyError(f"Airflow did not say within {patience:.3g} s what was started.")
        if in_dag_processor:
            budget = Budget(_share_of_batch(callback.budget))
    outcomes = cancel_all(found, max(budget.remaining, 0.1)) if found else {}
    unsettled = sum("MAY RUN AND COST MONEY" in ending for ending in endings)
    for outcome in outcomes.values():
        if isinstance(outcome, Exception):
            unsettled += not isinstance(outcome, FreddyNotFoundError)
            endings.append(str(outcome))
        else:
            endings.append(str(outcome))
    log.log(
        logging.ERROR if unsettled else logging.INFO,
        "Freddy callback for %s: %s",
        _whose(context),
        "; ".join(endings) or _nothing_found(context),
    )


def _targets(callback: CancelResponseCallback, context: Mapping[str, Any], endings: list[str]) -> list[CancelTarget]:
    """Find what to cancel; what is known to have ended goes into ``endings`` instead."""
    if callback.response_id is not None:
        return _given_targets(callback, context)
    if callback.task_ids is not None or "reason" in context:
        # Only a DAG's callback is told a reason.
        task_ids = callback.task_ids if callback.task_ids is not None else list(context["dag"].task_ids)
        entries = _read_run(context, task_ids)
        if callback.task_ids is None:
            entries = _not_begun_anew(_not_kept(entries, endings), context)
        return _recorded_targets(entries)
    return _own_targets(context, endings)


def _given_targets(callback: CancelResponseCallback, context: Mapping[str, Any]) -> list[CancelTarget]:
    response_ids = callback.render(callback.response_id, context)
    response_ids = [response_ids] if isinstance(response_ids, str) else list(response_ids or [])
    hook = callback.make_hook(callback.render(callback.freddy_conn_id, context))
    organization_id = callback.render(callback.organization_id, context)
    return [CancelTarget(check_identifier(one, "response id"), hook, organization_id) for one in response_ids]


def _known_here(callback: CancelResponseCallback, context: Mapping[str, Any]) -> bool:
    """Tell whether Airflow need not be asked: a first try that has started its responses in this process."""
    if callback.response_id is not None or callback.task_ids is not None or "reason" in context:
        return False
    this_try = TaskTry.of(context)
    return this_try.try_number <= 1 and bool(record.started_by(this_try))


def _own_targets(context: Mapping[str, Any], endings: list[str]) -> list[CancelTarget]:
    """
    Find what the try of this context has started.

    What this process has started itself comes first: it brings an open connection, and asks Airflow nothing, which
    after an interrupted question may answer wrongly. Only a try that was begun by another process needs the XCom.
    """
    this_try = TaskTry.of(context)
    started = record.started_by(this_try)
    endings.extend(entry.ending for entry in started if entry.ending)
    endings.extend(record.lost_by(this_try))
    own = [
        CancelTarget(entry.record.response_id, entry.hook, entry.record.organization_id)
        for entry in started
        if not entry.ending and _not_kept([entry.record], endings)
    ]
    if not started and not _ran_here_only(context):
        own = _recorded_targets(_not_kept(_read_try(context), endings))
    return own + _recorded_targets(_left_by_earlier_tries(context, endings))


def _ran_here_only(context: Mapping[str, Any]) -> bool:
    return in_own_task_process(context) and not begun_in_another_process(context)


def _left_by_earlier_tries(context: Mapping[str, Any], endings: list[str]) -> list[RecordedResponse]:
    """Ask the store, in the task's process only: elsewhere the question would never be answered."""
    if not in_task_process(context) or TaskTry.of(context).try_number <= 1:
        return []
    question = Job("earlier tries", lambda: stored_record.left_by_earlier_tries(context))
    answer = run_bounded([question], STORE_SECONDS).get(question.name)
    if isinstance(answer, list):
        return answer
    endings.append(f"what earlier tries have left is not known ({answer or 'Airflow does not answer'})")
    return []


def _not_kept(entries: Sequence[RecordedResponse], endings: list[str]) -> list[RecordedResponse]:
    """Leave out what its author wants to outlive a failure; the last line of the log says so."""
    kept = [entry for entry in entries if not entry.cancel_on_failure]
    endings.extend(f"{entry.response_id} is left running, as asked for (cancel_on_failure=False)" for entry in kept)
    return [entry for entry in entries if entry.cancel_on_failure]


def _not_begun_anew(entries: list[RecordedResponse], context: Mapping[str, Any]) -> list[RecordedResponse]:
    """Leave out the tasks of an ended run that run again: cleared while its callback was waiting for its turn."""
    if not entries or not can_read_states_in_callback():
        return entries
    run_id = context["ti"].run_id
    try:
        states = states_of_run(context["ti"].dag_id, run_id).get(run_id, {})
    except Exception as error:
        log.info("Airflow does not say which tasks run again: %r", error)
        return entries
    again = {name for name, state in states.items() if str(getattr(state, "value", state)) in _RUNNING_AGAIN}
    return [entry for entry in entries if _name_in_states(entry) not in again]


def _name_in_states(entry: RecordedResponse) -> str:
    return entry.task_id if entry.map_index < 0 else f"{entry.task_id}_{entry.map_index}"


def _recorded_targets(entries: Iterable[RecordedResponse]) -> list[CancelTarget]:
    hooks: dict[str, FreddyHook] = {}
    return [
        CancelTarget(
            entry.response_id,
            hooks.setdefault(entry.freddy_conn_id, FreddyHook(entry.freddy_conn_id)),
            entry.organization_id,
        )
        for entry in entries
    ]


def _read_try(context: Mapping[str, Any]) -> list[RecordedResponse]:
    _check_xcom_readable(context)
    return stored_record.recorded_by_try(context, ask_store=in_task_process(context))


def _read_run(context: Mapping[str, Any], task_ids: Iterable[str]) -> list[RecordedResponse]:
    _check_xcom_readable(context)
    return stored_record.recorded_by_run(context, task_ids)


def _check_xcom_readable(context: Mapping[str, Any]) -> None:
    if not can_read_xcom(context):
        raise FreddyError("Airflow 3.0 does not let a callback in the DAG processor read XComs; 3.1 does.")
    if "ti" not in context:
        raise FreddyError("Airflow gave this callback no task instance to read the record with.")


def _nothing_found(context: Mapping[str, Any]) -> str:
    if in_task_process(context):
        return "it had started no response"
    return "no record of a response found (that of a killed try is gone once the next try has started)"


def _whose(context: Mapping[str, Any]) -> str:
    """Name the task or the run that the callback is for; never fails, the last line of the log needs it."""
    try:
        this_try = TaskTry.of(context)
        whose = f"{this_try}{'' if in_task_process(context) else ' (in the DAG processor)'}"
        if in_own_task_process(context):
            # The log is this try's own, and what became of the response should be seen there without scrolling.
            whose = f"{this_try.task}, try {this_try.try_number}"
    except (KeyError, AttributeError):
        whose = ""
    if whose and "reason" not in context:
        return whose
    return f"run {context.get('run_id')} of DAG {getattr(context.get('dag'), 'dag_id', None)}"
