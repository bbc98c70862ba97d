"""A task waits for Freddy, something ends it, and the response does not run on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .conftest import cells
from .paths import BESIDE_SIBLINGS, WHILE_IT_WAITS, Path

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]


@cells(WHILE_IT_WAITS)
def test_nothing_is_left_running_after_a_task(measure: Callable, path: Path, style: str, variant: str) -> None:
    measure(path, style)


@cells(BESIDE_SIBLINGS)
def test_only_its_own_response_is_cancelled_when_a_task(
    measure: Callable, path: Path, style: str, variant: str
) -> None:
    measure(path, style)
