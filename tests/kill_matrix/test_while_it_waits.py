"""A task waits for Freddy, something ends it, and the response does not run on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from . import deeds
from .cell import Cell
from .conftest import cells
from .paths import BESIDE_SIBLINGS, FUNCTION, WHILE_FREDDY_MISBEHAVES, WHILE_IT_WAITS, Path

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]


@cells(WHILE_IT_WAITS)
def test_nothing_is_left_running_after_a_task(measure: Callable, path: Path, style: str, variant: str) -> None:
    measure(path, style)


@cells(BESIDE_SIBLINGS)
def test_only_its_own_response_is_cancelled_when_a_task(
    measure: Callable, path: Path, style: str, variant: str
) -> None:
    measure(path, style)


@cells(WHILE_FREDDY_MISBEHAVES)
def test_nothing_is_left_running_after_a_task_that(measure: Callable, path: Path, style: str, variant: str) -> None:
    measure(path, style)


def test_the_last_line_of_the_log_names_what_may_still_run(cell: Callable[[str], Cell]) -> None:
    one = cell(FUNCTION)
    one.start("plain", how="raise")
    one.wait_until_it_waits()
    response_id = one.response().id
    deeds.while_freddy(deeds.fails, "status", None, status=503)(one)
    one.wait_for_state("failed", 1)
    assert one.freddy.left_running == [response_id]
    words = one.airflow.task_log(one.dag_id, one.run_id, "ask").splitlines()
    last = [line for line in words if response_id in line][-1]
    assert "MAY STILL RUN AND COST MONEY" in last
    assert " error " in last
    # The watchdog, which has more patience, makes up for it.
    one.freddy.clear_faults()
    one.wait_for(lambda: one.freddy.left_running == [], 60)
