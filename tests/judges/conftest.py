"""Wheel and sdist, built from this source tree."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent.parent


class Distribution(NamedTuple):
    """What is uploaded."""

    wheel: Path
    sdist: Path


def run(*command: str | Path, cwd: Path = ROOT, env: dict[str, str] | None = None, timeout: int = 300) -> str:
    """Run a command of this environment or by its path, and return what it printed; it has to succeed."""
    program = Path(sys.executable).parent / command[0]
    words = [str(program if program.exists() else command[0]), *map(str, command[1:])]
    environ = {**os.environ, "NO_COLOR": "1", **(env or {})}
    done = subprocess.run(words, cwd=cwd, env=environ, capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


@pytest.fixture(scope="session")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Distribution:
    folder = tmp_path_factory.mktemp("dist")
    run("hatchling", "build", "-d", folder)
    [wheel], [sdist] = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return Distribution(wheel, sdist)
