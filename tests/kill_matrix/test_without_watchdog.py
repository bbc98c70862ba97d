"""What is left of the promise where the watchdog is turned off, with the DAG guarded and without."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from .cell import Cell
from .conftest import cells
from .paths import WITHOUT_WATCHDOG, Path

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]

NOT_GUARDED = [replace(path, in_make_test=()) for path in WITHOUT_WATCHDOG]
# Airflow calls nothing that stands in a process that is gone, and no other try follows.
UNCOVERED = [path for path in NOT_GUARDED if path.row in {"6a", "7a", "7b"}]


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    return {"AIRFLOW__FREDDY__WATCHDOG": "off"}


@cells(WITHOUT_WATCHDOG, "watchdog off, guarded")
def test_a_guarded_dag_leaves_nothing_running_after_a_task(
    measure: Callable, path: Path, style: str, variant: str
) -> None:
    # Killed before the record is written it could not be found by anybody.
    measure(path, style, variant, prepare=Cell.wait_for_record)


@cells([path for path in NOT_GUARDED if path.row == "6b"], "watchdog off")
def test_the_next_try_leaves_nothing_running_after_a_task(
    measure: Callable, path: Path, style: str, variant: str
) -> None:
    measure(path, style, variant, prepare=Cell.wait_for_record)


@cells(UNCOVERED, "watchdog off")
def test_nobody_cancels_after_a_task(measure: Callable, path: Path, style: str, variant: str) -> None:
    measure(path, style, variant, leaks=True, prepare=Cell.wait_for_record)
