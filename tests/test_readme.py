"""Every example of the README works."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.airflow_versions import AIRFLOW, dag_bag, needs_airflow

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PYTHON_BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
DAG_BLOCKS = [block for block in PYTHON_BLOCKS if "with DAG(" in block]
TEST_BLOCKS = [block for block in PYTHON_BLOCKS if "def test_" in block]
PICTURES = re.findall(r"\]\((docs/images/[^)]*)\)", README)
CONNECTIONS = re.findall(r"export AIRFLOW_CONN_FREDDY_DEFAULT='(.*)'", README)


def test_every_python_block_is_a_dag_or_a_test() -> None:
    assert len(PYTHON_BLOCKS) == len(DAG_BLOCKS) + len(TEST_BLOCKS)
    assert DAG_BLOCKS
    assert TEST_BLOCKS
    assert CONNECTIONS


def with_its_version(block: str) -> object:
    """Give a block its DAG's name, and leave it out where the README says that it needs a later Airflow."""
    needs = needs_airflow("3.2", "deadlines") if "DeadlineAlert" in block else ()
    needs = needs_airflow("3.3", "retry policies") if "retry_policy" in block else needs
    return pytest.param(block, id=re.search(r'DAG\(\s*"(\w+)"', block)[1], marks=needs)


@pytest.mark.parametrize("block", map(with_its_version, DAG_BLOCKS))
def test_the_dag_is_one(block: str, tmp_path: Path) -> None:
    if AIRFLOW < (3, 0):
        # As the README tells users of Airflow 2.11.
        block = block.replace("from airflow.sdk import", "from airflow.providers.common.compat.sdk import")
    (tmp_path / "dag.py").write_text(block)
    bag = dag_bag(tmp_path)
    assert bag.import_errors == {}
    assert len(bag.dags) == 1


@pytest.mark.parametrize("picture", PICTURES)
def test_the_picture_is_there_and_small(picture: str) -> None:
    assert 1_000 < (ROOT / picture).stat().st_size < 150_000


def test_the_quickstart_is_under_ten_lines() -> None:
    lines = [line for line in DAG_BLOCKS[0].splitlines() if line.strip()]
    assert len(lines) < 10


@pytest.mark.parametrize("block", TEST_BLOCKS)
def test_the_test_passes(block: str, tmp_path: Path) -> None:
    (tmp_path / "test_readme_block.py").write_text(block)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    environ = {**os.environ, "AIRFLOW_HOME": str(tmp_path / "home")}
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path, env=environ)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("text", CONNECTIONS)
def test_the_connection_is_read(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow_provider_freddy.hooks.freddy import FreddyHook

    monkeypatch.setenv("AIRFLOW_CONN_FREDDY_DEFAULT", text)
    settings = FreddyHook().settings
    assert settings.base_url == "https://api.freddy.aitronos.com"
    assert settings.organization_id == "org_..."
    assert settings.api_key == "ak_..."
