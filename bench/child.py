"""
Calls a function in a fresh interpreter and returns its result.

Imports, sessions and memory of one sample must not be found by the next one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


class ChildError(RuntimeError):
    """The function in the other process did not return."""


def environment(home: str, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """
    Return the environment of a process that uses Airflow: nothing of the caller's own Airflow leaks in.

    :param home: Airflow's folder.
    :param more: further variables, such as connections.
    """
    inherited = {name: value for name, value in os.environ.items() if "AIRFLOW" not in name and "FREDDY" not in name}
    # Not compiling would make every import twice as dear as it is in an installation.
    inherited.pop("PYTHONDONTWRITEBYTECODE", None)
    return {
        **inherited,
        "AIRFLOW_HOME": home,
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        "PYTHONPATH": str(ROOT),
        **(more or {}),
    }


def call(
    function: str,
    *arguments: Any,
    more: Mapping[str, str] | None = None,
    timeout: float = 900,
    python: str = sys.executable,
) -> Any:
    """
    Call ``module:function`` with JSON-compatible arguments in a fresh interpreter.

    :param function: the function's module and name.
    :param arguments: what to call it with.
    :param more: further environment variables.
    :param timeout: seconds.
    :param python: the interpreter.
    :raises ChildError: if it raises, dies or takes too long.
    """
    with tempfile.TemporaryDirectory(prefix="freddy-bench-") as home:
        result = Path(home, "result.json")
        output = Path(home, "output.txt")
        with output.open("wb") as file:
            process = subprocess.Popen(
                [python, "-m", "bench.child", function, json.dumps(arguments), str(result)],
                env=environment(home, more),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
            try:
                process.wait(timeout)
            except subprocess.TimeoutExpired:
                pass
            finally:
                _end(process)
        if not result.exists():
            raise ChildError(f"{function}{arguments}: no result.\n{output.read_text(errors='replace')[-2000:]}")
        return json.loads(result.read_text())


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        # First in good order: it may have started a whole Airflow.
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def main() -> None:
    """Do as the arguments say."""
    target, arguments, result = sys.argv[1:]
    module, _, name = target.partition(":")
    value = getattr(import_module(module), name)(*json.loads(arguments))
    # Renamed when complete: a process that is killed must not leave half of it.
    Path(result + ".part").write_text(json.dumps(value))
    os.replace(result + ".part", result)


if __name__ == "__main__":
    main()
