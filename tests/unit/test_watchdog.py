"""The watchdog of a real process that is really killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from airflow_provider_freddy.hooks.freddy import FreddyHook
from airflow_provider_freddy.testing import FakeFreddy
from airflow_provider_freddy.watchdog import client
from tests.airflow_versions import AIRFLOW

PREPARE = """
import os, sys, time
from airflow_provider_freddy.hooks.freddy import FreddyHook
from airflow_provider_freddy.watchdog import client

hook = FreddyHook()
client.start()
for response_id in sys.argv[1:]:
    client.watch(response_id, "org_fake", hook._transport.description)

def ready():
    print(client._watchdog.process.pid if client._watchdog else 0, flush=True)
"""


class Parent:
    """A process that has responses watched, and its watchdog."""

    def __init__(self, code: str, response_ids: list[str], environ: dict[str, str]) -> None:
        script = PREPARE + textwrap.dedent(code)
        self.process = subprocess.Popen(
            [sys.executable, "-c", script, *response_ids], stdout=subprocess.PIPE, text=True, env=environ
        )
        assert self.process.stdout
        # Airflow's own log lines may come first.
        self.watchdog_pid = next(int(line) for line in self.process.stdout if line.strip().isdecimal())

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait(10)

    @property
    def watchdog_is_gone(self) -> bool:
        try:
            return psutil.Process(self.watchdog_pid).status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True


@pytest.fixture
def parent(fake_freddy_connection: FakeFreddy, tmp_path: Path) -> Iterator[Callable[..., Parent]]:
    (tmp_path / "logs").mkdir()
    environ = {
        **os.environ,
        "AIRFLOW__FREDDY__WATCHDOG": "on",
        # By this 2.11 shows that somebody supervises the process.
        "_AIRFLOW_PARSING_CONTEXT_TASK_ID": "ask",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(tmp_path / "logs"),
    }
    started: list[Parent] = []

    def start(code: str, response_ids: list[str], **more: str) -> Parent:
        started.append(Parent(code, response_ids, {**environ, **more}))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.wait()
        if one.watchdog_pid and not one.watchdog_is_gone:
            os.kill(one.watchdog_pid, signal.SIGKILL)


def create(number: int = 1) -> list[str]:
    hook = FreddyHook()
    return [hook.create_response("hello").id for _ in range(number)]


STAY = "ready(); time.sleep(60)"


def test_a_killed_process_takes_its_responses_along(
    parent: Callable[..., Parent], fake_freddy_connection: FakeFreddy, tmp_path: Path
) -> None:
    ids = create(3)
    process = parent(STAY, ids)
    process.kill()
    fake_freddy_connection.wait_for(lambda: not fake_freddy_connection.left_running, 20)
    fake_freddy_connection.wait_for(lambda: process.watchdog_is_gone, 10)
    report = (tmp_path / "logs" / "freddy-watchdog.log").read_text()
    assert all(f"{response_id} cancelled at" in report for response_id in ids)
    assert fake_freddy_connection.api_key not in report


def test_what_has_been_released_is_left_alone(
    parent: Callable[..., Parent], fake_freddy_connection: FakeFreddy
) -> None:
    ids = create(2)
    process = parent("client.release(sys.argv[1]); ready(); time.sleep(60)", ids)
    process.kill()
    fake_freddy_connection.wait_for(lambda: process.watchdog_is_gone, 20)
    assert fake_freddy_connection.left_running == [ids[0]]


def test_a_process_that_ends_with_nothing_left_leaves_no_watchdog(
    parent: Callable[..., Parent], fake_freddy_connection: FakeFreddy
) -> None:
    process = parent("ready()", [])
    process.process.wait(20)
    fake_freddy_connection.wait_for(lambda: process.watchdog_is_gone, 10)
    assert fake_freddy_connection.requests == []


def test_a_child_that_holds_the_pipe_open_does_not_keep_it_waiting(
    parent: Callable[..., Parent], fake_freddy_connection: FakeFreddy
) -> None:
    process = parent("if not os.fork():\n    time.sleep(15); os._exit(0)\nready(); time.sleep(60)", create())
    process.kill()
    fake_freddy_connection.wait_for(lambda: not fake_freddy_connection.left_running, 10)


def test_a_task_that_has_lost_its_supervisor_has_lost_its_responses(
    parent: Callable[..., Parent], fake_freddy_connection: FakeFreddy
) -> None:
    code = """
    client.release(sys.argv[1])
    task = os.fork()
    if task:
        # This process is the supervisor from here on, and does not reap what it has started.
        client._watchdog = None
        print(task, flush=True)
        time.sleep(60)
    time.sleep(0.5)
    client.supervisor_pid = os.getppid
    client._watchdog = None
    client.start()
    client.watch(sys.argv[1], "org_fake", hook._transport.description)
    ready()
    time.sleep(60)
    """
    process = parent(code, create())
    task_pid = process.watchdog_pid
    assert process.process.stdout
    process.watchdog_pid = next(int(line) for line in process.process.stdout if line.strip().isdecimal())
    try:
        # As long as both live nothing is cancelled.
        with pytest.raises(TimeoutError):
            fake_freddy_connection.wait_for(lambda: not fake_freddy_connection.left_running, 2.5)
        process.kill()
        fake_freddy_connection.wait_for(lambda: not fake_freddy_connection.left_running, 20)
        assert psutil.pid_exists(task_pid)
    finally:
        os.kill(task_pid, signal.SIGKILL)


def test_it_has_more_patience_than_a_callback(
    parent: Callable[..., Parent], fake_freddy_connection: FakeFreddy
) -> None:
    process = parent(STAY, create())
    fake_freddy_connection.fault("status", status=503, method="DELETE", times=3)
    fake_freddy_connection.fault("drop_before", method="DELETE", times=1)
    process.kill()
    fake_freddy_connection.wait_for(lambda: not fake_freddy_connection.left_running, 60)


def test_the_signals_that_end_a_task_do_not_end_it(
    parent: Callable[..., Parent], fake_freddy_connection: FakeFreddy
) -> None:
    process = parent("time.sleep(1); " + STAY, create())
    for number in (signal.SIGTERM, signal.SIGINT):
        os.kill(process.watchdog_pid, number)
    process.kill()
    fake_freddy_connection.wait_for(lambda: not fake_freddy_connection.left_running, 20)


def test_the_key_is_neither_in_its_arguments_nor_in_its_environment(
    parent: Callable[..., Parent], fake_freddy_connection: FakeFreddy, tmp_path: Path
) -> None:
    # The connection comes from elsewhere, as it does in most installations.
    script = tmp_path / "secrets.json"
    script.write_text('{"freddy_default": ' + fake_freddy_connection.connection_json() + "}")
    environ = {
        "AIRFLOW_CONN_FREDDY_DEFAULT": "",
        "AIRFLOW__SECRETS__BACKEND": "airflow.secrets.local_filesystem.LocalFilesystemBackend",
        "AIRFLOW__SECRETS__BACKEND_KWARGS": f'{{"connections_file_path": "{script}"}}',
    }
    process = parent(STAY, create(), **environ)
    watchdog = psutil.Process(process.watchdog_pid)
    assert fake_freddy_connection.api_key not in " ".join(watchdog.cmdline())
    assert fake_freddy_connection.api_key not in " ".join(watchdog.environ().values())
    process.kill()
    fake_freddy_connection.wait_for(lambda: not fake_freddy_connection.left_running, 20)


def test_it_is_small(parent: Callable[..., Parent], fake_freddy_connection: FakeFreddy) -> None:
    process = parent("time.sleep(1); " + STAY, create())
    # An interpreter and next to nothing else; Airflow or an HTTP library would be several times that.
    assert psutil.Process(process.watchdog_pid).memory_info().rss < 25 * 2**20


def test_it_is_not_started_where_nobody_tells_it_of_a_good_end(parent: Callable[..., Parent]) -> None:
    watchdog_pid = parent(STAY, [], _AIRFLOW_PARSING_CONTEXT_TASK_ID="").watchdog_pid
    assert bool(watchdog_pid) is (AIRFLOW >= (3, 0))


def test_it_can_be_turned_off(parent: Callable[..., Parent]) -> None:
    assert parent(STAY, [], AIRFLOW__FREDDY__WATCHDOG="off").watchdog_pid == 0


@pytest.mark.parametrize(
    ("setting", "there"),
    [
        ("on", True),
        ("off", False),
        ("True", True),
        ("yes", True),
        ("on  # always", True),
        ("False", False),
        ("0", False),
    ],
)
def test_airflows_own_words_turn_it_on_and_off(setting: str, there: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__FREDDY__WATCHDOG", setting)
    assert client.enabled() is there


def test_a_word_that_is_none_does_not_turn_it_off(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AIRFLOW__FREDDY__WATCHDOG", "onn")
    assert client.enabled()
    assert "must be on or off, not 'onn'" in caplog.text


def test_it_is_on_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW__FREDDY__WATCHDOG", raising=False)
    assert client.enabled()


def test_a_task_goes_on_without_it(parent: Callable[..., Parent], fake_freddy_connection: FakeFreddy) -> None:
    code = """
    import signal
    pid = client._watchdog.process.pid
    os.kill(pid, signal.SIGKILL)
    client._watchdog.process.wait()
    client.release(sys.argv[1])
    ready()
    sys.exit(7)
    """
    process = parent(code, create())
    assert process.process.wait(20) == 7
