"""The API server is away, the scheduler is killed, with its workers or without."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .conftest import cells
from .paths import WHILE_SERVERS_DIE, Path

pytestmark = [pytest.mark.live, pytest.mark.timeout(400)]


@cells(WHILE_SERVERS_DIE)
def test_nothing_is_left_running_and_nothing_wanted_cancelled_when_a_task(
    measure: Callable, path: Path, style: str, variant: str
) -> None:
    measure(path, style)
