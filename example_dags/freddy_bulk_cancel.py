"""Many responses, one mapped task each, handed on while they run; then cancelled, one mapped task each."""

from __future__ import annotations

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_freddy.operators.freddy import CancelResponseOperator, CreateResponseOperator

with DAG("freddy_bulk_cancel", schedule=None, catchup=False, tags=["freddy"]):
    ask = CreateResponseOperator.partial(task_id="ask", wait_for_completion=False).expand(
        inputs=["Describe a cat.", "Describe a dog.", "Describe a cow."]
    )

    # The return value of `ask` is the response; the operator takes its id from it.
    CancelResponseOperator.partial(task_id="cancel").expand(response_id=ask.output)
