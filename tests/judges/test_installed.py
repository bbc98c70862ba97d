"""The wheel in an environment of its own, as a user has it. Takes minutes: ``make judges``."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.judges.conftest import ROOT, Distribution, run

pytestmark = [pytest.mark.judges, pytest.mark.timeout(1600)]

CONSTRAINTS = next((ROOT / "constraints").glob("airflow-3.3.txt"))


@pytest.fixture(scope="module")
def environment(dist: Distribution, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel, and nothing but it and what it asks for; return the folder of the commands."""
    folder = tmp_path_factory.mktemp("user") / "venv"
    index = {"UV_INDEX_URL": os.environ["PIP_INDEX_URL"]} if "PIP_INDEX_URL" in os.environ else {}
    os.environ |= {name: value for name, value in index.items() if name not in os.environ}
    run("uv", "venv", "--quiet", "--python", sys.executable, folder)
    install(folder / "bin", str(dist.wheel))
    return folder / "bin"


def install(commands: Path, *what: str) -> None:
    run("uv", "pip", "install", "--quiet", "--python", commands / "python", "-c", CONSTRAINTS, *what, timeout=600)


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy everything but the package itself."""
    folder = tmp_path_factory.mktemp("elsewhere")
    for name in ("tests", "demo", "example_dags"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "CHANGELOG.md"):
        shutil.copy(ROOT / name, folder)
    return folder


def test_it_brings_all_that_it_needs(environment: Path, elsewhere: Path) -> None:
    run("uv", "pip", "check", "--python", environment / "python")
    code = (
        "import pkgutil, importlib, airflow_provider_freddy as package\n"
        "assert 'site-packages' in package.__file__, package.__file__\n"
        "for module in pkgutil.walk_packages(package.__path__, 'airflow_provider_freddy.'):\n"
        "    if '.testing' not in module.name:\n"
        "        importlib.import_module(module.name)\n"
    )
    environ = {"AIRFLOW_HOME": str(elsewhere / "home")}
    run(environment / "python", "-c", code, cwd=elsewhere, env=environ)
    listed = run(environment / "airflow", "providers", "list", "--output", "json", cwd=elsewhere, env=environ)
    assert "airflow-provider-freddy" in listed


def test_a_users_dag_is_type_checked_against_it(environment: Path, elsewhere: Path) -> None:
    install(environment, "mypy")
    folder = elsewhere / "typed"
    folder.mkdir()
    shutil.copy(ROOT / "tests" / "judges" / "user_dag.py", folder / "good.py")
    (folder / "bad.py").write_text(
        "from airflow_provider_freddy.hooks.freddy import FreddyHook\noutcome: int = FreddyHook().cancel_response(3)\n"
    )
    mypy = [environment / "mypy", "--strict", "--config-file", os.devnull]
    run(*mypy, "good.py", cwd=folder)
    wrong = subprocess.run([*mypy, "bad.py"], cwd=folder, capture_output=True, text=True, timeout=300).stdout
    assert "[arg-type]" in wrong
    assert "[assignment]" in wrong


def test_the_tests_pass_with_it(environment: Path, elsewhere: Path, dist: Distribution) -> None:
    install(environment, f"{dist.wheel}[testing]", "--group", f"{ROOT / 'pyproject.toml'}:dev")
    (elsewhere / "tests" / "unit" / "test_installed.py").write_text(
        "import airflow_provider_freddy\n\n\ndef test_it_is_the_installed_one():\n"
        "    assert 'site-packages' in airflow_provider_freddy.__file__\n"
    )
    tests = ["tests/unit", "tests/dag_runs", "tests/test_example_dags.py", "tests/test_what_airflow_sees.py"]
    options = ["-q", "-n", "2", "-p", "no:cacheprovider"]
    assert " passed" in run(environment / "python", "-m", "pytest", *options, *tests, cwd=elsewhere, timeout=1500)


def test_what_it_brings_has_no_known_hole(tmp_path: Path) -> None:
    """Of what Airflow itself does not bring; skipped where nobody who knows can be reached."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked_for = [*project["dependencies"], *project["optional-dependencies"]["testing"], "aiohttp", "urllib3"]
    ours = {re.split(r"[^\w-]", one)[0] for one in asked_for} - {"apache-airflow"}
    pins = [line for line in CONSTRAINTS.read_text().splitlines() if line.split("==")[0] in ours]
    assert len(pins) == len(ours)
    (tmp_path / "requirements.txt").write_text("\n".join(pins))
    command = [Path(sys.executable).with_name("pip-audit"), "--format", "json", "--progress-spinner", "off"]
    options = ["--timeout", "10", "--no-deps", "--disable-pip", "-r", "requirements.txt"]
    done = subprocess.run([*command, *options], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    try:
        audited = json.loads(done.stdout)["dependencies"]
    except ValueError:
        pytest.skip(f"no audit: {done.stderr[-300:]}")
    if all("skip_reason" in one for one in audited):
        pytest.skip("no audit: none of the packages could be looked up")
    assert [one for one in audited if one.get("vulns")] == []
