from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys

import pytest
import requests

COMMAND = [sys.executable, "-m", "airflow_provider_freddy.testing"]


@pytest.fixture
def run():
    started = []

    def start(*options):
        process = subprocess.Popen([*COMMAND, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def post_create(connection, **body):
    with requests.Session() as session:
        session.trust_env = False
        return session.post(
            f"{connection['host']}/v1/model/response",
            json={
                "organization_id": connection["extra"]["organization_id"],
                "inputs": [{"role": "user", "content": "Hi"}],
                "background": True,
                **body,
            },
            headers={"Authorization": f"Bearer {connection['password']}"},
            verify=connection["extra"].get("verify", True),
            timeout=5,
        ).json()


@pytest.mark.parametrize("stop_signal", [signal.SIGINT, signal.SIGTERM])
def test_from_the_first_line_to_the_summary(run, stop_signal):
    process = run("--organization-id", "org_cli", "--api-key", "ak_cli", "--vocabulary", "background")
    first = process.stdout.readline()
    name, _, value = shlex.split(process.stdout.readline())[1].partition("=")
    connection = json.loads(value)
    assert first == f"Fake Freddy at {connection['host']}, organization org_cli\n"
    assert (name, connection["password"]) == ("AIRFLOW_CONN_FREDDY_DEFAULT", "ak_cli")
    running = post_create(connection)["id"]
    completed = post_create(connection, metadata={"fake_duration": 0})["id"]
    lines = [process.stdout.readline() for _ in range(3)]
    assert f"POST /v1/model/response -> 200 {running}" in lines[0]
    assert any(f"{completed} completed after 0.0 s" in line for line in lines)
    process.send_signal(stop_signal)
    out, err = process.communicate(timeout=10)
    assert out.splitlines()[-1] == f"Responses: 1 completed, 1 left running: {running}"
    assert (process.returncode, err) == (0, "")


def test_the_other_options(run):
    process = run("--tls", "--duration", "0.1", "--queued-for", "0.1", "--port", "0")
    process.stdout.readline()
    connection = json.loads(shlex.split(process.stdout.readline())[1].partition("=")[2])
    assert connection["host"].startswith("https://")
    body = post_create(connection, background=False)
    assert body["status"] == "completed"
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=10)
    assert out.splitlines()[-1] == "Responses: 1 completed, 0 left running"
    assert (process.returncode, err) == (0, "")


def test_without_the_extra():
    script = (
        "import sys, runpy; sys.modules['starlette.applications'] = None; sys.argv = ['fake'];"
        "runpy.run_module('airflow_provider_freddy.testing', run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert "airflow-provider-freddy[testing]" in done.stderr
