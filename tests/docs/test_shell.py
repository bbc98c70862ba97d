"""Every command on the pages is one: what is cheap is run, the rest is checked for its words."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from importlib.metadata import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import requests

from airflow_provider_freddy.connection import read_connection
from airflow_provider_freddy.hooks.freddy import FreddyHook
from airflow_provider_freddy.testing import FakeFreddy
from tests.airflow_versions import AIRFLOW
from tests.docs.blocks import ROOT, Block, of_kind, shell_lines
from tests.docs.test_blocks import check_option, check_settings, on_this_airflow
from tests.docs.test_dags import DAG_BLOCKS

COMMANDS = [(block, line) for block in of_kind("shell") for line in shell_lines(block)]


def _id(value: Any) -> str | None:
    return str(value) if isinstance(value, Block) else " ".join(str(value).split()[:3])


@pytest.mark.usefixtures("_database")
@pytest.mark.parametrize(("block", "line"), COMMANDS, ids=_id)
def test_the_command_is_one(block: Block, line: str, fake_freddy: FakeFreddy, monkeypatch: pytest.MonkeyPatch) -> None:
    words = shlex.split(line)
    name = "python" if line.startswith("python -m airflow_provider_freddy.testing") else words[0]
    checks = {
        "make": check_make,
        "export": check_export,
        "pip": check_pip,
        "python": check_fake,
        "curl": check_curl,
        "airflow": check_airflow,
    }
    assert name in checks, f"{block}: nobody knows how to check {words[0]!r}"
    checks[name](line, words[1:], fake_freddy, monkeypatch)


def check_make(line: str, arguments: list[str], *_: Any) -> None:
    """Have make say what it would do; a variable that the Makefile does not know would change nothing."""
    result = subprocess.run(["make", "-n", *arguments], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    makefile = (ROOT / "Makefile").read_text()
    for argument in arguments:
        if "=" in argument:
            assert f"$({argument.split('=')[0]}" in makefile


def check_export(line: str, arguments: list[str], _: FakeFreddy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the variable, and have its reader read it."""
    name, value = arguments[0].split("=", 1)
    monkeypatch.setenv(name, value)
    if option := re.fullmatch(r"AIRFLOW__([A-Z]+)__([A-Z_]+)", name):
        check_option(option[1].lower(), option[2].lower(), value)
    else:
        assert name == "AIRFLOW_CONN_FREDDY_DEFAULT"
        check_settings(FreddyHook().settings)


def check_pip(line: str, arguments: list[str], *_: Any) -> None:
    """Look for what is to be installed, and for its extras."""
    assert arguments[0] == "install"
    package, _, extras = arguments[1].rstrip("]").partition("[")
    known = metadata("airflow-provider-freddy")
    assert package == known["Name"]
    assert set(filter(None, extras.split(","))) <= set(known.get_all("Provides-Extra"))


def check_fake(line: str, arguments: list[str], *_: Any) -> None:
    """Start the fake, read the connection that it prints, and end it."""
    command = [sys.executable, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ}) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("Fake Freddy at http")
            assert process.stdout.readline().startswith("export AIRFLOW_CONN_FREDDY_DEFAULT=")
        finally:
            process.send_signal(signal.SIGINT)
        assert "0 left running" in process.stdout.read()
        assert process.wait(10) == 0


def check_curl(line: str, arguments: list[str], freddy: FakeFreddy, _: pytest.MonkeyPatch) -> None:
    """Run it, against the fake; where there is no curl, send what it would send."""
    if shutil.which("curl"):
        run_curl(line, freddy)
        return
    values = {"$FREDDY_BASE_URL": freddy.url, "$FREDDY_API_KEY": freddy.api_key}
    for name, value in values.items():
        arguments = [argument.replace(name, value) for argument in arguments]
    if arguments[:2] == ["-X", "DELETE"]:
        check_curl_delete(arguments[2:], freddy)
        return
    url, *options = arguments
    pairs = list(zip(options[::2], options[1::2], strict=True))
    assert {name for name, _ in pairs} == {"-H", "-d"}
    headers = dict(value.split(": ", 1) for name, value in pairs if name == "-H")
    (body,) = (value for name, value in pairs if name == "-d")
    reply = requests.post(url, headers=headers, data=body, timeout=10)
    assert reply.status_code == 200, reply.text
    assert freddy.left_running == [reply.json()["id"]]


