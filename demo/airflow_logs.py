"""Read Airflow's log files: one JSON object a line becomes one line of readable text."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from demo.airflow_setup import task_log_pattern

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

# They say where in the code a line was written, not what happened.
PLACE_KEYS = frozenset({"logger", "filename", "lineno", "loc", "func_name"})


class LogFiles:
    """The log files of the Airflow in a folder, and what its processes wrote to their outputs."""

    home: Path

    @property
    def logs_folder(self) -> Path:
        """The folder of Airflow's own log files."""
        return self.home / "logs"

    @property
    def _outputs(self) -> Path:
        return self.home / "outputs"

    def outputs_of(self, name: str) -> list[Path]:
        """Return the files of what the processes of the name wrote to their outputs."""
        return sorted(self._outputs.glob(f"{name}-*.txt"))

    def task_log_files(
        self, dag_id: str, run_id: str, task_id: str, try_number: int = 1, map_index: int = -1
    ) -> list[Path]:
        """Return the log files of one try: first the worker's, then those of triggerers."""
        pattern = task_log_pattern(dag_id, run_id, task_id, map_index, try_number)
        return sorted(self.logs_folder.glob(pattern))

    def task_log_raw(self, dag_id: str, run_id: str, task_id: str, try_number: int = 1, map_index: int = -1) -> str:
        """Return the lines of the log files of one try as Airflow wrote them."""
        files = self.task_log_files(dag_id, run_id, task_id, try_number, map_index)
        return "".join(file.read_text(errors="replace") for file in files)

    def task_log(self, dag_id: str, run_id: str, task_id: str, try_number: int = 1, map_index: int = -1) -> str:
        """Return the log of one try as readable text."""
        return readable(self.task_log_raw(dag_id, run_id, task_id, try_number, map_index))

    def logs_containing(self, text: str) -> list[Path]:
        """Return the log files and process outputs that contain the text."""
        return files_containing(text, [self.logs_folder, self._outputs])


def readable(raw: str) -> str:
    """Turn log lines into `time level event key=value`; lines that are not JSON stay as they are."""
    return "\n".join(_readable_line(line) for line in raw.splitlines())


def files_containing(text: str, folders: Iterable[Path]) -> list[Path]:
    """Return the files below the folders that contain the text."""
    wanted = text.encode()
    files = sorted(file for folder in folders for file in folder.rglob("*") if file.is_file())
    return [file for file in files if wanted in file.read_bytes()]


def _readable_line(line: str) -> str:
    try:
        record = json.loads(line)
    except ValueError:
        return line
    if not isinstance(record, dict):
        return line
    errors = record.pop("error_detail", None) or []
    head = [str(record.pop(key)) for key in ("timestamp", "level", "event") if key in record]
    extra = [f"{key}={value!r}" for key, value in record.items() if key not in PLACE_KEYS]
    return "\n".join([" ".join([*head, *extra]), *_error_lines(errors)])


def _error_lines(errors: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for error in errors:
        for frame in error.get("frames") or []:
            yield f"    {frame.get('filename')}:{frame.get('lineno')} in {frame.get('name')}"
        yield f"  {error.get('exc_type')}: {error.get('exc_value')}"
