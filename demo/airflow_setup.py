"""
What a temporary installation of Airflow needs: commands, settings, database.

All that differs between Airflow versions stands in this module.
"""

from __future__ import annotations

import base64
import os
import secrets
import socket
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING

from demo.airflow_processes import KEEP_ENVIRONMENT_VISIBLE, MARKER_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

HOST = "127.0.0.1"
MIGRATION_SECONDS = 300
DATABASE_SETTING = "DATABASE__SQL_ALCHEMY_CONN"


@dataclass(frozen=True)
class Component:
    """
    One kind of Airflow process.

    It is ready when a running job of its type is in the database, or when it says so.
    """

    title: str
    arguments: tuple[str, ...]
    job_type: str | None
    says: str = ""


# The log servers are not started: they listen on every network interface, and on one machine everybody reads
# the log files themselves.
AIRFLOW_3 = int(version("apache-airflow").split(".")[0]) >= 3
REST_API_VERSION = 2 if AIRFLOW_3 else 1

COMPONENTS = {
    "api-server": Component("API server", ("api-server" if AIRFLOW_3 else "webserver",), None),
    "scheduler": Component("scheduler", ("scheduler", "--skip-serve-logs"), "SchedulerJob"),
    "dag-processor": Component("DAG processor", ("dag-processor",), "DagProcessorJob"),
    "triggerer": Component("triggerer", ("triggerer", "--skip-serve-logs"), "TriggererJob"),
    "worker": Component(
        "Celery worker",
        ("celery", "worker", "--skip-serve-logs", "--celery-hostname", "worker-{index}"),
        None,
        says=" ready.",
    ),
}
if not AIRFLOW_3:
    # With SQLite its scheduler reads the DAG files itself.
    del COMPONENTS["dag-processor"]

# The API server builds what serves the tasks only when the first request for it comes, and answers nothing else
# during these seconds. Asking for it beforehand keeps the first task from running into a timeout.
TASK_API_PATH = "execution/health" if AIRFLOW_3 else "health"

# Settings for short waits on a small machine. The caller's `config` overrides each of them.
FAST_SETTINGS = {
    # A new or changed DAG file is noticed within a second or two, not within five minutes.
    "DAG_PROCESSOR__REFRESH_INTERVAL": "1",
    "DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": "1",
    # A changed file is parsed at once whatever this says; an unchanged one is not parsed again and again.
    "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "30",
    # Nor is its DAG taken for deleted when the machine is too busy to parse it in time.
    "DAG_PROCESSOR__STALE_DAG_THRESHOLD": "3600",
    # A changed DAG is stored at once.
    "CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "0",
    # The scheduler looks for work five times a second.
    "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
    # A task that was marked or cleared is stopped after one second, not after five.
    "WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
    # The scheduler starts all its worker processes in advance; more than a few only cost time.
    "CORE__PARALLELISM": "8",
    # Deferral timeouts are noticed within two seconds, not within fifteen.
    "SCHEDULER__TRIGGER_TIMEOUT_CHECK_INTERVAL": "2",
    # Output in files is read as plain text.
    "LOGGING__COLORED_CONSOLE_LOG": "False",
}
if not AIRFLOW_3:
    # The same under the names of Airflow 2.
    FAST_SETTINGS |= {
        "SCHEDULER__DAG_DIR_LIST_INTERVAL": "1",
        "SCHEDULER__MIN_FILE_PROCESS_INTERVAL": "1",
        "SCHEDULER__JOB_HEARTBEAT_SEC": "1",
        "SCHEDULER__LOCAL_TASK_JOB_HEARTBEAT_SEC": "1",
    }

# For tests that kill workers: the scheduler takes a task for lost after 10 seconds without a heartbeat (the
# heartbeat comes every second, so a busy machine has some room), not after 300.
FAST_LOST_WORKER = {
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "10",
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "1",
    # The names of Airflow 2.
    "SCHEDULER__SCHEDULER_ZOMBIE_TASK_THRESHOLD": "10",
    "SCHEDULER__ZOMBIE_DETECTION_INTERVAL": "1",
}

# For tests that kill a triggerer: another one takes its triggers over after 10 seconds, not after 30.
FAST_LOST_TRIGGERER = {
    "TRIGGERER__JOB_HEARTBEAT_SEC": "1",
    "TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "10",
}

# For tests that kill the scheduler: the next one adopts or resets its tasks after 10 seconds, not after 300.
FAST_LOST_SCHEDULER = {
    "SCHEDULER__JOB_HEARTBEAT_SEC": "1",
    "SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "10",
    "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "5",
}


def airflow_command(*arguments: str) -> list[str]:
    """Return the command line of Airflow in the Python environment that runs this code."""
    return [sys.executable, "-m", "airflow", *arguments]


def free_ports(count: int) -> list[int]:
    """Return different ports that nobody listens on."""
    listeners = [socket.socket() for _ in range(count)]
    try:
        for listener in listeners:
            listener.bind((HOST, 0))
        return [listener.getsockname()[1] for listener in listeners]
    finally:
        for listener in listeners:
            listener.close()


