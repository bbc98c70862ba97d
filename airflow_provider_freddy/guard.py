"""One line for a whole DAG: every callback that reaches further than what a running task arms by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from airflow_provider_freddy.callbacks import with_ours

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import DAG

D = TypeVar("D", bound="DAG")


def guard(dag: D, *, sweep: bool = False) -> D:
    """
    Wire a DAG so that Airflow calls us wherever it calls anybody, beside what the author has set.

    A running task arms itself; that reaches neither the DAG processor, where Airflow runs the callbacks of a task
    whose worker was lost, nor the end of a run. Call it when the tasks are in the DAG.

    :param dag: the DAG.
    :param sweep: whether to add a teardown task, ``freddy_sweep``, that cancels whatever the run has left behind, also
        what tasks that ended well have handed on. It runs too when the run is marked failed, where no callback does.
    :return: the same DAG.
    """
    for task in dag.tasks:
        for name in ("on_failure_callback", "on_retry_callback"):
            setattr(task, name, with_ours(getattr(task, name, None)))
    dag.on_failure_callback = with_ours(dag.on_failure_callback)
    # Worked out by Airflow when the DAG was made.
    dag.has_on_failure_callback = True
    if sweep and "freddy_sweep" not in dag.task_ids:
        _add_sweep(dag)
    return dag


def _add_sweep(dag: DAG) -> None:
    from airflow_provider_freddy.operators.freddy import CancelResponseOperator

    leaves = list(dag.leaves)
    sweep = CancelResponseOperator(task_id="freddy_sweep", dag=dag).as_teardown()
    for leaf in leaves:
        leaf >> sweep
