"""What is done to the workers of a cluster, and every way to stop in which they have a part."""

from __future__ import annotations

import signal
import time
from dataclasses import replace

from . import deeds
from .cell import Cell
from .deeds import Deed
from .paths import ALL, FUNCTION, IN_TRIGGERER, IN_WORKER, OPERATOR, WHILE_IT_WAITS, Path, some

NUMBER_OF_WORKERS = 2
#: Seconds in which a worker that is frozen is taken for lost.
FROZEN = 16


def workers_of(cell: Cell) -> list[int]:
    """Return the worker that runs the task, or all of them when the task waits elsewhere."""
    everyone = range(NUMBER_OF_WORKERS)
    if cell.task.state == "deferred":
        return list(everyone)
    task_pid = cell.processes.task_pid
    return [index for index in everyone if task_pid in cell.airflow.descendant_pids("worker", index)]


def worker_gets(sig: signal.Signals, *, with_descendants: bool = False) -> Deed:
    """Send a signal to the worker of the task, and start it again when it has ended."""

    def deed(cell: Cell) -> float:
        workers = workers_of(cell)
        assert workers
        moment = time.time()
        for index in workers:
            cell.airflow.kill_process("worker", sig, index, with_descendants=with_descendants)
        for index in workers:
            cell.airflow.wait_for_end_of_process("worker", index)
        for _ in workers:
            cell.airflow.start_process("worker", wait=False)
        return moment

    return deed


def worker_freezes(cell: Cell) -> float:
    """Stop the time for a worker, as when its machine is paused or its network gone, and let it go on later."""
    [index] = workers_of(cell)
    moment = time.time()
    cell.airflow.kill_process("worker", signal.SIGSTOP, index, with_descendants=True)
    try:
        time.sleep(FROZEN)
    finally:
        cell.airflow.kill_process("worker", signal.SIGCONT, index, with_descendants=True)
    return moment


def no_worker_takes_it(cell: Cell) -> float:
    """Lose all workers, so that the task is stuck in the queue when its trigger has broken."""
    for index in range(NUMBER_OF_WORKERS):
        cell.airflow.kill_process("worker", signal.SIGKILL, index, with_descendants=True)
    moment = time.time()
    deeds.start_triggerers(cell)
    try:
        cell.wait_for(lambda: cell.response().ended_at is not None, 140)
    finally:
        for _ in range(NUMBER_OF_WORKERS):
            cell.airflow.start_process("worker", wait=False)
    return moment


LOST = worker_gets(signal.SIGKILL, with_descendants=True)
GOES_ON = {"state": "success", "wanted": True, "conf": {"duration": 25}}
# Airflow does not tell a function to stop: this one sees that its response has ended, and ends too.
AFTER_KILL_HOOK = {OPERATOR: "failed", FUNCTION: "success"}

SAME_AS_EVER = [
    replace(path, in_make_test=())
    for path in WHILE_IT_WAITS
    if path.name == "runs into its execution_timeout"
    or path.row in {"6a", "6b", "7a", "7b", "13d"}
    or path.name in {"is marked failed", "is cleared"}
]

WHILE_WORKERS_DIE = [
    Path("7d", "has the main process of its worker killed", worker_gets(signal.SIGKILL), IN_WORKER, within=40),
    Path("7e", "loses its whole worker with a retry left", LOST, IN_WORKER, "retry", within=60, state="success",
         tries=2),
    Path("7f", "is on a worker that freezes for a while, with a retry left", worker_freezes, IN_WORKER, "retry",
         within=60, state="success", tries=2, told="killed"),
    Path("13e", "is on a worker that is told to stop (SIGTERM)", worker_gets(signal.SIGTERM), ALL, **GOES_ON),
    Path("13f", "is on a worker that is told to stop at once (SIGQUIT)", worker_gets(signal.SIGQUIT), IN_WORKER,
         within=40, told="killed", state=AFTER_KILL_HOOK),
    Path("13g", "is on a worker whose processes are all told to stop (SIGTERM)",
         worker_gets(signal.SIGTERM, with_descendants=True), IN_WORKER, within=40, told="killed",
         state=AFTER_KILL_HOOK),
    Path("7e", "loses all workers while it is deferred", LOST, IN_TRIGGERER, **GOES_ON),
    Path("13f", "is deferred while all workers are told to stop at once (SIGQUIT)", worker_gets(signal.SIGQUIT),
         IN_TRIGGERER, **GOES_ON),
    Path("13", "loses its scheduler", deeds.scheduler_killed(with_workers=True), ALL, **GOES_ON),
    Path("13", "has a scheduler that is stopped in good order", deeds.scheduler_stopped_in_order, ALL, **GOES_ON),
]  # fmt: skip

WHILE_NO_TRIGGERER_RUNS = [
    Path("13c", "is stuck in the queue after its trigger broke", deeds.when_deferred(no_worker_takes_it), IN_TRIGGERER,
         "broken_trigger", prepared=True, within=140),
]  # fmt: skip

# Last, because the response of the second one runs on.
LAST_TRY_LOST = [
    Path("7f", "is on a worker that freezes for a while, on its last try", worker_freezes, IN_WORKER, within=60,
         told="killed"),
    Path("7e", "loses its whole worker on its last try", LOST, IN_WORKER, within=60),
]  # fmt: skip

# Airflow calls nothing that is not in the DAG file.
UNCOVERED = some(LAST_TRY_LOST, "7e", styles=(FUNCTION,))

EVERY_PATH = [*SAME_AS_EVER, *WHILE_WORKERS_DIE, *WHILE_NO_TRIGGERER_RUNS, *LAST_TRY_LOST]
