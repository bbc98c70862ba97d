"""
The task's side of the watchdog, a small process that outlives the task's own.

A process that is killed outright (SIGKILL, out of memory, ``os._exit``) runs no more code, and on the last try
Airflow calls nothing for it either (Airflow 3.x). The watchdog holds the other end of a pipe: when the task's process
is gone without having taken its leave, it cancels what was running.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from airflow_provider_freddy.version_compat import supervisor_pid, tells_end_of_task

log = logging.getLogger(__name__)


class Watchdog:
    """The connection to the watchdog process of this process, which is started with it."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self._lock = threading.RLock()
        self._reader, self._pipe = os.pipe()
        supervisor = supervisor_pid()
        who = [self.owner] if supervisor is None else [self.owner, supervisor]
        # A session of its own: what kills the task's process group does not reach it. Its output goes nowhere,
        # because Airflow waits for the end of the task's output.
        self.process = subprocess.Popen(
            [sys.executable, "-m", "airflow_provider_freddy.watchdog.process", *map(str, who)],
            stdin=self._reader,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
        )
        os.close(self._reader)

    def tell(self, **message: Any) -> None:
        """
        Send one message.

        :param message: what :mod:`airflow_provider_freddy.watchdog.process` understands.
        """
        line = json.dumps(message).encode() + b"\n"
        with self._lock:
            while line:
                line = line[os.write(self._pipe, line) :]


_watchdog: Watchdog | None = None


def start() -> None:
    """
    Start the watchdog of this process unless it runs or is turned off; early, so that it is ready in time.

    Never raises: a task must not fail for want of a net.
    """
    global _watchdog
    if (_watchdog is not None and _watchdog.owner == os.getpid()) or not enabled():
        return
    if not tells_end_of_task():
        # It would cancel what a task that ended well has handed on.
        return
    try:
        _watchdog = Watchdog()
        if (log_file := _log_file()) is not None:
            _watchdog.tell(log_file=str(log_file))
    except Exception as error:
        log.warning("No watchdog: a kill of this process may leave its Freddy responses running. %s", error)


def watch(response_id: str, organization_id: str, session: dict[str, Any]) -> None:
    """
    Have a response cancelled when this process is killed.

    :param response_id: the response.
    :param organization_id: the organization that owns it.
    :param session: how to send, as ``sending.describe`` gives it. It holds the key: it goes through the pipe, into
        the memory of the watchdog, and nowhere else.
    """
    _tell(watch=response_id, organization_id=organization_id, session=session)


def release(response_id: str) -> None:
    """
    Tell the watchdog that a response has ended, or is to outlive the process.

    :param response_id: the response.
    """
    _tell(release=response_id)


def _tell(**message: Any) -> None:
    if _watchdog is None or _watchdog.owner != os.getpid():
        return
    try:
        _watchdog.tell(**message)
    except OSError as error:
        log.warning("The watchdog is gone: a kill of this process may leave Freddy responses running. %s", error)


def enabled() -> bool:
    """
    Tell whether tasks have a watchdog: ``[freddy] watchdog``, which is ``on`` (the default) or ``off``.

    Airflow's words for yes and no are taken as well; any other word is taken for ``on``, with a warning.
    """
    from airflow.providers.common.compat.sdk import conf

    setting = str(conf.get("freddy", "watchdog", fallback="on")).partition("#")[0].strip().lower()
    if setting in {"off", "false", "f", "0", "no"}:
        return False
    if setting not in {"on", "true", "t", "1", "yes"}:
        log.warning("[freddy] watchdog must be on or off, not %r: taken for on.", setting)
    return True


def _log_file() -> Path | None:
    """Return where the watchdog reports to: the task's log is closed when it has something to say."""
    from airflow.providers.common.compat.sdk import conf

    folder = Path(conf.get("logging", "base_log_folder", fallback="") or "/nowhere")
    return folder / "freddy-watchdog.log" if folder.is_dir() else None
