"""The pages build with every warning an error, and what should break the build does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.docs.blocks import DOCS


def build(source: Path, output: Path) -> subprocess.CompletedProcess[str]:
    """Build as `make docs` does, with the configuration of the project."""
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", "-c", str(DOCS)]
    return subprocess.run([*command, str(source), str(output)], capture_output=True, text=True, timeout=240)


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    result = build(DOCS, tmp_path)
    assert result.returncode == 0, result.stderr
    assert "WARNING" not in result.stderr
    for name in ("index", "quickstart", "how-to/create-response", "guarantees", "api", "changelog", "contributing"):
        assert (tmp_path / f"{name}.html").stat().st_size > 5000
    api = (tmp_path / "api.html").read_text()
    assert 'id="airflow_provider_freddy.hooks.freddy.FreddyHook.create_response"' in api
    assert "how many looks in a row may fail, 5 by default" in api


LEADS_NOWHERE = {
    "[a page](gone.md)": "gone",
    "[a heading](#no-such-heading)": "no-such-heading",
    "{py:class}`~airflow_provider_freddy.hooks.freddy.FreddyHok`": "not found: airflow_provider_freddy.hooks",
    "{py:class}`FreddyHuk`": "not found: FreddyHuk",
    "```{no-such-directive}\n```": "no-such-directive",
}


def test_what_leads_nowhere_breaks_the_build(tmp_path: Path) -> None:
    pages = tmp_path / "pages"
    pages.mkdir()
    (pages / "index.md").write_text("# A page\n\n" + "\n\n".join(LEADS_NOWHERE))
    (pages / "orphan.md").write_text("# No table of contents has it\n")
    result = build(pages, tmp_path / "output")
    assert result.returncode == 1
    complaints = [line for line in result.stderr.splitlines() if "WARNING" in line]
    assert len(complaints) == len(LEADS_NOWHERE) + 1, result.stderr
    for expected in [*LEADS_NOWHERE.values(), "orphan.md"]:
        assert any(expected in line for line in complaints), result.stderr
