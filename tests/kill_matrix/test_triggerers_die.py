"""Triggerers are stopped, killed, frozen and taken over from while tasks wait in them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from . import deeds
from .conftest import cells
from .paths import WHILE_TRIGGERERS_DIE, Path

pytestmark = [pytest.mark.live, pytest.mark.timeout(400)]


WITHOUT_A_TRIGGERER = {"9b", "9i"}


@cells([path for path in WHILE_TRIGGERERS_DIE if path.row not in WITHOUT_A_TRIGGERER])
def test_nothing_is_left_running_and_nothing_wanted_cancelled_when_a_task(
    measure: Callable, path: Path, style: str, variant: str
) -> None:
    measure(path, style)


@cells([path for path in WHILE_TRIGGERERS_DIE if path.row == "9b"])
def test_nothing_is_left_running_without_a_triggerer_when_a_task(
    measure: Callable, path: Path, style: str, variant: str
) -> None:
    measure(path, style, before=deeds.stop_triggerers)


@cells([path for path in WHILE_TRIGGERERS_DIE if path.row == "9i"], "", "guarded")
def test_nothing_is_left_running_after_a_task(measure: Callable, path: Path, style: str, variant: str) -> None:
    measure(path, style, variant, before=deeds.stop_triggerers)
