"""The record of what tasks have started, read straight from the database: only the API server may do that."""

from __future__ import annotations

from airflow_provider_freddy import stored_record
from airflow_provider_freddy.record import RecordedResponse
from airflow_provider_freddy.version_compat import xcoms_in_database


def recorded_in_database(
    dag_id: str, run_id: str, task_id: str | None = None, map_index: int = -1, try_number: int | None = None
) -> list[RecordedResponse]:
    """
    Read what a run, or one try of one of its task instances, has started and does not want to outlive it.

    :param dag_id: the DAG.
    :param run_id: the run.
    :param task_id: the task; all of the run by default.
    :param map_index: its map index, -1 if it is not mapped.
    :param try_number: the try.
    """
    values = xcoms_in_database(dag_id, run_id, stored_record.RECORD_KEY, task_id, map_index)
    entries = [entry for value in values for entry in stored_record.read_entries(value)]
    return [
        entry
        for entry in entries
        if (entry.dag_id, entry.run_id) == (dag_id, run_id)
        and entry.cancel_on_failure
        and try_number in {None, entry.try_number}
    ]
