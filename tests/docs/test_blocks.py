"""Every code block of the README and of the pages does what it says: it is run, resolved or looked up."""

from __future__ import annotations

import configparser
import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_freddy.connection import ConnectionSettings, read_connection
from airflow_provider_freddy.get_provider_info import get_provider_info
from airflow_provider_freddy.testing import FakeFreddy
from tests.airflow_versions import AIRFLOW
from tests.docs.blocks import BLOCKS, PAGES, RUN, SHOWN, Block, of_kind

TEST_BLOCKS = [block for block in of_kind("python") if block.is_test]
# Neither a DAG nor a test: a few lines that are simply run.
SCRIPTS = [block for block in of_kind("python") if not (block.is_test or block.is_conftest or block.dag_id is not None)]


def on_this_airflow(text: str) -> str:
    """Return code as the quickstart tells users of Airflow 2.11 to write it."""
    if AIRFLOW < (3, 0):
        return text.replace("from airflow.sdk import", "from airflow.providers.common.compat.sdk import")
    return text


def check_settings(settings: ConnectionSettings) -> None:
    """Check that an example names the key and the organization of all examples."""
    assert settings.api_key == "ak_..."
    assert settings.organization_id == "org_..."


def test_every_block_is_of_a_kind_that_a_test_knows() -> None:
    assert BLOCKS
    unknown = [f"{block}: {block.kind or 'no kind'}" for block in BLOCKS if block.kind not in RUN | SHOWN]
    assert unknown == []
    # Nor does a page have another kind of fence, which nobody would read.
    assert [page.name for page in PAGES if re.search(r"^ *(~~~|:::)", page.read_text(), flags=re.MULTILINE)] == []


def test_the_tests_pass(tmp_path: Path) -> None:
    names = {f"test_block_{number}.py": block for number, block in enumerate(TEST_BLOCKS)}
    for name, block in names.items():
        (tmp_path / name).write_text(on_this_airflow(block.text))
    (conftest,) = (block for block in of_kind("python") if block.is_conftest)
    (tmp_path / "conftest.py").write_text(conftest.text)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(tmp_path)]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    # What the page makes for the time of the tests goes with the test.
    environ["TMPDIR"] = str(tmp_path)
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path, env=environ)
    assert result.returncode == 0, f"{names}\n{result.stdout}{result.stderr}"
    assert all(f"{name} ." in result.stdout for name in names)


@pytest.mark.parametrize("block", SCRIPTS, ids=str)
def test_the_script_runs(block: Block, fake_freddy_connection: FakeFreddy) -> None:
    names: dict[str, Any] = {}
    exec(compile(on_this_airflow(block.text), str(block), "exec"), names)
    if "connection" in names:
        check_settings(read_connection(names["connection"]))


@pytest.mark.parametrize("block", of_kind("json"), ids=str)
def test_the_json_is_a_connection(block: Block, tmp_path: Path) -> None:
    check_settings(read_connection(_connection_of(json.loads(block.text), tmp_path)))


def _connection_of(value: dict[str, Any], tmp_path: Path) -> Any:
    """Return the connection of a file of connections, or the one that has the value as its extra."""
    from airflow.models.connection import Connection
    from airflow.secrets.local_filesystem import LocalFilesystemBackend

    if "freddy_default" in value:
        (tmp_path / "connections.json").write_text(json.dumps(value))
        backend = LocalFilesystemBackend(connections_file_path=str(tmp_path / "connections.json"))
        return backend.get_connection("freddy_default")
    return Connection(conn_id="freddy_default", conn_type="freddy", password="ak_...", extra=json.dumps(value))


@pytest.mark.parametrize("block", of_kind("ini"), ids=str)
def test_the_options_exist(block: Block) -> None:
    ini = configparser.ConfigParser(interpolation=None)
    ini.read_string(block.text)
    assert ini.sections()
    for section in ini.sections():
        for option, value in ini[section].items():
            check_option(section, option, value)
            if option == "backend":
                module, name = value.rsplit(".", 1)
                assert hasattr(importlib.import_module(module), name)
            if option == "backend_kwargs":
                assert isinstance(json.loads(value), dict)


def check_option(section: str, option: str, value: str) -> None:
    """Check that there is such an option, and that it takes the value."""
    from airflow.configuration import conf

    if section != "freddy":
        assert option in conf.configuration_description[section]["options"], f"[{section}] {option}"
        return
    described = get_provider_info()["config"]["freddy"]["options"][option]
    allowed = {"boolean": {"True", "False"}, "string": {"on", "off"}}
    assert value in allowed[described["type"]]
