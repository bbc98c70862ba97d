"""What is left of the promise where the watchdog is turned off, with the DAG guarded and without."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .cell import Cell
from .conftest import cells
from .paths import FUNCTION, OPERATOR, WITHOUT_WATCHDOG, Path, some

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]

# The operator brings the callback that Airflow calls for a lost worker.
COVERED = [
    *some(WITHOUT_WATCHDOG, "6b"),
    *some(WITHOUT_WATCHDOG, "7a", styles=(OPERATOR,), in_make_test=(OPERATOR,)),
    *some(WITHOUT_WATCHDOG, "7b", styles=(OPERATOR,)),
]
# Airflow calls nothing of the task, or nothing that stands in the DAG file, and no other try follows.
UNCOVERED = [*some(WITHOUT_WATCHDOG, "6a"), *some(WITHOUT_WATCHDOG, "7a", "7b", styles=(FUNCTION,))]


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    return {"AIRFLOW__FREDDY__WATCHDOG": "off"}


@cells(WITHOUT_WATCHDOG, "watchdog off, guarded")
def test_a_guarded_dag_leaves_nothing_running_after_a_task(
    measure: Callable, path: Path, style: str, variant: str
) -> None:
    # Killed before the record is written it could not be found by anybody.
    measure(path, style, variant, prepare=Cell.wait_for_record)


@cells(COVERED, "watchdog off")
def test_nothing_is_left_running_after_a_task(measure: Callable, path: Path, style: str, variant: str) -> None:
    measure(path, style, variant, prepare=Cell.wait_for_record)


@cells(UNCOVERED, "watchdog off")
def test_nobody_cancels_after_a_task(measure: Callable, path: Path, style: str, variant: str) -> None:
    measure(path, style, variant, leaks=True, prepare=Cell.wait_for_record)
