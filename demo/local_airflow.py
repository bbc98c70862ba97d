"""A real Airflow in a temporary folder: database, API server, scheduler, DAG processor and triggerers."""

from __future__ import annotations

import shutil
import signal
import tempfile
import threading
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from demo.airflow_api import AirflowApi, WaitTimeoutError
from demo.airflow_logs import LogFiles
from demo.airflow_processes import OwnProcess, descendants, end_all, owned_process, owned_processes, signal_all
from demo.airflow_setup import (
    COMPONENTS,
    HOST,
    REST_API_VERSION,
    TASK_API_PATH,
    airflow_command,
    create_database,
    environment,
    free_ports,
    task_process_ids,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import FrameType, TracebackType

START_SECONDS = 120.0
# The triggerer takes ten seconds to leave in good order, which nobody needs of a throw-away installation.
STOP_PATIENCE_SECONDS = 2.0


@dataclass(frozen=True)
class TaskProcesses:
    """The processes of a running task instance; the supervisor is None when it was killed before."""

    supervisor_pid: int | None
    task_pid: int


class LocalAirflow(AirflowApi, LogFiles):
    """
    Start Airflow on entry; on exit end every process that it started and remove its folder.

    `config` overrides settings by names like "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT", `env` adds other
    variables to the environment of the processes. `workers` are those of Celery, for a `config` with its executor.
    A `home` that is given is kept, like all with `keep`.
    """

    def __init__(
        self,
        dags_folder: Path,
        *,
        env: Mapping[str, str] | None = None,
        config: Mapping[str, str] | None = None,
        triggerers: int = 1,
        workers: int = 0,
        home: Path | None = None,
        keep: bool = False,
        on_progress: Callable[[str], None] | None = None,
    ) -> None:
        [self._port] = free_ports(1)
        super().__init__(f"http://{HOST}:{self._port}", REST_API_VERSION)
        self.seconds: dict[str, float] = {}
        self._dags_folder = dags_folder.resolve()
        self._env = dict(env or {})
        self._config = dict(config or {})
        self._given_home = home
        self._keep = keep or home is not None
        self._tell = on_progress or (lambda _: None)
        self._marker = uuid.uuid4().hex
        numbers = {"triggerer": triggerers, "worker": workers}
        self._numbers = {name: number for name in COMPONENTS if (number := numbers.get(name, 1))}
        self._processes: dict[str, list[OwnProcess]] = {name: [] for name in self._numbers}
        self._former_handlers: dict[signal.Signals, Any] = {}

    # -- start and end -------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        """Start everything and return when all of it is ready."""
        self.home = (self._given_home or Path(tempfile.mkdtemp(prefix="airflow-"))).resolve()
        try:
            self._leave_in_order_when_terminated()
            self._start_everything()
        except BaseException:
            self._end_everything()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End every process, whatever happened, and remove the folder."""
        self._tell("stopping Airflow")
        self._end_everything()

    def _start_everything(self) -> None:
        began = time.monotonic()
        self._outputs.mkdir(parents=True, exist_ok=True)
        self.logs_folder.mkdir(exist_ok=True)
        self._environ = environment(
            home=self.home,
            dags_folder=self._dags_folder,
            port=self._port,
            marker=self._marker,
            env=self._env,
            config=self._config,
        )
        self._tell("creating the database")
        create_database(self.home, self._environ)
        self.seconds["database"] = time.monotonic() - began
        self._tell("starting " + ", ".join(COMPONENTS[name].title for name in self._numbers))
        for name, number in self._numbers.items():
            for _ in range(number):
                self._add_process(name).start()
        for name in self._numbers:
            self._wait_until_ready(name, self._processes[name])
            self.seconds[name] = time.monotonic() - began
        self._wait_for_task_api()
        self.seconds["task API"] = time.monotonic() - began

    def _end_everything(self) -> None:
        began = time.monotonic()
        # It takes a few seconds at most, and an impatient second Ctrl-C would leave processes behind.
        for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self._handle_signal(sig, signal.SIG_IGN)
        try:
            end_all(self._every_process(), self._marker, STOP_PATIENCE_SECONDS)
        finally:
            self.close()
            if not self._keep:
                shutil.rmtree(self.home, ignore_errors=True)
            for sig, handler in self._former_handlers.items():
                signal.signal(sig, handler)
            self.seconds["stop"] = time.monotonic() - began

    def _leave_in_order_when_terminated(self) -> None:
        # By default these signals end Python at once, without this object's __exit__: a closed terminal or a
        # cancelled build would leave all processes behind.
        for sig in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(sig) is signal.SIG_DFL:
                self._handle_signal(sig, _exit_on_signal)

    def _handle_signal(self, sig: signal.Signals, handler: Any) -> None:
        former = signal.getsignal(sig)
        # Python accepts handlers in its main thread only, and restores none that it has not set (None).
        if threading.current_thread() is threading.main_thread() and former is not None:
            self._former_handlers.setdefault(sig, former)
            signal.signal(sig, handler)

    # -- processes -----------------------------------------------------------------------------------------

    def start_process(self, name: str, *, wait: bool = True) -> int:
        """Start the first process of the name that is not running, or one more, and return its index."""
        stopped = [process for process in self._processes[name] if not process.running]
        process = stopped[0] if stopped else self._add_process(name)
        process.start()
        if wait:
            self._wait_until_ready(name, [process])
            self._wait_for_task_api()
        return self._processes[name].index(process)

    def stop_process(self, name: str, index: int = 0, *, timeout: float = 30) -> None:
        """Let the process end in good order; kill it and all its descendants when that takes too long."""
        process = self._processes[name][index]
        before = descendants(process.pid)
        process.signal(signal.SIGTERM)
        if not process.wait(timeout):
            process.signal(signal.SIGKILL)
            signal_all(before, signal.SIGKILL)

    def wait_for_end_of_process(self, name: str, index: int = 0, *, timeout: float = 60) -> None:
        """Wait until a process that was told to stop has done so."""
        if not self._processes[name][index].wait(timeout):
            raise WaitTimeoutError(f"{name} {index} still runs after {timeout} seconds")

    def kill_process(
        self,
        name: str,
        sig: signal.Signals = signal.SIGKILL,
        index: int = 0,
        *,
        with_descendants: bool = False,
    ) -> None:
        """Send the signal to the process. With all its descendants it is as if their machine were lost."""
        process = self._processes[name][index]
        # Looked up before the signal: afterwards nothing connects them with the process any more.
        below = descendants(process.pid) if with_descendants and process.running else []
        process.signal(sig)
        signal_all(below, sig)

    def process_pid(self, name: str, index: int = 0) -> int:
        """Return the id of the process."""
        return self._processes[name][index].pid

    def descendant_pids(self, name: str, index: int = 0) -> list[int]:
        """Return the ids of all that the process has started, directly or not."""
        return [process.pid for process in descendants(self.process_pid(name, index))]

    def process_output(self, name: str, index: int = 0) -> str:
        """Return what the process wrote to its output, over all its starts."""
        return self._processes[name][index].output()

    def setting(self, name: str) -> str:
        """Return a setting of the installation by its name in `config`."""
        return self._environ[f"AIRFLOW__{name}"]

    def owned_pids(self) -> list[int]:
        """Return the ids of all processes that this object started, directly or not."""
        return [process.pid for process in owned_processes(self._marker)]

    def kill_pid(self, pid: int, sig: signal.Signals = signal.SIGKILL) -> None:
        """Send the signal to a process, provided that this object has started it, directly or not."""
        signal_all([owned_process(pid, self._marker)], sig)

    def task_processes(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> TaskProcesses:
        """Return the ids of the processes of a running task instance."""
        instance = self.task_instance(dag_id, run_id, task_id, map_index)
        if instance.state != "running" or instance.pid is None:
            raise LookupError(f"not running: {instance}")
        parent_pid = owned_process(instance.pid, self._marker).ppid()
        supervisor_pid, task_pid = task_process_ids(instance.pid, parent_pid)
        # A process whose parent was killed becomes the child of a process that is not ours.
        return TaskProcesses(supervisor_pid if supervisor_pid in self.owned_pids() else None, task_pid)

    def triggerer_of(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1, timeout: float = 30) -> int:
        """Return the index of the triggerer process that holds the trigger of the deferred task."""

        def name() -> str | None:
            return self.task_instance(dag_id, run_id, task_id, map_index).triggerer

        return int(self._wait(f"triggerer of {task_id}", timeout, name).removeprefix("triggerer-"))

    def while_waiting(self) -> None:
        """End every wait when a process has died that nobody killed."""
        for process in self._every_process():
            process.raise_if_died()

    def _add_process(self, name: str) -> OwnProcess:
        index = len(self._processes[name])
        command = airflow_command(*(argument.format(index=index) for argument in COMPONENTS[name].arguments))
        output = self._outputs / f"{name}-{index}.txt"
        environ = self._environ
        if name == "triggerer":
            # The user name is stored with the triggerer's job: it tells several triggerers apart.
            environ = {**environ, "LOGNAME": f"{name}-{index}"}
        process = OwnProcess(f"{name} {index}", command, environ, self.home, output)
        self._processes[name].append(process)
        return process

    def _every_process(self) -> list[OwnProcess]:
        return [process for processes in self._processes.values() for process in processes]

    def _wait_until_ready(self, name: str, started: Sequence[OwnProcess]) -> None:
        component = COMPONENTS[name]
        job_type, words = component.job_type, component.says
        since = min(process.started for process in started)

        def ready() -> bool:
            if words:
                return all(words in process.output_since_start() for process in started)
            if job_type is None:
                return self.database_is_healthy()
            return self.running_jobs(job_type, since) >= len(started)

        self._wait(component.title, START_SECONDS, ready)
        self._tell(f"{component.title} ready" + (f": {self.url}" if name == "api-server" else ""))

    def _wait_for_task_api(self) -> None:
        self._wait("task API", START_SECONDS, lambda: self.answers(TASK_API_PATH))


def _exit_on_signal(signum: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + signum)
