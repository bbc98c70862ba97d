from __future__ import annotations

import contextlib
import json
import logging
import re
import socket
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
import requests

from airflow_provider_freddy.testing import FakeFreddy


def threads():
    return [thread.name for thread in threading.enumerate() if thread.name == "fake-freddy"]


def refused(url):
    host, port = re.fullmatch(r"https?://([\d.]+):(\d+).*", url).groups()
    with socket.socket() as connection:
        return connection.connect_ex((host, int(port))) != 0


def test_stop_leaves_nothing_behind():
    freddy = FakeFreddy().start()
    url = freddy.url
    assert threads()
    freddy.stop()
    freddy.stop()
    assert threads() == []
    assert refused(url)


@pytest.mark.parametrize("tls", [False, True])
def test_stop_cuts_off_what_is_under_way(new_client, tls):
    freddy = FakeFreddy(tls=tls).start()
    freddy.fault("hang", method="GET")
    freddy.fault("delay", method="DELETE", seconds=60)
    failures = []

    def call(ask):
        try:
            ask(new_client(freddy))
        except requests.ConnectionError as error:
            failures.append(error)

    asks = [
        lambda client: client.retrieve("resp_1"),
        lambda client: client.cancel("resp_1"),
        lambda client: client.post_create(background=False),
    ]
    callers = [threading.Thread(target=call, args=[ask]) for ask in asks]
    for caller in callers:
        caller.start()
    freddy.wait_for(lambda: len(freddy.requests) == 3, timeout=5)
    host, port = freddy.url.split("://")[1].split(":")
    with socket.create_connection((host, int(port)), timeout=5) as idle:
        idle.sendall(b"POST /v1/model/response HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{")
        began = time.monotonic()
        freddy.stop()
        assert time.monotonic() - began < 1
        for caller in callers:
            caller.join(5)
        assert len(failures) == 3
        assert threads() == []
        with contextlib.suppress(ConnectionResetError):
            assert idle.recv(1) == b""


def test_it_comes_back_where_it_was(new_client):
    freddy = FakeFreddy().start()
    url = freddy.url
    response_id = new_client(freddy).create()
    freddy.stop()
    with freddy:
        assert freddy.url == url
        assert new_client(freddy).retrieve(response_id).status_code == 200


def test_it_starts_once(fake_freddy):
    with pytest.raises(RuntimeError, match="already"):
        fake_freddy.start()


def test_a_port_that_is_taken(fake_freddy):
    port = int(fake_freddy.url.rpartition(":")[2])
    with pytest.raises(OSError, match="in use"):
        FakeFreddy(port=port).start()
    assert len(threads()) == 1


def test_it_has_no_url_before_the_start():
    with pytest.raises(RuntimeError, match="started"):
        _ = FakeFreddy().url


def test_a_base_path(new_client):
    with FakeFreddy(base_path="freddy/api/") as freddy:
        assert freddy.url.endswith("/freddy/api")
        client = new_client(freddy)
        assert client.retrieve(client.create()).status_code == 200
        root = freddy.url.removesuffix("/freddy/api")
        assert client.post(f"{root}/v1/model/response", timeout=5).json() == {"detail": "Not Found"}
        assert client.get(f"{root}/_fake/journal", timeout=5).status_code == 200


def test_tls(new_client):
    with FakeFreddy(tls=True) as freddy:
        assert freddy.url.startswith("https://127.0.0.1:")
        client = new_client(freddy)
        client.create()
        assert client.get(freddy.url.replace("127.0.0.1", "localhost"), timeout=5).status_code == 404
        client.verify = True
        client.close()
        with pytest.raises(requests.exceptions.SSLError):
            client.post_create()
        ca_file = Path(freddy.ca_file)
        assert json.loads(freddy.connection_json())["extra"]["verify"] == str(ca_file)
    assert freddy.ca_file is None
    assert not ca_file.parent.exists()


def test_the_key_looks_like_a_new_one():
    freddies = [FakeFreddy(), FakeFreddy()]
    assert all(re.fullmatch(r"ak_[A-Za-z0-9]{40}", freddy.api_key) for freddy in freddies)
    assert freddies[0].api_key != freddies[1].api_key
    assert FakeFreddy(api_key="mine", organization_id="org_mine").api_key == "mine"


def test_the_connection_as_json(fake_freddy):
    assert json.loads(fake_freddy.connection_json()) == {
        "conn_type": "freddy",
        "host": fake_freddy.url,
        "password": fake_freddy.api_key,
        "extra": {"organization_id": "org_fake"},
    }


def test_airflow_reads_both_forms_of_the_connection_alike(tmp_path):
    pytest.importorskip("airflow")
    with FakeFreddy(tls=True, base_path="/Freddy/api", api_key="ak_a/b:c@d") as freddy:
        script = textwrap.dedent("""
            import json, sys
            from airflow.models.connection import Connection
            for text in json.load(sys.stdin):
                read = Connection.from_json(text) if text[0] == "{" else Connection(uri=text)
                print("answer", json.dumps([read.conn_type, read.host, read.password, read.extra_dejson]))
        """)
        done = subprocess.run(
            [sys.executable, "-c", script],
            input=json.dumps([freddy.connection_json(), freddy.connection_uri()]),
            env={"AIRFLOW_HOME": str(tmp_path), "PATH": ""},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        extra = {"organization_id": "org_fake", "verify": freddy.ca_file}
        expected = ["freddy", freddy.url, freddy.api_key, extra]
    # Airflow may log to standard output, too.
    answers = [json.loads(line[7:]) for line in done.stdout.splitlines() if line.startswith("answer ")]
    assert answers == [expected, expected]


def test_it_logs_nothing(caplog, capfd, new_client):
    # Not the root's level: the handler that Airflow below 3.1 gives it would print what others log.
    for name in ("uvicorn", "starlette"):
        caplog.set_level(logging.DEBUG, name)
    with FakeFreddy() as freddy:
        freddy.fault("drop_before")
        with pytest.raises(requests.ConnectionError):
            new_client(freddy).create()
        new_client(freddy).create()
    assert [record.name for record in caplog.records if record.name.startswith(("uvicorn", "starlette"))] == []
    assert capfd.readouterr() == ("", "")
