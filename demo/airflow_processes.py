"""
Start processes, find them and all that they started, and end them: by process id, and never any other.

Every process gets one variable in its environment, the marker, with a value that exists only once.
Children inherit it, also those whose parent has died, so a process is ours if and only if it carries the
marker or descends from a process that does.
"""

from __future__ import annotations

import signal
import subprocess
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import psutil  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

MARKER_VARIABLE = "LOCAL_AIRFLOW_MARKER"
# Airflow sets process titles, which by default overwrites the environment that others see, marker included.
KEEP_ENVIRONMENT_VISIBLE = {"SPT_NOENV": "1"}
OUTPUT_TAIL_LINES = 40
KILL_SECONDS = 10.0


class ProcessDiedError(RuntimeError):
    """A process ended although nobody asked it to."""


class OwnProcess:
    """One long-running process in a session of its own, so that Ctrl-C in a terminal does not reach it."""

    def __init__(
        self, name: str, command: Sequence[str], environ: Mapping[str, str], folder: Path, output: Path
    ) -> None:
        self.name = name
        self.started = datetime.now(UTC)
        self._command = list(command)
        self._environ = dict(environ)
        self._folder = folder
        self._output = output
        self._popen: subprocess.Popen[bytes] | None = None
        self._output_before = 0
        self._may_end = False

    def start(self) -> None:
        """Start the process; its output is appended to what an earlier start wrote."""
        self.started = datetime.now(UTC)
        self._may_end = False
        with self._output.open("ab") as output:
            self._output_before = output.tell()
            self._popen = subprocess.Popen(
                self._command,
                env=self._environ,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process id of the latest start."""
        if self._popen is None:
            raise RuntimeError(f"{self.name} was never started")
        return self._popen.pid

    @property
    def running(self) -> bool:
        """Whether the process exists."""
        return self._popen is not None and self._popen.poll() is None

    @property
    def died(self) -> bool:
        """Whether the process ended although nobody asked it to."""
        return self._popen is not None and not self._may_end and self._popen.poll() is not None

    def signal(self, sig: signal.Signals) -> None:
        """Send the signal, after which the process may end; wait for the end when it cannot be avoided."""
        self._may_end = True
        if self._popen is not None and self.running:
            self._popen.send_signal(sig)
            if sig == signal.SIGKILL:
                self._popen.wait(KILL_SECONDS)

    def wait(self, seconds: float) -> bool:
        """Wait for the end of the process and tell whether it has ended."""
        if self._popen is None:
            return True
        try:
            self._popen.wait(max(0.0, seconds))
        except subprocess.TimeoutExpired:
            return False
        return True

    def output(self) -> str:
        """Return all that the process wrote."""
        return self._output.read_text(errors="replace") if self._output.exists() else ""

    def output_since_start(self) -> str:
        """Return what the process wrote since its latest start."""
        return self._output.read_bytes()[self._output_before :].decode(errors="replace")

    def raise_if_died(self) -> None:
        """Raise with the end of the output if the process ended although nobody asked it to."""
        if self.died:
            code = self._popen.returncode if self._popen else None
            tail = "\n".join(self.output().splitlines()[-OUTPUT_TAIL_LINES:])
            raise ProcessDiedError(f"{self.name} ended with exit code {code}:\n{tail}")


def owned_processes(marker: str) -> list[psutil.Process]:
    """Return every process that carries the marker or descends from one that does."""
    everyone = {process.pid: process for process in psutil.process_iter(["ppid"])}
    children: dict[int, list[int]] = {}
    for pid, process in everyone.items():
        children.setdefault(process.info["ppid"], []).append(pid)
    found: set[int] = set()
    pending = [pid for pid, process in everyone.items() if _carries(process, marker)]
    while pending:
        pid = pending.pop()
        if pid not in found:
            found.add(pid)
            pending += children.get(pid, [])
    return [everyone[pid] for pid in sorted(found)]


def owned_process(pid: int, marker: str) -> psutil.Process:
    """Return the process with the id; raise LookupError when it is gone or not ours."""
    for process in owned_processes(marker):
        if process.pid == pid:
            return process
    raise LookupError(f"process {pid} does not exist or was not started here")


def descendants(pid: int) -> list[psutil.Process]:
    """Return all that the process has started, directly or not, as far as its parents still exist."""
    try:
        found: list[psutil.Process] = psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    return found


def signal_all(processes: Sequence[psutil.Process], sig: signal.Signals) -> None:
    """
    Send the signal to each, and return after SIGKILL when they are gone.

    psutil compares the start time of the process first, so a process id that was given anew is safe.
    """
    for process in processes:
        try:
            process.send_signal(sig)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue  # Gone, or run by another user since; the others must get the signal all the same.
    if sig == signal.SIGKILL:
        _wait_until_gone(processes)


def _wait_until_gone(processes: Sequence[psutil.Process], seconds: float = KILL_SECONDS) -> None:
    """Wait for the end of the processes; a zombie counts as gone, it only waits for its parent."""
    deadline = time.monotonic() + seconds
    while any(_is_alive(process) for process in processes) and time.monotonic() < deadline:
        time.sleep(0.02)


def end_all(processes: Sequence[OwnProcess], marker: str, patience: float) -> None:
    """End the processes and all that they started: SIGTERM, a bounded wait, then SIGKILL for what is left."""
    before = owned_processes(marker)
    try:
        for process in processes:
            process.signal(signal.SIGTERM)
        deadline = time.monotonic() + patience
        for process in processes:
            process.wait(deadline - time.monotonic())
    finally:
        signal_all(before, signal.SIGKILL)
        _kill_until_gone(marker)
        for process in processes:
            process.wait(KILL_SECONDS)


def _kill_until_gone(marker: str) -> None:
    # A process may be born, or be invisible between fork and exec, while others are being killed: one empty
    # look is not enough.
    deadline = time.monotonic() + KILL_SECONDS
    empty_looks = 0
    while empty_looks < 2 and time.monotonic() < deadline:
        left = [process for process in owned_processes(marker) if _is_alive(process)]
        empty_looks = 0 if left else empty_looks + 1
        signal_all(left, signal.SIGKILL)
        time.sleep(0.05)


def _carries(process: psutil.Process, marker: str) -> bool:
    try:
        return bool(process.environ().get(MARKER_VARIABLE) == marker)
    except (psutil.Error, OSError):
        return False  # Gone, a zombie, or of another user: in no case ours to end.


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
