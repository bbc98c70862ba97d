"""The Airflows of the matrix, and the one test that all its cells are."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path as File

import pytest

from airflow_provider_freddy.testing import FakeFreddy
from demo.airflow_setup import DATABASE_SETTING, FAST_LOST_SCHEDULER, FAST_LOST_TRIGGERER, FAST_LOST_WORKER
from demo.local_airflow import LocalAirflow
from tests.airflow_versions import AIRFLOW, needs_airflow

from .cell import Cell
from .evidence import complaints, false_alarms, who_cancelled
from .paths import Path
from .servers import PostgreSQL

DAGS = File(__file__).parent / "dags"
ON_EVERY_VERSION = "test_on_every_version.py"
#: The file that the cells write their results to; without it only a representative set is run.
RESULTS = os.environ.get("KILL_MATRIX_RESULTS")
REPEAT = int(os.environ.get("REPEAT", "1"))
#: Where Airflow keeps its tables: ``postgres`` or ``sqlite``. By default PostgreSQL where it is installed.
DATABASE = os.environ.get("KILL_MATRIX_DATABASE") or ("sqlite" if PostgreSQL.missing() else "postgres")
if DATABASE not in {"postgres", "sqlite"}:
    raise pytest.UsageError(f"KILL_MATRIX_DATABASE has to be postgres or sqlite, not {DATABASE}")


def pytest_report_header() -> str:
    """Say which database it is, and what to install for the other one."""
    advice = f" ({PostgreSQL.missing()})" if PostgreSQL.missing() else ""
    return f"kill matrix: database {DATABASE}{advice}"


def cells(paths: Sequence[Path], *variants: str) -> pytest.MarkDecorator:
    """Parametrize a test with the cells of these paths: all of them, or the representative ones."""
    found = []
    for repeat in range(REPEAT if RESULTS else 1):
        for path in paths:
            for style in path.styles if RESULTS else path.in_make_test:
                for variant in (variants if RESULTS else variants[:1]) or ("",):
                    name = " ".join(filter(None, [path.name, variant, f"#{repeat + 1}" * (repeat > 0)]))
                    found.append(pytest.param(path, style, variant, id=f"{style} {name}"))
    return pytest.mark.parametrize(("path", "style", "variant"), found)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests that have no representative cell, rather than report them as skipped."""
    newest_only = needs_airflow("3.3", f"older ones are measured with {ON_EVERY_VERSION}")
    for item in items:
        if item.path.parent == DAGS.parent and item.get_closest_marker("live") and item.path.name != ON_EVERY_VERSION:
            item.add_marker(newest_only)
    empty = [item for item in items if item.name.endswith("[NOTSET]") and "kill_matrix" in item.path.parts]
    if empty:
        config.hook.pytest_deselected(items=empty)
        items[:] = [item for item in items if item not in empty]


@pytest.fixture(scope="module")
def freddy() -> Iterator[FakeFreddy]:
    with FakeFreddy(duration=300) as fake:
        yield fake


