"""
PostgreSQL and Redis for one run of the matrix: in a temporary folder, with nothing left of them afterwards.

``python -m tests.kill_matrix.servers`` says what is missing for a cluster.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar, Self

from demo.airflow_processes import KEEP_ENVIRONMENT_VISIBLE, MARKER_VARIABLE, OwnProcess, end_all
from demo.airflow_setup import HOST, free_ports

START_SECONDS = 30
DEBIAN = Path("/usr/lib/postgresql")


def program(name: str) -> str | None:
    """Return where a program is; Debian keeps those of PostgreSQL out of the PATH, a folder for each version."""
    folders = sorted(DEBIAN.glob("[0-9]*/bin"), key=lambda folder: -int(folder.parent.name))
    return shutil.which(name) or shutil.which(name, path=os.pathsep.join(map(str, folders)))


class Server:
    """A server process with a folder of its own."""

    name: ClassVar[str]
    programs: ClassVar[tuple[str, ...]]
    modules: ClassVar[tuple[str, ...]]
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    @classmethod
    def missing(cls) -> str:
        """Say what has to be installed; nothing if all is there."""
        if any(program(name) is None for name in cls.programs):
            return f"{cls.name} is not installed: apt-get install {cls.name}"
        absent = [name for name in cls.modules if find_spec(name) is None]
        return f"the Python packages of {cls.name} are not installed: {', '.join(absent)}" if absent else ""

    def __enter__(self) -> Self:
        """Start the server and return when it answers."""
        self._folder = Path(tempfile.mkdtemp(prefix=f"{self.name}-"))
        self._marker = uuid.uuid4().hex
        self._processes: list[OwnProcess] = []
        try:
            self.set_up()
            environ = {**os.environ, **KEEP_ENVIRONMENT_VISIBLE, MARKER_VARIABLE: self._marker}
            process = OwnProcess(self.name, self.command(), environ, self._folder, self._folder / "output.txt")
            self._processes.append(process)
            process.start()
            self._wait_until(self.answers)
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End the server, whatever happened, and remove its folder."""
        self.end()

    def end(self) -> None:
        for process in self._processes:
            process.signal(self.stop_signal)
            process.wait(10)
        end_all(self._processes, self._marker, 2)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _wait_until(self, answers: Callable[[], object]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            for process in self._processes:
                process.raise_if_died()
            try:
                answers()
            except Exception:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
            else:
                return

    def set_up(self) -> None:
        """Do what is needed before the start."""

    def command(self) -> list[str]:
        raise NotImplementedError

    def answers(self) -> None:
        """Raise unless the server answers."""
        raise NotImplementedError


class PostgreSQL(Server):
    """A PostgreSQL that listens on a socket in its folder, and nowhere else."""

    name = "postgresql"
    programs = ("initdb", "postgres")
    modules = ("asyncpg", "psycopg2")
    # With the others it waits for its clients.
    stop_signal = signal.SIGINT

    def set_up(self) -> None:
        if os.geteuid() == 0:
            user = _unprivileged_user()
            os.chown(self._folder, user.pw_uid, user.pw_gid)
        options = ["--username=airflow", "--auth=trust", "--no-locale", "--encoding=UTF8", "--no-sync"]
        # It trusts whoever reaches its socket, which is in a folder that nobody else can enter.
        command = [*_as_unprivileged_user(), program("initdb") or "", *options, "--pgdata", str(self._data)]
        done = subprocess.run(command, cwd=self._folder, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"initdb failed:\n{done.stdout}{done.stderr}")

    def command(self) -> list[str]:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self._folder),
            "max_connections": "300",
            # Nothing of it is to survive a crash.
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [*_as_unprivileged_user(), program("postgres") or "", "-D", str(self._data), *options]

    def answers(self) -> None:
        self._connect().close()

    def new_database(self) -> str:
        """Return the address of an empty database."""
        name = f"airflow_{uuid.uuid4().hex}"
        connection = self._connect()
        connection.autocommit = True
        connection.cursor().execute(f"CREATE DATABASE {name}")
        connection.close()
        return f"postgresql+psycopg2://airflow@/{name}?host={self._folder}"

    def _connect(self):
        import psycopg2

        return psycopg2.connect(host=str(self._folder), user="airflow", dbname="postgres")

    @property
    def _data(self) -> Path:
        return self._folder / "data"


class Redis(Server):
    """A Redis on a free port of this machine that keeps nothing."""

    name = "redis-server"
    programs = ("redis-server",)
    modules = ("redis",)

    def set_up(self) -> None:
        [self._port] = free_ports(1)

    def command(self) -> list[str]:
        options = ["--bind", HOST, "--port", str(self._port), "--save", "", "--appendonly", "no"]
        return [program("redis-server") or "", *options, "--dir", str(self._folder)]

    def answers(self) -> None:
        import redis

        with redis.Redis(HOST, self._port) as client:
            client.ping()

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self._port}/0"


def _unprivileged_user() -> pwd.struct_passwd:
    names = {user.pw_name for user in pwd.getpwall()}
    return pwd.getpwnam("postgres" if "postgres" in names else "nobody")


def _as_unprivileged_user() -> list[str]:
    """Return what to put before a command: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return []
    user = _unprivileged_user()
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]


if __name__ == "__main__":
    found = [missing for server in (PostgreSQL, Redis) if (missing := server.missing())]
    raise SystemExit("\n".join(found) or 0)
