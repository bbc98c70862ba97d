"""A DAG as a user writes it, for a type checker: every public class and most of their arguments."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, RetryAction, RetryRule, task
from airflow.sdk.definitions.callback import AsyncCallback  # The type stub of airflow.sdk 3.3.2 leaves it out.

from airflow_provider_freddy.callbacks import CancelResponseCallback, cancel_response_on_failure
from airflow_provider_freddy.core.cancel import CancelResult
from airflow_provider_freddy.core.reply import ModelResponse
from airflow_provider_freddy.deadlines import cancel_responses_of_run
from airflow_provider_freddy.exceptions import FreddyRateLimitedError
from airflow_provider_freddy.guard import guard
from airflow_provider_freddy.hooks.freddy import FreddyHook
from airflow_provider_freddy.notifications.freddy import CancelResponseNotifier
from airflow_provider_freddy.operators.freddy import CancelResponseOperator, CreateResponseOperator
from airflow_provider_freddy.retry_policy import FREDDY_RETRY_POLICY, FreddyRetryPolicy
from airflow_provider_freddy.sensors.freddy import ResponseCancelledSensor, ResponseStatusSensor
from airflow_provider_freddy.testing import FakeFreddy
from airflow_provider_freddy.triggers.freddy import ResponseTrigger

DEFAULTS: dict[str, Any] = {
    "on_failure_callback": [cancel_response_on_failure, CancelResponseNotifier()],
    "retry_policy": FREDDY_RETRY_POLICY,
}

with DAG("typed", schedule=None, default_args=DEFAULTS) as dag:
    start = CreateResponseOperator(
        task_id="start",
        inputs=[{"role": "user", "content": "hello"}],
        parameters={"temperature": 0.5},
        wait_for_completion=False,
        execution_timeout=timedelta(minutes=5),
    )
    wait = ResponseStatusSensor(
        task_id="wait",
        response_id="{{ ti.xcom_pull('start', key='response_id') }}",
        status=["completed", "failed"],
        on_other_end="skip",
        on_failure_callback=CancelResponseCallback(task_ids="start"),
    )
    check = ResponseCancelledSensor(task_id="check", response_id="resp_1", deferrable=True)
    sweep = CancelResponseOperator(task_id="sweep", ignore_missing=True, budget=30)

    @task
    def by_hand() -> str | None:
        """Use the hook."""
        hook = FreddyHook("freddy_default")
        try:
            response = hook.create_response("hello", model="m")
        except FreddyRateLimitedError as error:
            wait_seconds: float | None = error.retry_after
            print(wait_seconds)
            return None
        hook.track_response(response.id, cancel_on_failure=False)
        seen: ModelResponse = hook.get_response(response.id)
        for response_id, result in hook.cancel_responses([seen.id]):
            print(response_id, result)
        outcome: CancelResult = hook.cancel_response(response.id)
        return outcome.status

    start >> wait >> check >> sweep >> by_hand()

guarded: DAG = guard(dag, sweep=True)
late = AsyncCallback(cancel_responses_of_run, {"task_ids": ["start"]})
policy = FreddyRetryPolicy([RetryRule(OSError, RetryAction.FAIL)])
trigger = ResponseTrigger("resp_1", "org_1", deadline=0.0)


def test_with_the_fake() -> None:
    """Use the fake."""
    with FakeFreddy(duration=1.5) as freddy:
        left: list[str] = freddy.left_running
        assert left == []
