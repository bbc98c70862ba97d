"""
Write the results of the matrix into docs/guarantees.md, between the markers of the executor that they come from.

``python -m tests.kill_matrix.report results.jsonl ...``
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Iterable
from pathlib import Path

from . import cluster, paths

PAGE = Path(__file__).parent.parent.parent / "docs" / "guarantees.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
BEGIN_CELERY, END_CELERY = "<!-- measured on Celery: begin -->", "<!-- measured on Celery: end -->"
MARKERS = {"LocalExecutor": (BEGIN, END), "CeleryExecutor": (BEGIN_CELERY, END_CELERY)}
#: The styles that have a way. What is written today waits in the worker.
STYLES_OF = {
    path.name: {*path.styles, *([paths.TODAY] if paths.OPERATOR in path.styles else [])}
    for path in [*paths.EVERY_PATH, *cluster.EVERY_PATH]
}
#: Ways stand in the order of the matrix, whatever was run first.
ORDER = {name: number for number, name in enumerate(STYLES_OF)}
DATABASES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}

STYLES = {
    "operator": "operator in the worker",
    "deferrable": "operator, deferrable",
    "function": "plain `@task` function",
    "today": "without this provider",
}

Results = list[dict[str, object]]


def main(files: Iterable[str]) -> None:
    """Read the results and write the page."""
    results = [json.loads(line) for file in files for line in Path(file).read_text().splitlines()]
    for executor in dict.fromkeys(one["executor"] for one in results):
        begin, end = MARKERS[executor]
        before, rest = PAGE.read_text().split(begin)
        _, after = rest.split(end)
        text = tables([one for one in results if one["executor"] == executor])
        PAGE.write_text(f"{before}{begin}\n\n{text}\n{end}{after}")
        print(text)


def tables(results: Results) -> str:
    """Return all tables in Markdown."""
    plain = [one for one in results if "watchdog off" not in str(one["variant"])]
    without = [one for one in results if "watchdog off" in str(one["variant"])]
    styles = [style for style in STYLES if any(one["style"] == style for one in plain)]
    parts = [
        _count("With the provider as it comes", [one for one in plain if one["style"] != "today"]),
        table("A task that waits for Freddy ...", plain, styles),
    ]
    if without:
        parts += [
            _count("With the watchdog turned off", without),
            table("A task that waits for Freddy ...", without, ["operator", "function"]),
        ]
    return "\n\n".join(parts) + "\n"


def table(title: str, results: Results, styles: list[str]) -> str:
    """Return one table: a line for every path, a column for every style."""
    lines = [
        f"| | {title} | " + " | ".join(STYLES[style] for style in styles) + " |",
        "| --- " * (len(styles) + 2) + "|",
    ]
    rows = dict.fromkeys((one["row"], one["path"], one["variant"]) for one in results)
    for row, path, variant in sorted(rows, key=lambda one: ORDER.get(str(one[1]), len(ORDER))):
        cells = [
            cell(
                [one for one in results if (one["path"], one["variant"], one["style"]) == (path, variant, style)],
                possible=style in STYLES_OF.get(str(path), STYLES),
            )
            for style in styles
        ]
        lines.append(f"| {row} | {path}{_in_words(str(variant))} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _in_words(variant: str) -> str:
    if "guard_all_dags" in variant:
        return ", in an Airflow with `guard_all_dags`"
    if "guarded" in variant:
        return ", in a guarded DAG"
    return ", in a DAG that is not guarded" if variant else ""


def cell(results: Results, *, possible: bool = True) -> str:
    """Return what happened in all repeats of a cell, or whether the style has this way at all."""
    if not results:
        return "not measured" if possible else "-"
    parts = []
    for outcome in dict.fromkeys(one["outcome"] for one in results):
        same = [one for one in results if one["outcome"] == outcome]
        if outcome == "cancelled":
            seconds = [float(str(one["seconds"])) for one in same]
            by = ", ".join(dict.fromkeys(str(one["by"]) for one in same))
            worst = f" (max {max(seconds):.1f})" if len(same) > 1 else ""
            parts.append(f"{by}: {statistics.median(seconds):.1f} s{worst}, {_times(len(same))}")
        else:
            loud = f"**{outcome.lower()}**" if outcome != "kept" else "kept, as it should be"
            parts.append(f"{loud}, {_times(len(same))}")
    return "; ".join(parts)


def _times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number} times")


def _count(title: str, results: Results) -> str:
    left = [one for one in results if one["outcome"] == "LEFT RUNNING"]
    wrong = [one for one in results if one["outcome"] not in {"LEFT RUNNING", "cancelled", "kept"}]
    databases = " and ".join(dict.fromkeys(DATABASES[str(one["database"])] for one in results))
    return (
        f"{title}, on {databases}: {len(results)} measurements, {len(left)} with a response left running, "
        f"{len(wrong)} with one cancelled or ended that should not have been."
    )


if __name__ == "__main__":
    main(sys.argv[1:])
