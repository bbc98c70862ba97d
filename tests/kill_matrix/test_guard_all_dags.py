"""Every DAG of an Airflow is guarded by one setting, without a word in the DAG files; the watchdog is off."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .cell import Cell
from .conftest import cells
from .paths import WITHOUT_WATCHDOG, Path, some

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    return {"AIRFLOW__FREDDY__WATCHDOG": "off", "AIRFLOW__FREDDY__GUARD_ALL_DAGS": "True"}


@cells(some(WITHOUT_WATCHDOG, "6a", "7a"), "watchdog off, guard_all_dags")
def test_nothing_is_left_running_after_a_task(measure: Callable, path: Path, style: str, variant: str) -> None:
    measure(path, style, variant, prepare=Cell.wait_for_record)
