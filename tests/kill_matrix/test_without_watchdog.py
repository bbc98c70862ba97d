"""What is left of the promise where the watchdog is turned off, with the DAG guarded and without."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .conftest import cells
from .paths import WITHOUT_WATCHDOG, Path

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    return {"AIRFLOW__FREDDY__WATCHDOG": "off"}


@cells(WITHOUT_WATCHDOG, "watchdog off", "watchdog off, guarded")
def test_nothing_is_left_running_after_a_task(measure: Callable, path: Path, style: str, variant: str) -> None:
    # Airflow calls nothing that stands in a process that is gone, and no other try follows.
    leaks = path.row in {"6a", "7a"} and "guarded" not in variant
    measure(path, style, variant, leaks=leaks, prepare=lambda one: None)
