"""The page with the guarantees has every way of the matrix, and says honestly what was measured."""

from __future__ import annotations

import json
from pathlib import Path as File

import pytest

from . import cluster, paths, report, test_as_today


def line(path: str, outcome: str, seconds: float | None, *, style: str = "function", by: str = "watchdog", **more: str):
    return {
        "row": "6a",
        "path": path,
        "style": style,
        "variant": "",
        "outcome": outcome,
        "seconds": seconds,
        "by": by,
        "executor": "LocalExecutor",
        "database": "sqlite",
    } | more


EVERY_PATH_OF = {"LocalExecutor": paths.EVERY_PATH, "CeleryExecutor": cluster.EVERY_PATH}


#: What may be left running, and is said to be: by executor, the way and the style, where the DAG is not guarded.
LEFT_RUNNING = {
    "LocalExecutor": {(path.name, style) for path in paths.UNCOVERED_WITHOUT_WATCHDOG for style in path.styles},
    "CeleryExecutor": {(path.name, style) for path in cluster.UNCOVERED for style in path.styles},
}


def cells_on_the_page(executor: str, path: paths.Path, style: str) -> dict[str, str]:
    """Return what the page says of a way in a style, by the words after the way's name."""
    begin, end = report.MARKERS[executor]
    found: dict[str, str] = {}
    columns: list[str] = []
    for text in report.PAGE.read_text().split(begin)[1].split(end)[0].splitlines():
        parts = [part.strip() for part in text.strip("|").split("|")]
        if parts[1:2] == ["A task that waits for Freddy ..."]:
            columns = parts
        elif parts[0] == path.row and report.STYLES[style] in columns:
            name, _, words = parts[1].partition(", in a")
            if name == path.name:
                found[words] = parts[columns.index(report.STYLES[style])]
    return found


@pytest.mark.parametrize(
    ("executor", "path", "style"),
    [
        pytest.param(executor, path, style, id=f"{executor}: {style} {path.name}")
        for executor, ways in EVERY_PATH_OF.items()
        for path in ways
        for style in path.styles
    ],
)
def test_every_cell_is_on_the_page_and_keeps_the_promise(executor: str, path: paths.Path, style: str) -> None:
    told = cells_on_the_page(executor, path, style)
    assert told
    for words, text in told.items():
        if words == " DAG that is not guarded" and (path.name, style) in LEFT_RUNNING[executor]:
            assert text.startswith("**left running**, ")
        elif path.wanted:
            assert text.startswith("kept, as it should be, ")
        else:
            assert ": " in text
        assert text.count("**") == 2 * text.startswith("**left running**, ")
        assert "; " not in text


@pytest.mark.parametrize("executor", EVERY_PATH_OF)
def test_names_tell_ways_apart(executor: str) -> None:
    names = [path.name for path in EVERY_PATH_OF[executor]]
    assert sorted(names) == sorted(set(names))


def test_the_baseline_takes_its_ways_from_the_matrix() -> None:
    named = test_as_today.COVERED | test_as_today.LEAKS
    assert named <= {path.name for path in paths.EVERY_PATH}


def test_ways_stand_in_the_order_of_the_matrix() -> None:
    first, second = paths.EVERY_PATH[0], paths.EVERY_PATH[-1]
    results = [line(one.name, "kept", None, row=one.row) for one in (second, first)]
    rows = report.table("", results, ["function"]).splitlines()[2:]
    assert [row.split(" | ")[1] for row in rows] == [first.name, second.name]


def test_a_leak_stands_out(tmp_path: File, monkeypatch: pytest.MonkeyPatch) -> None:
    page, results = tmp_path / "page.md", tmp_path / "results.jsonl"
    page.write_text(f"before {report.BEGIN} old {report.END} after")
    lines = [
        line("is killed", "cancelled", 0.5),
        line("is killed", "cancelled", 1.5),
        line("is killed", "LEFT RUNNING", None),
        line("is killed", "LEFT RUNNING", None, style="today"),
        line("goes on", "kept", None, style="operator"),
    ]
    results.write_text("".join(json.dumps(one) + "\n" for one in lines))
    monkeypatch.setattr(report, "PAGE", page)
    report.main([str(results)])
    text = page.read_text()
    assert text.startswith("before ")
    assert text.endswith(" after")
    assert " old " not in text
    assert "as it comes, on SQLite: 4 measurements, 1 with a response left running, 0 with one" in text
    killed = next(one for one in text.splitlines() if "is killed" in one)
    assert "watchdog: 1.0 s (max 1.5), twice; **left running**, once" in killed
    assert killed.endswith("| **left running**, once |")
    assert "| 6a | goes on | kept, as it should be, once |" in text
