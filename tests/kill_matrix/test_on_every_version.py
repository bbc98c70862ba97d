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
from .paths import FUNCTION, OPERATOR, WHILE_IT_WAITS, Path

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
    names = USUAL | {"is in a run that misses its deadline"} if AIRFLOW >= (3, 1) else USUAL
    found = [as_it_is_here(path) for path in WHILE_IT_WAITS if path.name in names]
    return [replace(path, in_make_test=path.styles if AIRFLOW < (3, 3) else ()) for path in found]


def as_it_is_here(path: Path) -> Path:
    """Return a way with the end that Airflow itself gives the task in this version."""
    if path.row == "6b" and AIRFLOW == (3, 0):
        # A killed process fails its task at once, retries or not.
        return replace(path, state="failed", tries=1)
    if path.row == "7b" and AIRFLOW < (3, 0):
        # Without its supervisor a task can still write its state: the function sees the end of its response, and ends.
        return replace(path, state={OPERATOR: "failed", FUNCTION: "success"})
    return path


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
