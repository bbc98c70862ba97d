"""
The same without operators: a plain function starts two responses and waits for them itself.

``default_args`` gives every task of the DAG both callbacks: a try that is followed by another one only calls
``on_retry_callback``.
"""

from __future__ import annotations

import time
from datetime import timedelta

from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_freddy.callbacks import cancel_response_on_failure
from airflow_provider_freddy.hooks.freddy import FreddyHook

GIVE_UP_AFTER = 3  # seconds

with DAG(
    "freddy_plain_task",
    schedule=None,
    catchup=False,
    tags=["freddy"],
    default_args={
        "on_failure_callback": cancel_response_on_failure,
        "on_retry_callback": cancel_response_on_failure,
        "retries": 1,
        "retry_delay": timedelta(seconds=1),
    },
):

    @task
    def compare() -> dict[str, str]:
        """Ask twice and wait for both answers, but not for ever."""
        hook = FreddyHook()
        questions = ("Is it raining?", "Will it rain?")
        responses = [hook.create_response(question) for question in questions]
        give_up_at = time.monotonic() + GIVE_UP_AFTER
        while not all(response.is_final for response in responses):
            if time.monotonic() > give_up_at:
                raise TimeoutError("Freddy takes too long.")
            time.sleep(1)
            responses = [hook.get_response(response.id) for response in responses]
        return {response.id: response.status for response in responses}

    compare()
