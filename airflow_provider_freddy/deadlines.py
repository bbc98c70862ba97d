"""
The callback for deadline alerts (Airflow 3.1+): what a run has started is cancelled when its deadline is missed.

Only ``AsyncCallback`` can do it: it runs in the triggerer, where XComs and connections can be read. A
``SyncCallback`` is refused both (3.3.2), and a question for an XCom is never answered there.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any

from airflow_provider_freddy import metrics, stored_record
from airflow_provider_freddy.core.cancel import CancelResult
from airflow_provider_freddy.core.seconds import check_seconds
from airflow_provider_freddy.hooks.costs import say_what_it_costs
from airflow_provider_freddy.hooks.shared_client import SharedClient, shared_client
from airflow_provider_freddy.record import RecordedResponse
from airflow_provider_freddy.version_compat import read_xcom_of, run_in_thread, states_of_run

#: Seconds for everything together. Nobody waits for this callback, and Airflow sets it no limit.
DEFAULT_BUDGET = 60.0

# In these a task has not begun, or never will. One that is queued may have been deferred before.
_NOTHING_STARTED = {"None", "removed", "upstream_failed"}

# All callbacks and triggers of a process share one channel to Airflow.
_QUESTIONS_AT_ONCE = 8

log = logging.getLogger(__name__)


async def cancel_responses_of_run(
    *, task_ids: Iterable[str] | None = None, budget: float = DEFAULT_BUDGET, context: Mapping[str, Any]
) -> str:
    """
    Cancel all responses that a run has recorded, for ``AsyncCallback(cancel_responses_of_run)``.

    A deadline alert stops nothing by itself: a task that waits for a response sees that it was cancelled, and fails;
    with a retry left it then starts another one. What was started with ``cancel_on_failure=False`` is kept unless its
    task is named.

    :param task_ids: tasks whose responses to cancel, all their map indexes; all of the run by default.
    :param budget: seconds for everything together, 60 by default.
    :param context: what Airflow gives to the callback of a deadline alert.
    :return: what became of every response, in words. It has to be text: what else a callback returns, Airflow cannot
        store, and the whole triggerer ends with an error (3.3.2).
    :raises ValueError: if ``budget`` makes no sense.
    """
    end = time.monotonic() + check_seconds(budget, "budget")
    dag_id, run_id = context["dag_run"]["dag_id"], context["dag_run"]["dag_run_id"]
    wanted = None if task_ids is None else {task_ids} if isinstance(task_ids, str) else set(task_ids)
    whose = f"run {run_id} of DAG {dag_id}"
    try:
        entries = await asyncio.wait_for(_recorded(dag_id, run_id, wanted), budget)
    except Exception as error:
        metrics.count(metrics.CANCEL_FAILED)
        log.error("Deadline of %s: what it has started MAY STILL RUN AND COST MONEY. %r", whose, error)
        raise
    endings = {
        entry.response_id: f"{entry.response_id} is left running, as asked for (cancel_on_failure=False)"
        for entry in entries
        if not entry.cancel_on_failure and wanted is None
    }
    endings |= await _cancel([entry for entry in entries if entry.response_id not in endings], end)
    unsettled = any("MAY STILL RUN" in ending for ending in endings.values())
    words = f"Deadline of {whose}: {'; '.join(endings.values()) or 'it has recorded no response'}"
    log.log(logging.ERROR if unsettled else logging.INFO, "%s", words)
    return words


async def _recorded(dag_id: str, run_id: str, task_ids: set[str] | None) -> list[RecordedResponse]:
    states = (await run_in_thread(lambda: states_of_run(dag_id, run_id))).get(run_id, {})
    turns = asyncio.Semaphore(_QUESTIONS_AT_ONCE)

    async def read(task_id: str, map_index: int) -> list[RecordedResponse]:
        async with turns:
            entries = await run_in_thread(
                lambda: read_xcom_of(dag_id, run_id, task_id, map_index, stored_record.RECORD_KEY)
            )
        return stored_record.read_entries(entries)

    begun = {name for name, state in states.items() if str(getattr(state, "value", state)) not in _NOTHING_STARTED}
    instances = [one for one in _instances(begun) if task_ids is None or one[0] in task_ids]
    answers = await asyncio.gather(*(read(*one) for one in instances))
    found = {entry.response_id: entry for entries in answers for entry in entries}
    return [entry for entry in found.values() if (entry.dag_id, entry.run_id) == (dag_id, run_id)]


def _instances(names: Iterable[str]) -> Iterator[tuple[str, int]]:
    """
    Read the names that Airflow gives to task instances.

    ``ask_1`` is a task of that name or the second of the mapped task ``ask``: both are asked for.
    """
    for name in names:
        yield name, -1
        if mapped := re.fullmatch(r"(.+)_(\d+)", name):
            yield mapped[1], int(mapped[2])


async def _cancel(entries: list[RecordedResponse], end: float) -> dict[str, str]:
    with ExitStack() as stack:
        clients = {
            conn_id: stack.enter_context(shared_client(conn_id))
            for conn_id in {entry.freddy_conn_id for entry in entries}
        }
        outcomes = await asyncio.gather(*(_cancel_one(clients[entry.freddy_conn_id], entry, end) for entry in entries))
    return dict(zip([entry.response_id for entry in entries], outcomes, strict=True))


async def _cancel_one(client: SharedClient, entry: RecordedResponse, end: float) -> str:
    left = max(1.0, end - time.monotonic())
    try:
        outcome = await asyncio.wait_for(client.cancel(entry.response_id, entry.organization_id, left), left + 1)
    except Exception as error:
        return f"Response {entry.response_id} MAY STILL RUN AND COST MONEY. {error!r}"
    if isinstance(outcome, CancelResult):
        return str(outcome)
    return str(say_what_it_costs(outcome, entry.response_id))
