"""The page says what was measured on older Airflows, in every style."""

from __future__ import annotations

import json
from pathlib import Path as File

import pytest

from . import report, report_versions
from .test_on_every_version import usual_ways

VERSIONS = ["2.11", "3.0", "3.1", "3.2", "3.3"]


@pytest.mark.parametrize("path", usual_ways(), ids=lambda path: path.name)
def test_every_usual_way_is_on_the_page_for_every_version(path) -> None:
    measured = report.PAGE.read_text().split(report_versions.BEGIN)[1].split(report_versions.END)[0]
    title, lines = measured.strip().splitlines()[0], measured.splitlines()
    assert title.endswith("| style | " + " | ".join(f"Airflow {version}" for version in VERSIONS) + " |")
    for style in path.styles:
        (line,) = [line for line in lines if line.startswith(f"| {path.row} | {path.name} | {report.STYLES[style]} |")]
        told = [cell.strip() for cell in line.strip("|").split("|")][3:]
        known = [report_versions.is_known(path.row, version) for version in VERSIONS]
        assert [": " in cell for cell in told] == known
        assert "**" not in line


def test_versions_stand_side_by_side(tmp_path: File, monkeypatch: pytest.MonkeyPatch) -> None:
    page, results = tmp_path / "page.md", tmp_path / "results.jsonl"
    page.write_text(f"before {report_versions.BEGIN} old {report_versions.END} after")
    one = {"row": "1", "path": "fails", "style": "function", "variant": "", "outcome": "cancelled", "by": "task itself"}
    lines = [
        {**one, "airflow": "3.0", "seconds": 0.5},
        {**one, "airflow": "3.0", "outcome": "LEFT RUNNING", "seconds": None},
        {**one, "airflow": "2.11", "seconds": 0.2},
    ]
    results.write_text("".join(json.dumps(line) + "\n" for line in lines))
    monkeypatch.setattr(report_versions, "PAGE", page)
    report_versions.main([str(results)])
    assert page.read_text().splitlines() == [
        f"before {report_versions.BEGIN}",
        "",
        "|  | A task that waits for Freddy ... | style | Airflow 2.11 | Airflow 3.0 |",
        "| --- | --- | --- | --- | --- |",
        "| 1 | fails | plain `@task` function | task itself: 0.2 s, once "
        "| task itself: 0.5 s, once; **left running**, once |",
        "",
        f"{report_versions.END} after",
    ]