@pytest.fixture(scope="module")
def dags_folder(tmp_path_factory: pytest.TempPathFactory) -> File:
    folder = tmp_path_factory.mktemp("kill-matrix") / "dags"
    shutil.copytree(DAGS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    """Return further environment of this module's Airflow."""
    return {}


@pytest.fixture(scope="session")
def new_database() -> Iterator[Callable[[], dict[str, str]]]:
    """Return what makes an empty database and says how Airflow is told of it."""
    if DATABASE == "sqlite":
        yield dict
        return
    if missing := PostgreSQL.missing():
        pytest.exit(missing, returncode=1)
    with PostgreSQL() as server:
        yield lambda: {DATABASE_SETTING: server.new_database()}


@pytest.fixture(scope="module")
def executor() -> dict[str, str]:
    """Return the configuration of this module's executor; LocalExecutor needs none."""
    return {}


@pytest.fixture(scope="module")
def airflow(
    freddy: FakeFreddy,
    dags_folder: File,
    settings: dict[str, str],
    executor: dict[str, str],
    new_database: Callable[[], dict[str, str]],
) -> Iterator[LocalAirflow]:
    http = {
        "conn_type": "http",
        "host": freddy.url,
        "extra": {"Authorization": f"Bearer {freddy.api_key}"},
    }
    environ = {
        "AIRFLOW_CONN_FREDDY_DEFAULT": freddy.connection_json(),
        "AIRFLOW_CONN_FREDDY_HTTP": json.dumps(http),
        **settings,
    }
    config = {**FAST_LOST_WORKER, **FAST_LOST_TRIGGERER, **FAST_LOST_SCHEDULER, **new_database(), **executor}
    workers = 2 if executor else 0
    with LocalAirflow(dags_folder, env=environ, config=config, triggerers=2, workers=workers) as local:
        yield local
        nothing_hangs(local, dags_folder)


AFTERWARDS = """
from airflow.providers.common.compat.sdk import DAG, task

with DAG("afterwards", schedule=None):
    @task
    def say():
        print("fine")
    say()
"""


def nothing_hangs(airflow: LocalAirflow, dags_folder: File) -> None:
    """Check, after all deeds, that a changed DAG file is still parsed, a task still run, and no question unanswered."""
    (dags_folder / "afterwards.py").write_text(AFTERWARDS)
    airflow.wait_for_dag("afterwards", timeout=60)
    run_id = airflow.trigger("afterwards")
    assert airflow.wait_for_run("afterwards", run_id, 90) == "success"
    assert complaints(airflow) == []


@pytest.fixture
def cell(airflow: LocalAirflow, freddy: FakeFreddy, tmp_path: File) -> Iterator[Callable[[str], Cell]]:
    made: list[Cell] = []

    def make(style: str) -> Cell:
        made.append(Cell(airflow, freddy, style, tmp_path))
        return made[-1]

    yield make
    freddy.clear_faults()
    for one in made:
        end_what_goes_on(one)


def end_what_goes_on(cell: Cell) -> None:
    """Leave nothing to the next cell: neither a task nor a paused DAG."""
    if cell.run_id:
        try:
            cell.airflow.unpause(cell.dag_id)
            if cell.airflow.run_state(cell.dag_id, cell.run_id) in {"running", "queued"}:
                cell.airflow.mark_run(cell.dag_id, cell.run_id, "failed")
        except Exception as error:
            print(f"The run could not be ended: {error}")


@pytest.fixture
def measure(cell: Callable[[str], Cell]) -> Callable[..., None]:
    """Do the deed of a path to a task, and check what becomes of its response and of the task."""

    def measured(
        path: Path,
        style: str,
        variant: str = "",
        *,
        leaks: bool = False,
        before: Callable[[Cell], object] = lambda _: None,
        prepare: Callable[[Cell], object] = lambda _: None,
    ) -> None:
        one = cell(style)
        before(one)
        one.start(path.kind + ("_guarded" if "guarded" in variant else ""), **{"how": "raise", **path.conf})
        if path.prepared:
            one.wait_for_response()
        else:
            one.wait_until_it_waits()
        if path.kind == "mapped":
            one.wait_for(lambda: len(one.siblings()) == 2, 60)
        prepare(one)
        one.dawdle()
        moment = path.deed(one)
        if leaks:
            check_leak(one, path, moment, variant)
        elif path.wanted:
            check_wanted(one, path, moment, variant)
        else:
            check_cancelled(one, path, moment, variant)

    return measured


def check_cancelled(cell: Cell, path: Path, moment: float, variant: str) -> None:
    """Check that the response of the try that has died ends in time, and nothing else does."""
    response_id = cell.response().id
    left = max(1.0, moment + path.within - time.time())
    try:
        cell.wait_for(lambda: cell.freddy.response(response_id).ended_at is not None, left)
    except TimeoutError:
        note(cell, path, variant, "LEFT RUNNING", None, "")
        raise
    response = cell.freddy.response(response_id)
    state = path.ends(cell.style)
    if state:
        cell.wait_for_state(state, path.tries)
    by = who_says_so(cell, path, response_id)
    note(cell, path, variant, response.status, response.ended_at - moment, by)
    assert response.status == "cancelled"
    assert by
    assert path.may_alarm or false_alarms(cell.airflow, cell.freddy, cell.run_id) == []
    if path.tries > 1:
        assert [response.status for response in cell.responses(path.tries)] == ["completed"]
    else:
        assert len(cell.responses()) == 1
    if path.kind == "mapped":
        assert [response.status for response in cell.siblings()] == ["processing", "processing"]


def who_says_so(cell: Cell, path: Path, response_id: str, seconds: float = 5) -> str:
    """Name who cancelled; the line in the log is written a moment after Freddy's answer."""
    end = time.monotonic() + seconds
    while not (by := who_cancelled(cell.airflow, cell.freddy, response_id, path.told)) and time.monotonic() < end:
        time.sleep(0.3)
    if not by and path.row == "7b":
        # A task process writes its log through its supervisor.
        return "task itself, which has lost its log"
    return by


def check_wanted(cell: Cell, path: Path, moment: float, variant: str) -> None:
    """Check that the task goes on as if nothing had happened, with the response that it waits for."""
    cell.wait_for_state(path.ends(cell.style), path.tries)
    statuses = [response.status for response in cell.responses()]
    note(cell, path, variant, "kept" if statuses == ["completed"] else "CANCELLED THOUGH WANTED", None, "")
    assert statuses == ["completed"]
    assert false_alarms(cell.airflow, cell.freddy, cell.run_id) == []


def check_leak(cell: Cell, path: Path, moment: float, variant: str) -> None:
    """Check that what is said not to be covered is not: the page must not promise less than what holds either."""
    response_id = cell.response().id
    time.sleep(max(0.0, moment + path.within - time.time()))
    status = cell.freddy.response(response_id).status
    if status == "processing":
        note(cell, path, variant, "LEFT RUNNING", None, "")
    else:
        ended = cell.freddy.response(response_id).ended_at
        by = who_says_so(cell, path, response_id)
        note(cell, path, variant, status, ended - moment, by)
    assert status == "processing"


def note(cell: Cell, path: Path, variant: str, outcome: str, seconds: float | None, by: str) -> None:
    """Write one line of the results."""
    line = {
        "row": path.row,
        "path": path.name,
        "style": cell.style,
        "variant": variant,
        "outcome": outcome,
        "seconds": None if seconds is None else round(max(0.0, seconds), 2),
        "by": by,
        "executor": cell.airflow.setting("CORE__EXECUTOR"),
        "database": cell.airflow.setting(DATABASE_SETTING).partition(":")[0].partition("+")[0],
        "airflow": f"{AIRFLOW[0]}.{AIRFLOW[1]}",
    }
    print(line)
    if RESULTS:
        with File(RESULTS).open("a") as file:
            file.write(json.dumps(line) + "\n")
