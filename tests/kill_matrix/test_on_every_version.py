"""The usual ways in which a task stops, in every style, on the Airflow that is installed: also on an older one."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path as File

import pytest

from airflow_provider_freddy.testing import FakeFreddy
from demo.airflow_setup import FAST_LOST_WORKER
from demo.local_airflow import LocalAirflow
from tests.airflow_versions import AIRFLOW

from .conftest import DAGS, cells, nothing_hangs
from .paths import WHILE_IT_WAITS, Path

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]

USUAL = {
    "fails on its last try",
    "fails with a retry left",
    "runs into its execution_timeout",
    "is marked failed",
    "has its process killed on its last try",
    "has its process killed with a retry left",
    "has its process and supervisor killed",
    "has its supervisor killed",
}


def usual_ways() -> list[Path]:
    """Return them in every style; where all the others are measured too, only if results are asked for."""
    found = [path for path in WHILE_IT_WAITS if path.name in USUAL]
    return [replace(path, in_make_test=path.styles if AIRFLOW < (3, 3) else ()) for path in found]


@pytest.fixture(scope="module")
def dags_folder(tmp_path_factory: pytest.TempPathFactory) -> File:
    folder = tmp_path_factory.mktemp("every-version")
    shutil.copy(DAGS / "freddy_styles.py", folder)
    return folder


@pytest.fixture(scope="module")
def airflow(freddy: FakeFreddy, dags_folder: File) -> Iterator[LocalAirflow]:
    environ = {"AIRFLOW_CONN_FREDDY_DEFAULT": freddy.connection_json()}
    with LocalAirflow(dags_folder, env=environ, config=FAST_LOST_WORKER) as local:
        yield local
        nothing_hangs(local, dags_folder)


@cells(usual_ways())
def test_nothing_is_left_running_after_a_task(measure: Callable, path: Path, style: str, variant: str) -> None:
    measure(path, style)
