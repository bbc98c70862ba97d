"""Tasks that leave it to the policy whether they are tried again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_freddy.hooks.freddy import FreddyHook
from airflow_provider_freddy.operators.freddy import CreateResponseOperator
from airflow_provider_freddy.retry_policy import FREDDY_RETRY_POLICY

RETRIES: dict[str, Any] = {
    "retries": 1,
    "retry_delay": timedelta(0),
    "retry_policy": FREDDY_RETRY_POLICY,
}

with DAG("operator_with_policy", schedule=None, default_args=RETRIES):
    CreateResponseOperator(task_id="ask", inputs="hello", wait_for_completion=False)

with DAG("function_with_policy", schedule=None, default_args=RETRIES):

    @task
    def ask(dag_run: Any = None) -> None:
        FreddyHook().create_response("hello")
        FreddyHook().get_response(dag_run.conf.get("response_id", "resp_1"), budget=0.5)

    ask()