def environment(
    *,
    home: Path,
    dags_folder: Path,
    port: int,
    marker: str,
    env: Mapping[str, str],
    config: Mapping[str, str],
) -> dict[str, str]:
    """Return the environment of every process of the installation."""
    # Nothing of the caller's own Airflow may leak in: no settings, no connections, no variables.
    inherited = {name: value for name, value in os.environ.items() if "AIRFLOW" not in name}
    settings = {**_required_settings(home, dags_folder, port), **FAST_SETTINGS, **config}
    return {
        **inherited,
        **_local_traffic_without_proxy(),
        "AIRFLOW_HOME": str(home),
        **{f"AIRFLOW__{name}": value for name, value in settings.items()},
        "PYTHONUNBUFFERED": "1",
        # Airflow's and its libraries' usage statistics are not for a throw-away installation.
        "SCARF_ANALYTICS": "false",
        "DO_NOT_TRACK": "1",
        # Airflow 2 runs several tasks at a time with SQLite only when told that this is a test.
        "_AIRFLOW__SKIP_DATABASE_EXECUTOR_COMPATIBILITY_CHECK": "1",
        **env,
        **KEEP_ENVIRONMENT_VISIBLE,
        MARKER_VARIABLE: marker,
    }


def _required_settings(home: Path, dags_folder: Path, port: int) -> dict[str, str]:
    url = f"http://{HOST}:{port}"
    # Nobody listens there. Without own ports the UI could ask another Airflow on this machine for logs.
    worker_log_port, trigger_log_port = free_ports(2)
    return {
        "CORE__DAGS_FOLDER": str(dags_folder),
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__EXECUTOR": "LocalExecutor",
        # Everybody is an administrator without a login; the API server listens on this machine only.
        "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "CORE__FERNET_KEY": base64.urlsafe_b64encode(os.urandom(32)).decode(),
        "API__SECRET_KEY": secrets.token_hex(32),
        "API_AUTH__JWT_SECRET": secrets.token_hex(64),
        # Airflow 3.0 cannot do without one, with newer versions of its JWT library.
        "API_AUTH__JWT_ISSUER": "local",
        "API__HOST": HOST,
        "API__PORT": str(port),
        "API__BASE_URL": url,
        "API__WORKERS": "1",
        "CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        # The default asks the name service for the full name, which can take seconds without a network.
        "CORE__HOSTNAME_CALLABLE": "socket.gethostname",
        DATABASE_SETTING: _sqlite_url(home),
        "LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "LOGGING__WORKER_LOG_SERVER_PORT": str(worker_log_port),
        "LOGGING__TRIGGER_LOG_SERVER_PORT": str(trigger_log_port),
        "USAGE_DATA_COLLECTION__ENABLED": "False",
        **({} if AIRFLOW_3 else _required_settings_of_airflow_2(home, port)),
    }


def _required_settings_of_airflow_2(home: Path, port: int) -> dict[str, str]:
    return {
        "WEBSERVER__WEB_SERVER_HOST": HOST,
        "WEBSERVER__WEB_SERVER_PORT": str(port),
        "WEBSERVER__WORKERS": "1",
        "WEBSERVER__SECRET_KEY": secrets.token_hex(32),
        "WEBSERVER__CONFIG_FILE": str(home / "webserver_config.py"),
        # With the role in that file: everybody is an administrator without a login.
        "API__AUTH_BACKENDS": "airflow.api.auth.backend.default",
    }


def _local_traffic_without_proxy() -> dict[str, str]:
    names = ("NO_PROXY", "no_proxy")
    hosts = [host for name in names for host in os.environ.get(name, "").split(",") if host]
    return dict.fromkeys(names, ",".join(dict.fromkeys([*hosts, HOST, "localhost"])))


_empty_database: bytes | None = None


def create_database(home: Path, environ: Mapping[str, str]) -> None:
    """Create Airflow's tables; the empty SQLite database is made once per Python process, then copied."""
    global _empty_database
    # An empty file stops Airflow from writing its own with all defaults, which its processes would do at once.
    (home / "airflow.cfg").touch()
    if not AIRFLOW_3:
        (home / "webserver_config.py").write_text("AUTH_ROLE_PUBLIC = 'Admin'\n")
    file = _database(home)
    can_copy = environ[f"AIRFLOW__{DATABASE_SETTING}"] == _sqlite_url(home) and not file.exists()
    if can_copy and _empty_database is not None:
        file.write_bytes(_empty_database)
        return
    _migrate(home, environ)
    # A log file beside the database would mean that the database alone is not complete.
    if can_copy and not file.with_name(file.name + "-wal").exists():
        _empty_database = file.read_bytes()


def _migrate(home: Path, environ: Mapping[str, str]) -> None:
    done = subprocess.run(
        airflow_command("db", "migrate"),
        env=dict(environ),
        cwd=home,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=MIGRATION_SECONDS,
        check=False,
        start_new_session=True,
    )
    if done.returncode != 0:
        raise RuntimeError(f"airflow db migrate failed with exit code {done.returncode}:\n{done.stdout}")


def _database(home: Path) -> Path:
    return home / "airflow.db"


def _sqlite_url(home: Path) -> str:
    # Seconds to wait for the one writer that SQLite allows; the default of 5 is short for a busy machine.
    return f"sqlite:///{_database(home)}?timeout=15"


def task_log_pattern(dag_id: str, run_id: str, task_id: str, map_index: int, try_number: int) -> str:
    """Return the pattern, in the logs folder, of the files of one try: the worker's and the triggerers'."""
    index = f"map_index={map_index}/" if map_index >= 0 else ""
    return f"dag_id={dag_id}/run_id={run_id}/task_id={task_id}/{index}attempt={try_number}.log*"


def task_process_ids(pid: int, parent_pid: int) -> tuple[int, int]:
    """
    Return the ids of supervisor and task process, from the id in the task instance and its parent's.

    The task instance holds the id of the process that runs the user's code. Its parent supervises it.
    """
    return parent_pid, pid
