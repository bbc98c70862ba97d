"""
`make test-matrix`: the tests on several versions of Airflow and Python, each in a virtual environment of its own.

A version is written as 3.3, for Python 3.11 (or the one that runs this, where there is no 3.11), or as 3.3-py3.12.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parent.parent
THIS_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
# What the constraints are made for: the oldest versions of Airflow do not run on the newest Python.
DEFAULT_PYTHON = "3.11"


@dataclass
class Cell:
    """One combination, and what came of it."""

    airflow: str
    python: str
    counts: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    note: str = ""
    red: bool = False

    @classmethod
    def of(cls, name: str) -> Cell:
        airflow, _, python = name.partition("-py")
        return cls(airflow, python or (DEFAULT_PYTHON if find_python(DEFAULT_PYTHON) else THIS_PYTHON))

    @property
    def venv(self) -> Path:
        return ROOT / f".venv-{self.airflow}-py{self.python}"

    def run(self, tests: list[str], folder: Path) -> None:
        """Install, test, and read the counts from the report."""
        interpreter = find_python(self.python)
        if interpreter is None:
            self.red, self.note = True, f"there is no Python {self.python} here"
            return
        output = folder / f"{self.airflow}-py{self.python}.txt"
        report = output.with_suffix(".xml")
        install = ["make", "venv", f"AIRFLOW={self.airflow}", f"VENV={self.venv.name}", f"PYTHON={interpreter}"]
        install.append("GROUP=tests")
        check = [str(self.venv / "bin" / "python"), "-m", "pytest", "-q", f"--junitxml={report}", *tests]
        for step, command in (("install", install), ("tests", check)):
            begin = time.monotonic()
            with output.open("a") as file:
                done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
            self.seconds[step] = time.monotonic() - begin
            if done.returncode != 0:
                self.red, self.note = True, f"{step}: exit code {done.returncode}"
                break
        if report.exists():
            self.counts = read_counts(report)
        print(output.read_text() if self.red else last_lines(output), flush=True)


def find_python(version: str) -> str | None:
    """Return an interpreter of the version: this one, one on the path, or one of pyenv's."""
    if version == THIS_PYTHON:
        return sys.executable
    candidates = [shutil.which(f"python{version}")]
    candidates += sorted(map(str, Path.home().glob(f".pyenv/versions/{version}.*/bin/python")), reverse=True)
    for candidate in filter(None, candidates):
        # A launcher on the path may have no such version behind it.
        if subprocess.run([candidate, "-c", ""], capture_output=True).returncode == 0:
            return candidate
    return None


def read_counts(report: Path) -> dict[str, int]:
    suite = ElementTree.parse(report).getroot().find("testsuite")
    assert suite is not None
    counts = {name: int(suite.get(name, 0)) for name in ("tests", "failures", "errors", "skipped")}
    failed = counts["failures"] + counts["errors"]
    return {"passed": counts["tests"] - failed - counts["skipped"], "failed": failed, "skipped": counts["skipped"]}


def last_lines(output: Path) -> str:
    """Return why tests were skipped, and the summary."""
    lines = output.read_text().splitlines()
    return "\n".join([f"{output.stem}:", *[line for line in lines if line.startswith("SKIPPED")], *lines[-1:]])


def table(cells: list[Cell]) -> str:
    lines = [f"{'Airflow':8} {'Python':7} {'passed':>7} {'failed':>7} {'skipped':>8} {'install':>9} {'tests':>8}"]
    for cell in cells:
        numbers = [cell.counts.get(name, "-") for name in ("passed", "failed", "skipped")]
        times = [f"{cell.seconds[name]:.0f} s" if name in cell.seconds else "-" for name in ("install", "tests")]
        lines.append(
            f"{cell.airflow:8} {cell.python:7} {numbers[0]:>7} {numbers[1]:>7} {numbers[2]:>8} "
            f"{times[0]:>9} {times[1]:>8}  {cell.note}".rstrip()
        )
    return "\n".join(lines)


def main() -> int:
    """Run the combinations; the exit code tells whether one is red."""
    parser = argparse.ArgumentParser(prog="make test-matrix", description=__doc__)
    parser.add_argument("versions", nargs="+")
    parser.add_argument("--jobs", type=int, default=1, help="how many to run at the same time")
    parser.add_argument("--tests", default="tests", help="what to run, as arguments for pytest")
    arguments = parser.parse_args()
    cells = [Cell.of(name) for name in arguments.versions]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(arguments.jobs) as pool:
        for _ in pool.map(lambda cell: cell.run(arguments.tests.split(), Path(folder)), cells):
            pass
    print(f"\n{table(cells)}", flush=True)
    return 1 if any(cell.red for cell in cells) else 0


if __name__ == "__main__":
    sys.exit(main())
