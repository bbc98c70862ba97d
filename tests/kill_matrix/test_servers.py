"""The servers of the matrix start, answer, and leave nothing behind; what is missing is named."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from demo.airflow_processes import owned_processes

from . import servers
from .servers import PostgreSQL, Redis, Server


@pytest.mark.skipif(bool(PostgreSQL.missing()), reason=PostgreSQL.missing())
def test_nothing_is_left_of_a_server() -> None:
    with PostgreSQL() as server:
        folder, marker = server._folder, server._marker
        assert server.new_database() != server.new_database()
        assert folder.is_dir()
        assert owned_processes(marker) != []
    assert not folder.exists()
    assert owned_processes(marker) == []


def test_nothing_is_left_of_a_server_that_cannot_start(monkeypatch: pytest.MonkeyPatch) -> None:
    folders: list[Path] = []

    class Broken(Redis):
        def command(self) -> list[str]:
            folders.append(self._folder)
            return ["sh", "-c", "echo no luck; exit 3"]

    with pytest.raises(RuntimeError, match="exit code 3:\nno luck"), Broken():
        pytest.fail("it must not start")
    [folder] = folders
    assert not folder.exists()


@pytest.mark.parametrize("server", [PostgreSQL, Redis], ids=lambda server: server.name)
def test_a_missing_package_is_named(server: type[Server], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "program", lambda name: None)
    assert server.missing().endswith(f": apt-get install {server.name}")


def test_a_program_of_debian_is_found_outside_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for version in ("9", "15", "x"):
        folder = tmp_path / version / "bin"
        folder.mkdir(parents=True)
        shutil.copy(shutil.which("true") or os.devnull, folder / "initdb")
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(servers, "DEBIAN", tmp_path)
    assert servers.program("initdb") == str(tmp_path / "15" / "bin" / "initdb")
    assert servers.program("postgres") is None
