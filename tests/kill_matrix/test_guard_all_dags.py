"""Every DAG of an Airflow is guarded by one setting, without a word in the DAG files; the watchdog is off."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .cell import Cell
from .conftest import cells
from .paths import FUNCTION, WITHOUT_WATCHDOG, Path, some

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]


KILLED = [*some(WITHOUT_WATCHDOG, "6a", in_make_test=(FUNCTION,)), *some(WITHOUT_WATCHDOG, "7a")]


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    return {"AIRFLOW__FREDDY__WATCHDOG": "off", "AIRFLOW__FREDDY__GUARD_ALL_DAGS": "True"}


@cells(KILLED, "watchdog off, guard_all_dags")
def test_nothing_is_left_running_after_a_task(measure: Callable, path: Path, style: str, variant: str) -> None:
    measure(path, style, variant, prepare=Cell.wait_for_record)
