"""
The deeds: what is done to a task that waits for Freddy. Each returns the moment of it, in Unix seconds.

What happens by itself, such as a time limit, returns when it was due.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import requests

from demo.airflow_setup import airflow_command

from .cell import Cell

Deed = Callable[[Cell], float]


def _now(action: Callable[[], Any]) -> float:
    moment = time.time()
    action()
    return moment


# -- the task's own end --------------------------------------------------------------------------------------


def fails(cell: Cell) -> float:
    """The task raises: a function by itself, an operator because Freddy refuses to tell the status."""
    if cell.style in {"function", "today"}:
        return give_the_cue(cell)
    response_id = cell.response().id
    code = "insufficient_permissions"
    return _now(lambda: cell.freddy.fault("status", status=403, method="GET", response_id=response_id, code=code))


def give_the_cue(cell: Cell) -> float:
    return _now(cell.cue.touch)


def execution_timeout(cell: Cell) -> float:
    return cell.moment_of_start() + 6


def dagrun_timeout(cell: Cell) -> float:
    return _start_of_run(cell, "start_date") + (15 if cell.style == "today" else 10)


def _start_of_run(cell: Cell, name: str) -> float:
    run = cell.airflow._get(f"dags/{cell.dag_id}/dagRuns/{cell.run_id}")
    return datetime.fromisoformat(run[name]).timestamp()


def nothing(cell: Cell) -> float:
    """Leave it to the task, which breaks soon after it has started its response."""
    return cell.response().created_at


def deadline(cell: Cell) -> float:
    return _start_of_run(cell, "queued_at") + 12


def while_freddy(deed: Deed, kind: str, times: int | None = 1, *, method: str = "DELETE", **options: Any) -> Deed:
    """Do it while Freddy misbehaves when it is told to cancel, or with another method."""

    def done(cell: Cell) -> float:
        cell.freddy.fault(kind, method=method, response_id=cell.response().id, times=times, **options)
        return deed(cell)

    return done


# -- a user ----------------------------------------------------------------------------------------------------


def mark(state: str) -> Deed:
    return lambda cell: _now(lambda: cell.mark(state))


def mark_run(state: str) -> Deed:
    return lambda cell: _now(lambda: cell.airflow.mark_run(cell.dag_id, cell.run_id, state))


def clear(cell: Cell) -> float:
    return _now(cell.clear)


def clear_on_the_command_line(cell: Cell) -> float:
    task = "start" if cell.style == "today" else "ask"
    command = airflow_command("tasks", "clear", "--yes", "--task-regex", task, "--downstream", cell.dag_id)
    done = subprocess.run(command, env=cell.airflow._environ, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return time.time()


def delete_dag(cell: Cell) -> float:
    moment = time.time()
    answer = requests.delete(f"{cell.airflow.url}/api/v2/dags/{cell.dag_id}", timeout=30)
    assert answer.ok, answer.text
    return moment


def cancel_backfill(cell: Cell) -> float:
    return _now(lambda: cell.airflow.cancel_backfills(cell.dag_id))


def pause(cell: Cell) -> float:
    return _now(lambda: cell.airflow.pause(cell.dag_id))


def while_paused(deed: Deed) -> Deed:
    """Do it while the scheduler starts no task of the DAG."""

    def done(cell: Cell) -> float:
        pause(cell)
        return deed(cell)

    return done


# -- processes ---------------------------------------------------------------------------------------------------


def kill_task(cell: Cell) -> float:
    pid = cell.processes.task_pid
    return _now(lambda: cell.airflow.kill_pid(pid, signal.SIGKILL))


def kill_supervisor(cell: Cell) -> float:
    pid = cell.processes.supervisor_pid
    assert pid is not None
    return _now(lambda: cell.airflow.kill_pid(pid, signal.SIGKILL))


def kill_both(cell: Cell) -> float:
    processes = cell.processes
    assert processes.supervisor_pid is not None

    def kill() -> None:
        # Without psutil's search in between: the supervisor would otherwise notice and report the task's end.
        os.kill(processes.supervisor_pid or 0, signal.SIGKILL)
        os.kill(processes.task_pid, signal.SIGKILL)

    return _now(kill)


def tell_supervisor_to_stop(cell: Cell) -> float:
    pid = cell.processes.supervisor_pid
    assert pid is not None
    return _now(lambda: cell.airflow.kill_pid(pid, signal.SIGTERM))


# -- components ------------------------------------------------------------------------------------------------


def api_server_away(seconds: float) -> Deed:
    def deed(cell: Cell) -> float:
        moment = time.time()
        cell.airflow.kill_process("api-server", with_descendants=True)
        _until(lambda: time.time() > moment + seconds or cell.response().ended_at is not None, seconds + 5)
        cell.airflow.start_process("api-server")
        return moment

    return deed


def _until(predicate: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not predicate() and time.monotonic() < end:
        time.sleep(0.1)


def stop_triggerers(cell: Cell) -> None:
    for index in (0, 1):
        cell.airflow.kill_process("triggerer", signal.SIGKILL, index, with_descendants=True)


def start_triggerers(cell: Cell) -> None:
    for _ in (0, 1):
        cell.airflow.start_process("triggerer", wait=False)


def triggerers_restarted_in_order(cell: Cell) -> float:
    moment = time.time()
    for index in (0, 1):
        cell.airflow.kill_process("triggerer", signal.SIGTERM, index)
    for index in (0, 1):
        cell.airflow.stop_process("triggerer", index, timeout=40)
    start_triggerers(cell)
    return moment


def triggerer_killed(cell: Cell) -> float:
    """Kill the one that holds the trigger; the other one takes over."""
    index = cell.triggerer()
    moment = _now(lambda: cell.airflow.kill_process("triggerer", signal.SIGKILL, index, with_descendants=True))
    _wait_for_take_over(cell, index)
    cell.airflow.start_process("triggerer", wait=False)
    return moment


def trigger_taken_over(cell: Cell) -> float:
    """Freeze the one that holds the trigger until the other has taken over, then let it go on."""
    index = cell.triggerer()
    moment = _now(lambda: cell.airflow.kill_process("triggerer", signal.SIGSTOP, index, with_descendants=True))
    try:
        _wait_for_take_over(cell, index)
    finally:
        cell.airflow.kill_process("triggerer", signal.SIGCONT, index, with_descendants=True)
    return moment


def _wait_for_take_over(cell: Cell, former: int) -> None:
    cell.airflow._wait("the other triggerer", 60, lambda: cell.task.triggerer not in {None, f"triggerer-{former}"})


def without_triggerer(deed: Deed) -> Deed:
    """Do it while no triggerer runs."""

    def done(cell: Cell) -> float:
        stop_triggerers(cell)
        try:
            moment = deed(cell)
            if deed is clear:
                cell.wait_for_response(try_number=2)
            time.sleep(1)
        finally:
            start_triggerers(cell)
        return moment

    return done


def airflow_ends_the_deferral(cell: Cell) -> float:
    """Wait for Airflow's own time limit; the resumed task cancels."""
    moment = time.time()
    _until(lambda: cell.response().ended_at is not None, 60)
    return moment


