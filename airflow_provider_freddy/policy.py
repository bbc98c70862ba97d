"""
One setting for a whole Airflow: ``[freddy] guard_all_dags``, as a cluster policy (entry point ``airflow.policy``).

Airflow imports it in every process, so it imports nothing of the provider before a DAG is to be guarded.
"""

from __future__ import annotations

from typing import Any

from airflow.policies import hookimpl


@hookimpl
def dag_policy(dag: Any) -> None:
    """
    Guard every DAG if the setting says so.

    :param dag: the DAG that Airflow has just parsed.
    """
    from airflow.providers.common.compat.sdk import conf

    if conf.getboolean("freddy", "guard_all_dags", fallback=False):
        from airflow_provider_freddy.guard import guard

        guard(dag)
