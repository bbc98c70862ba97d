"""What is left of the promise where the watchdog is turned off, with the DAG guarded and without."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .cell import Cell
from .conftest import cells
from .paths import (
    COVERED_WITHOUT_WATCHDOG,
    UNCOVERED_WITHOUT_WATCHDOG,
    WITHOUT_WATCHDOG,
    WITHOUT_WATCHDOG_WHILE_FREDDY_MISBEHAVES,
    Path,
)

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    return {"AIRFLOW__FREDDY__WATCHDOG": "off"}


@cells([*WITHOUT_WATCHDOG, *WITHOUT_WATCHDOG_WHILE_FREDDY_MISBEHAVES], "watchdog off, guarded")
def test_a_guarded_dag_leaves_nothing_running_after_a_task(
    measure: Callable, path: Path, style: str, variant: str
) -> None:
    # Killed before the record is written it could not be found by anybody.
    measure(path, style, variant, prepare=Cell.wait_for_record)


@cells(COVERED_WITHOUT_WATCHDOG, "watchdog off")
def test_nothing_is_left_running_after_a_task(measure: Callable, path: Path, style: str, variant: str) -> None:
    measure(path, style, variant, prepare=Cell.wait_for_record)


@cells(UNCOVERED_WITHOUT_WATCHDOG, "watchdog off")
def test_nobody_cancels_after_a_task(measure: Callable, path: Path, style: str, variant: str) -> None:
    measure(path, style, variant, leaks=True, prepare=Cell.wait_for_record)
