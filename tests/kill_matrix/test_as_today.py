"""The baseline, measured with the same deeds: what is written without this provider leaves running."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from .conftest import cells
from .paths import TODAY, WHILE_IT_WAITS, Path

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]

#: The deeds after which its callback is called. With a retry left the next try waits for the same response.
COVERED = {"fails on its last try", "runs into its execution_timeout", "has its process and supervisor killed"}
LEAKS = {
    "is marked failed",
    "is marked success",
    "is marked skipped",
    "is cleared",
    "has its run marked failed",
    "has its run marked success",
    "has its process killed on its last try",
    "has a run that runs into its dagrun_timeout",
    "is in a fail_fast DAG whose other task fails",
}


def of_today(names: set[str]) -> list[Path]:
    return [
        dataclasses.replace(path, styles=(TODAY,), in_make_test=()) for path in WHILE_IT_WAITS if path.name in names
    ]


@cells(of_today(COVERED))
def test_the_usual_callback_cancels_when_a_task(measure: Callable, path: Path, style: str, variant: str) -> None:
    measure(path, style)


@cells(of_today(LEAKS))
def test_the_usual_callback_leaves_a_response_running_when_a_task(
    measure: Callable, path: Path, style: str, variant: str
) -> None:
    measure(path, style, leaks=True)
