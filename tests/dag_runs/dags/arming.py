"""DAGs whose authors have thought of no callback."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.common.compat.sdk import DAG, AirflowSkipException, task

from airflow_provider_freddy.callbacks import cancel_response_on_failure
from airflow_provider_freddy.hooks.freddy import FreddyHook

with DAG("end_without_callbacks", schedule=None):

    @task(retries=1, retry_delay=timedelta(0))
    def ask(ti: Any = None, dag_run: Any = None) -> None:
        keep = dag_run.conf.get("keep", False)
        FreddyHook().create_response("hello", metadata={"try": ti.try_number}, cancel_on_failure=not keep)
        FreddyHook().create_response("hello again", metadata={"try": ti.try_number})
        how = dag_run.conf["how"]
        if how == "fail" or (how == "fail once" and ti.try_number == 1):
            raise RuntimeError("the task's own error")
        if how == "skip":
            raise AirflowSkipException("not today")

    ask()

with DAG("time_out_without_callbacks", schedule=None):

    @task(execution_timeout=timedelta(seconds=1))
    def wait() -> None:
        import time

        FreddyHook().create_response("hello")
        time.sleep(30)

    wait()

with DAG("fail_and_keep", schedule=None):

    @task(on_failure_callback=cancel_response_on_failure)
    def begin() -> None:
        FreddyHook().create_response("hello", cancel_on_failure=False)
        raise RuntimeError("the task's own error")

    begin()
