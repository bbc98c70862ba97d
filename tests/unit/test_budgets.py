"""Every hook stays inside the time that Airflow gives to the process it runs in."""

from __future__ import annotations

from airflow_provider_freddy import arming, callback_run, callbacks
from airflow_provider_freddy.core.retry import SLOW_ANSWER

#: Seconds, of Airflow 3.3: between SIGTERM and SIGKILL of a task process (``sdk/execution_time/supervisor.py``) ...
BEFORE_SIGKILL = 5.0
#: ... for all that a task process does after its end (``[core] task_success_overtime``) ...
AFTER_THE_END = 20.0
#: ... and for all callbacks of a DAG file (``[dag_processor] dag_file_processor_timeout``).
IN_DAG_PROCESSOR = 50.0


def test_a_kill_hook_has_cancelled_before_the_process_is_killed() -> None:
    assert arming.KILL_BUDGET <= BEFORE_SIGKILL - 1
    assert arming.KILL_BUDGET <= SLOW_ANSWER, "it has no time for a second attempt"


def test_what_a_task_does_after_its_end_is_done_in_time() -> None:
    assert arming.FAILURE_BUDGET + arming.LAST_BUDGET <= AFTER_THE_END - 2
    assert callbacks.DEFAULT_BUDGET + arming.LAST_BUDGET <= AFTER_THE_END - 2


def test_callbacks_in_the_dag_processor_leave_it_time_to_end() -> None:
    assert callback_run.BATCH_SECONDS + callbacks.DEFAULT_BUDGET < IN_DAG_PROCESSOR
