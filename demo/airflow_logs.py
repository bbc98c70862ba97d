"""Read Airflow's log files: one JSON object a line becomes one line of readable text."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

# They say where in the code a line was written, not what happened.
PLACE_KEYS = frozenset({"logger", "filename", "lineno", "loc", "func_name"})


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
