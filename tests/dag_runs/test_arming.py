"""A plain function that starts responses needs no callback of its author."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_provider_freddy.arming import KillHook, arm, cancel_what_is_left
from airflow_provider_freddy.testing import FakeFreddy


@pytest.mark.parametrize(("how", "state"), [("fail", "failed"), ("skip", "skipped")])
def test_a_task_that_does_not_end_well_takes_its_responses_along(
    run_dag: Callable, fake_freddy_connection: FakeFreddy, how: str, state: str
) -> None:
    run = run_dag("end_without_callbacks", how=how)
    assert run.tasks == {"ask": state}
    assert len(fake_freddy_connection.responses) in {2, 4}
    assert fake_freddy_connection.left_running == []


def test_before_a_retry_only_the_responses_of_the_failed_try_are_cancelled(
    run_dag: Callable, fake_freddy_connection: FakeFreddy
) -> None:
    run = run_dag("end_without_callbacks", how="fail once")
    assert run.state == "success"
    running = [r.metadata["try"] for r in fake_freddy_connection.responses if r.status == "processing"]
    assert running == [2, 2]


def test_a_task_that_ends_well_hands_its_responses_on(run_dag: Callable, fake_freddy_connection: FakeFreddy) -> None:
    run_dag("end_without_callbacks", how="end well")
    assert fake_freddy_connection.running_count == 2


def test_execution_timeout_cancels(run_dag: Callable, fake_freddy_connection: FakeFreddy) -> None:
    run = run_dag("time_out_without_callbacks")
    assert run.tasks == {"wait": "failed"}
    assert fake_freddy_connection.left_running == []
    assert "AirflowTaskTimeout" in run.log


def test_a_response_can_be_kept(run_dag: Callable, fake_freddy_connection: FakeFreddy) -> None:
    run_dag("end_without_callbacks", how="fail", keep=True)
    # One of each of the two tries.
    assert fake_freddy_connection.running_count == 2


def test_the_callback_leaves_a_kept_response_alone_and_says_so(
    run_dag: Callable, fake_freddy_connection: FakeFreddy
) -> None:
    run = run_dag("fail_and_keep")
    (response_id,) = fake_freddy_connection.left_running
    assert f"{response_id} is left running, as asked for" in run.log


class Task:
    """Stands for an operator object: what Airflow reads from it is all that counts."""

    def __init__(self, **callbacks: object) -> None:
        self.__dict__.update(callbacks)
        self.killed = 0

    def on_kill(self) -> None:
        self.killed += 1


class Ti:
    dag_id, run_id, task_id, map_index, try_number = "d", "r", "t", -1, 1


def test_what_the_author_has_set_stays_and_is_attached_once() -> None:
    def author(context: object) -> None: ...

    task = Task(on_failure_callback=author, on_retry_callback=[author], on_skipped_callback=None)
    for _ in range(2):
        arm({"task": task, "ti": Ti})
    assert task.__dict__["on_failure_callback"] == [author, cancel_what_is_left]
    assert task.__dict__["on_retry_callback"] == [author, cancel_what_is_left]
    assert task.__dict__["on_skipped_callback"] == [cancel_what_is_left]
    assert isinstance(task.on_kill, KillHook)
    task.on_kill()
    assert task.killed == 1


def test_the_authors_kill_hook_may_raise() -> None:
    task = Task()
    arm({"task": task, "ti": Ti})
    task.on_kill.author = lambda: 1 / 0
    with pytest.raises(ZeroDivisionError):
        task.on_kill()


def test_the_armed_callback_never_raises() -> None:
    cancel_what_is_left({})
