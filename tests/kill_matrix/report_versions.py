"""
Write what was measured on every version of Airflow into docs/guarantees.md, between the markers.

``python -m tests.kill_matrix.report_versions versions-2.11.jsonl ...``
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path

from .report import PAGE, STYLES, Results, cell

BEGIN, END = "<!-- measured on versions: begin -->", "<!-- measured on versions: end -->"


def main(files: Iterable[str]) -> None:
    """Read the results and write the page."""
    results = [json.loads(line) for file in files for line in Path(file).read_text().splitlines()]
    before, rest = PAGE.read_text().split(BEGIN)
    _, after = rest.split(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n{table(results)}\n\n{END}{after}")
    print(table(results))


def table(results: Results) -> str:
    """Return a line for every way and style, a column for every version."""
    versions = sorted({str(one["airflow"]) for one in results}, key=_as_numbers)
    columns = ["", "A task that waits for Freddy ...", "style", *(f"Airflow {version}" for version in versions)]
    lines = ["| " + " | ".join(columns) + " |", "| --- " * len(columns) + "|"]
    for row, path in dict.fromkeys((one["row"], one["path"]) for one in results):
        for style, name in STYLES.items():
            of_style = [one for one in results if (one["path"], one["style"]) == (path, style)]
            if of_style:
                cells = [
                    cell([one for one in of_style if one["airflow"] == version], possible=is_known(row, version))
                    for version in versions
                ]
                lines.append(f"| {row} | {path} | {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def is_known(row: object, version: str) -> bool:
    """Tell whether a version has the way: deadlines came with 3.1."""
    return row != "10" or _as_numbers(version) >= [3, 1]


def _as_numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]


if __name__ == "__main__":
    main(sys.argv[1:])