def run_curl(line: str, freddy: FakeFreddy) -> None:
    """Have a shell run the line with the variables that it names; a response that it names is one that runs."""
    environ = {**os.environ, "FREDDY_BASE_URL": freddy.url, "FREDDY_API_KEY": freddy.api_key}
    before = set(freddy.left_running)
    if "-X DELETE" in line:
        before = {start_response(freddy)}
        line = line.replace("resp_1f0e", *before).replace("org_1", "org_fake")
    command = ["sh", "-c", line.replace("curl ", "curl --silent --show-error --fail ", 1)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, env=environ)
    assert done.returncode == 0, done.stdout + done.stderr
    (response_id,) = before or {json.loads(done.stdout)["id"]}
    assert (response_id in freddy.left_running) == ("-X DELETE" not in line)


def start_response(freddy: FakeFreddy) -> str:
    body = {"organization_id": "org_fake", "inputs": [{"role": "user", "content": "Hello"}], "background": True}
    headers = {"Authorization": f"Bearer {freddy.api_key}"}
    reply = requests.post(f"{freddy.url}/v1/model/response", headers=headers, json=body, timeout=10)
    return str(reply.json()["id"])


def check_curl_delete(arguments: list[str], freddy: FakeFreddy) -> None:
    """Cancel a response that runs, in place of the one in the line."""
    url, option, header = arguments
    assert option == "-H"
    headers = dict([header.split(": ", 1)])
    url = url.replace("resp_1f0e", start_response(freddy)).replace("org_1", "org_fake")
    reply = requests.delete(url, headers=headers, timeout=10)
    assert reply.status_code == 200, reply.text
    assert not freddy.left_running


def check_dags_test(dag_id: str, freddy: FakeFreddy) -> None:
    """Run the DAG of the quickstart in an Airflow of its own, and look for the line that the page shows."""
    (block,) = (block for block in DAG_BLOCKS if block.dag_id == dag_id and block.page.name == "quickstart.md")
    (shown,) = (text for text in of_kind("text") if text.page == block.page)
    words = shown.text.strip()
    if AIRFLOW < (3, 0):
        # There, a callback does not know that it is in the task's process, and names run and DAG, too.
        words = words.partition("try 1: ")[2]
    line = re.sub(r"resp_[0-9a-f]+|20\d\d-\S+(?=:)", "WHAT", words)
    pattern = re.escape(line).replace("WHAT", r"\S+")
    with TemporaryDirectory() as folder:
        (Path(folder) / "dags").mkdir()
        (Path(folder) / "dags" / f"{dag_id}.py").write_text(on_this_airflow(block.text))
        environ = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
        environ |= {"AIRFLOW_HOME": folder, "AIRFLOW_CONN_FREDDY_DEFAULT": freddy.connection_json()}
        for arguments in (["db", "migrate"], ["dags", "test", dag_id]):
            command = [sys.executable, "-m", "airflow", *arguments]
            result = subprocess.run(command, capture_output=True, text=True, timeout=180, env=environ)
        assert re.search(pattern, result.stdout + result.stderr), result.stdout + result.stderr
    assert [response.status for response in freddy.responses] == ["cancelled"]


def check_airflow(line: str, arguments: list[str], freddy: FakeFreddy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have Airflow's own command line read it, and run what needs no running Airflow."""
    from airflow.cli import cli_parser
    from airflow.models.connection import Connection
    from airflow.utils.session import create_session

    parsed = cli_parser.get_parser().parse_args(arguments)
    group, command, *_ = arguments
    if group == "dags":
        assert command in {"test", "trigger"}
        assert parsed.dag_id in {block.dag_id for block in DAG_BLOCKS}
        if command == "test":
            check_dags_test(parsed.dag_id, freddy)
    elif (group, command) == ("connections", "test"):
        monkeypatch.setenv("AIRFLOW__CORE__TEST_CONNECTION", "Enabled")
        monkeypatch.setenv("AIRFLOW_CONN_FREDDY_DEFAULT", freddy.connection_json())
        parsed.func(parsed)
        assert [request.method for request in freddy.requests] == ["GET"]
    elif (group, command) == ("connections", "add"):
        parsed.func(parsed)
        with create_session() as session:
            connection = session.query(Connection).filter_by(conn_id=parsed.conn_id).one()
            check_settings(read_connection(connection))
            session.delete(connection)
    else:
        assert (group, command) == ("providers", "get")
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            parsed.func(parsed)
        assert "airflow_provider_freddy.hooks.freddy.FreddyHook" in printed.getvalue()