def when_deferred(deed: Deed) -> Deed:
    """Do it when the task is deferred, whether or not a triggerer has picked it up."""

    def done(cell: Cell) -> float:
        cell.airflow.wait_for_task(cell.dag_id, cell.run_id, "ask", state="deferred")
        return deed(cell)

    return done


def between_deferral_and_pick_up(deed: Deed) -> Deed:
    """Stop the triggerers first, so that the trigger waits to be picked up; the cell must not wait for it."""

    def done(cell: Cell) -> float:
        moment = when_deferred(deed)(cell)
        if deed is dagrun_timeout:
            cell.airflow.wait_for_run(cell.dag_id, cell.run_id, 60)
        time.sleep(2)
        start_triggerers(cell)
        return moment

    return done


def scheduler_killed(*, with_workers: bool) -> Deed:
    def deed(cell: Cell) -> float:
        moment = _now(lambda: cell.airflow.kill_process("scheduler", signal.SIGKILL, with_descendants=with_workers))
        cell.airflow.start_process("scheduler")
        return moment

    return deed


def scheduler_stopped_in_order(cell: Cell) -> float:
    """It waits for the tasks that its workers run."""
    moment = _now(lambda: cell.airflow.kill_process("scheduler", signal.SIGTERM))
    cell.airflow.stop_process("scheduler", timeout=90)
    cell.airflow.start_process("scheduler")
    return moment
