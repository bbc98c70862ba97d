"""Tasks hand running responses on and one fails; a teardown cancels whatever the run has left behind."""

from __future__ import annotations

from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_freddy.operators.freddy import CancelResponseOperator, CreateResponseOperator

with DAG("freddy_teardown_sweep", schedule=None, catchup=False, tags=["freddy"]):
    draft = CreateResponseOperator(task_id="draft", inputs="Draft a letter.", wait_for_completion=False)
    translate = CreateResponseOperator(task_id="translate", inputs="Translate it.", wait_for_completion=False)

    @task
    def publish() -> None:
        """Fail while both responses are running."""
        raise RuntimeError("The printer is on fire.")

    # Without a response_id it cancels every response that tasks of this run have recorded.
    sweep = CancelResponseOperator(task_id="sweep").as_teardown(setups=[draft])

    draft >> translate >> publish() >> sweep
