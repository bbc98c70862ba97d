"""
Whether the task behind a trigger is really gone.

Airflow 3.3 calls a trigger's ``on_kill`` when the user has marked or cleared the task, and also when another
triggerer has taken the trigger over, although the task lives on. Before 3.3 there is only a cancellation, and a
shutdown looks the same. So the trigger asks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from airflow_provider_freddy import stored_record
from airflow_provider_freddy.version_compat import read_xcom_of, run_in_thread, states_of_run


class RunStates:
    """
    The states of a run's task instances, read once for all triggers that ask at the same time.

    A whole run that is marked kills a thousand triggers in one moment, and each question costs the triggerer's
    supervisor a turn with several database queries.
    """

    _batches: dict[tuple[int, str, str], RunStates] = {}  # ruff: ignore[mutable-class-default]

    def __init__(self, key: tuple[int, str, str], after: RunStates | None) -> None:
        self._key = key
        self._begun = False
        self._read = asyncio.ensure_future(self._read_all(after))

    async def _read_all(self, after: RunStates | None) -> Mapping[str, Any]:
        if after is not None:
            await asyncio.wait([after._read])
        # Nobody may join from here on: what is read now may be older than his question.
        self._begun = True
        _, dag_id, run_id = self._key
        try:
            return await run_in_thread(lambda: states_of_run(dag_id, run_id))
        finally:
            if self._batches.get(self._key) is self:
                del self._batches[self._key]

    @classmethod
    async def read(cls, dag_id: str, run_id: str) -> Mapping[str, Any]:
        """
        Read the states, in a reading that begins after this call.

        :param dag_id: the DAG.
        :param run_id: the run.
        :return: state by task id, and by ``<task id>_<map index>`` for mapped ones.
        :raises Exception: whatever Airflow raises.
        """
        key = (id(asyncio.get_running_loop()), dag_id, run_id)
        batch = cls._batches.get(key)
        if batch is None or batch._begun:
            batch = cls._batches[key] = cls(key, batch)
        return await asyncio.shield(batch._read)


async def still_wanted(task_instance: Any, response_id: str) -> bool:
    """
    Ask Airflow whether the task still waits for this response.

    The state alone does not tell: after a clear the next try may be deferred already, for a response of its own.

    :param task_instance: the task instance of the trigger.
    :param response_id: the response that the trigger waits for.
    :raises Exception: whatever Airflow raises.
    """
    ti = task_instance
    states = (await RunStates.read(ti.dag_id, ti.run_id)).get(ti.run_id, {})
    name = ti.task_id if ti.map_index < 0 else f"{ti.task_id}_{ti.map_index}"
    if states.get(name) != "deferred":
        return False
    entries = await run_in_thread(
        lambda: read_xcom_of(ti.dag_id, ti.run_id, ti.task_id, ti.map_index, stored_record.RECORD_KEY)
    )
    recorded = stored_record.read_entries(entries)
    # Without any record it could not be written: then there is one try, and it is deferred.
    return not recorded or response_id in {entry.response_id for entry in recorded}
