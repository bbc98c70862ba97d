"""The same on a cluster: CeleryExecutor with two workers, Redis and PostgreSQL. `make kill-matrix-celery` runs it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from . import deeds
from .cell import Cell
from .cluster import LAST_TRY_LOST, SAME_AS_EVER, UNCOVERED, WHILE_NO_TRIGGERER_RUNS, WHILE_WORKERS_DIE
from .conftest import cells
from .paths import OPERATOR, Path, some
from .servers import Redis

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def executor() -> Iterator[dict[str, str]]:
    with Redis() as server:
        yield {
            "CORE__EXECUTOR": "CeleryExecutor",
            "CELERY__BROKER_URL": server.url,
            # By default 16 processes each, on however small a machine.
            "CELERY__WORKER_CONCURRENCY": "4",
            "CELERY__SYNC_PARALLELISM": "1",
            # What a worker has not finished is given to the other one after 30 seconds, not after a day.
            "CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": "30",
            # A task that no worker takes is failed after a minute, not after three times ten minutes.
            "SCHEDULER__TASK_QUEUED_TIMEOUT": "60",
            "SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "5",
            "SCHEDULER__NUM_STUCK_IN_QUEUED_RETRIES": "0",
        }


@cells([*SAME_AS_EVER, *WHILE_WORKERS_DIE])
def test_nothing_is_left_running_and_nothing_wanted_cancelled_when_a_task(
    measure: Callable, path: Path, style: str, variant: str
) -> None:
    measure(path, style)


@cells(WHILE_NO_TRIGGERER_RUNS)
def test_nothing_is_left_running_when_a_deferred_task(measure: Callable, path: Path, style: str, variant: str) -> None:
    measure(path, style, before=deeds.stop_triggerers)


@cells(LAST_TRY_LOST, "guarded")
def test_a_guarded_dag_leaves_nothing_running_when_a_task(
    measure: Callable, path: Path, style: str, variant: str
) -> None:
    measure(path, style, variant, prepare=Cell.wait_for_record)


@cells([*some(LAST_TRY_LOST, "7f"), *some(LAST_TRY_LOST, "7e", styles=(OPERATOR,))], "by itself")
def test_nothing_is_left_running_when_a_task(measure: Callable, path: Path, style: str, variant: str) -> None:
    measure(path, style, variant, prepare=Cell.wait_for_record)


@cells(UNCOVERED, "by itself")
def test_nobody_cancels_when_a_task(measure: Callable, path: Path, style: str, variant: str) -> None:
    measure(path, style, variant, leaks=True, prepare=Cell.wait_for_record)
