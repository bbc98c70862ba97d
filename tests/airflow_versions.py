"""What the tests have to know of the differences between Airflow versions, all in one place."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from airflow import __version__

AIRFLOW = tuple(int(part) for part in __version__.split(".")[:2])


def needs_airflow(version: str, because: str) -> pytest.MarkDecorator:
    """Run a test on this version and later ones only."""
    earliest = tuple(int(part) for part in version.split("."))
    return pytest.mark.skipif(earliest > AIRFLOW, reason=f"Airflow {version} and later: {because}")


def not_on_airflow(*versions: str, because: str) -> pytest.MarkDecorator:
    """Run a test on all versions but these."""
    this = f"{AIRFLOW[0]}.{AIRFLOW[1]}"
    return pytest.mark.skipif(this in versions, reason=f"not on Airflow {', '.join(versions)}: {because}")


def create_database() -> None:
    """Create the tables in the database of the tests' Airflow home."""
    from airflow.utils.db import initdb

    initdb()
    if AIRFLOW < (3, 1):
        # Its database migration sets up the logging of the whole process anew, without the lines of tasks.
        from airflow.logging_config import configure_logging

        configure_logging()
    if AIRFLOW == (3, 0):
        # In dag.test() it leaves the log of tasks to structlog's defaults, which break the lines of errors.
        import structlog

        plain = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
        structlog.configure(
            processors=[structlog.processors.add_log_level, plain],
            wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        )


def dag_bag(folder: Path | None = None) -> Any:
    """Read the DAG files of a folder, by default of the configured one."""
    if AIRFLOW >= (3, 2):
        from airflow.dag_processing.dagbag import DagBag
    else:
        from airflow.models.dagbag import DagBag
    return DagBag(dag_folder=str(folder) if folder else None)


def run_in_process(dag: Any, conf: dict[str, Any]) -> Any:
    """Run a DAG with ``dag.test()`` and return its run."""
    try:
        return dag.test(run_conf=conf)
    except BaseException as error:
        # On Airflow 2 it passes a task's execution_timeout on, when the task itself has been dealt with.
        if type(error).__name__ != "AirflowTaskTimeout":
            raise
        from airflow.models.dagrun import DagRun

        return DagRun.find(dag_id=dag.dag_id)[-1]


def log_of_run(printed: str, logged: str) -> str:
    """Return what a run printed, its log among it, and what went through ``logging``, no message of that twice."""
    if AIRFLOW < (3, 1):
        # There, what goes through ``logging`` is printed, too, in lines that begin with the time in brackets.
        return "".join(line for line in printed.splitlines(keepends=True) if not line.startswith("[20")) + logged
    # It may be printed here, too, when another test has had Airflow set up its logging.
    messages = [words[2] for line in logged.splitlines() if len(words := line.split(maxsplit=2)) == 3]
    once = (line for line in printed.splitlines(keepends=True) if not any(message in line for message in messages))
    return "".join(once) + logged


def dag_to_dict(dag: Any) -> dict[str, Any]:
    """Serialize a DAG as Airflow does it for its database."""
    return _dag_serialization().to_dict(dag)


def dag_from_dict(data: dict[str, Any]) -> Any:
    """Read what Airflow's database holds of a DAG."""
    return _dag_serialization().from_dict(data)


def validate_dag_dict(data: dict[str, Any]) -> None:
    """Check it against Airflow's schema of serialized DAGs."""
    _dag_serialization().validate_schema(data)


def _dag_serialization() -> Any:
    if AIRFLOW >= (3, 2):
        from airflow.serialization.serialized_objects import DagSerialization

        return DagSerialization
    from airflow.serialization.serialized_objects import SerializedDAG

    return SerializedDAG


def stored_xcoms(dag_id: str, run_id: str) -> dict[tuple[str, str, int], Any]:
    """Return the XComs of a run, by task, key and map index."""
    from airflow.utils.session import create_session

    if AIRFLOW >= (3, 0):
        from airflow.models.xcom import XComModel as Model

        value_of = Model.deserialize_value
    else:
        from airflow.models.xcom import XCom as Model

        def value_of(row: Any) -> Any:
            return row.value

    with create_session() as session:
        rows = session.query(Model).filter_by(dag_id=dag_id, run_id=run_id).all()
        return {(row.task_id, row.key, row.map_index): value_of(row) for row in rows}


def send_metrics() -> None:
    """Set up Airflow's metrics to go to StatsD, as it does for the process of a task."""
    if AIRFLOW >= (3, 2):
        from airflow.sdk.observability.metrics.statsd_logger import get_statsd_logger
    else:
        from airflow.metrics.statsd_logger import get_statsd_logger
    _initialize_stats(get_statsd_logger)


def drop_metrics() -> None:
    """Set up Airflow's metrics as they are by default."""
    if AIRFLOW >= (3, 2):
        from airflow.sdk._shared.observability.metrics.base_stats_logger import NoStatsLogger
    else:
        from airflow.metrics.base_stats_logger import NoStatsLogger
    _initialize_stats(NoStatsLogger)


def _initialize_stats(factory: Any) -> None:
    if AIRFLOW >= (3, 3):
        from airflow.sdk.observability import stats

        stats.initialize(factory=factory, export_legacy_names=False)
    elif AIRFLOW >= (3, 2):
        from airflow.sdk.observability.stats import Stats

        Stats.initialize(factory=factory)
    else:
        from airflow.stats import Stats

        type(Stats).factory, Stats.instance = factory, None
