"""Every call ends: whatever the server does, within the time that it was given and some slack."""

from __future__ import annotations

import gzip
import itertools
import json
import threading
import time

import pytest

from airflow_provider_freddy.exceptions import FreddyCancelNotConfirmedError, FreddyError, FreddyUnavailableError
from tests.unit.hooks.raw_http import http_reply

BUDGET = 0.4
#: Far more than any of it takes, far less than what the server would like it to take.
SLACK = 5.0

CALLS = {
    "POST": lambda hook: hook.create_response("Hello", budget=BUDGET),
    "GET": lambda hook: hook.get_response("resp_1", budget=BUDGET),
    "DELETE": lambda hook: hook.cancel_response("resp_1", budget=BUDGET),
}
every_call = pytest.mark.parametrize("method", CALLS)


def ends_in_time(hook, method, error=FreddyUnavailableError):
    start = time.monotonic()
    with pytest.raises(error) as caught:
        CALLS[method](hook)
    assert time.monotonic() - start < BUDGET + SLACK
    return caught.value


def drip(head, server_closing, part=b" "):
    """Send a head and then a byte every now and then, for longer than any of it may take."""
    yield head
    end = time.monotonic() + BUDGET + SLACK + 2
    while time.monotonic() < end and not server_closing.wait(0.05):
        yield part


@every_call
def test_a_server_that_never_answers(hook, fake_freddy, method):
    fake_freddy.fault("hang", times=None)
    ends_in_time(hook, method)
    assert method != "POST" or len(fake_freddy.requests) == 1


@every_call
def test_a_server_that_is_always_busy(hook, fake_freddy, method):
    fake_freddy.fault("status", status=503, times=None)
    ends_in_time(hook, method)
    assert len(fake_freddy.requests) == 1 if method == "POST" else len(fake_freddy.requests) > 2


@every_call
def test_a_server_that_always_drops_the_connection(hook, fake_freddy, method):
    fake_freddy.fault("drop_before", times=None)
    ends_in_time(hook, method)


@every_call
@pytest.mark.parametrize("length", [{"Content_Length": 1_000_000}, {"Transfer_Encoding": "chunked"}, {}])
def test_a_body_that_drips_for_ever(new_hook, raw_server, monkeypatch, method, length):
    monkeypatch.setattr("airflow_provider_freddy.hooks.sending._REST_OF_REPLY", 0.1)
    fields = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in length.items())
    head = f"HTTP/1.1 200 OK\r\n{fields}\r\n".encode()
    part = b"1\r\n \r\n" if "Transfer_Encoding" in length else b" "
    server = raw_server(lambda _request: drip(head, server.closing, part))
    ends_in_time(new_hook(host=server.url), method)
    assert method != "POST" or len(server.requests) == 1


def test_a_body_without_end_is_not_read_to_its_end(new_hook, raw_server):
    head = b"HTTP/1.1 200 OK\r\n\r\n"
    server = raw_server(lambda _request: itertools.chain([head], itertools.repeat(b"x" * 65536)))
    with pytest.raises(FreddyError, match="4 MiB"):
        new_hook(host=server.url).get_response("resp_1", budget=30)
    assert len(server.requests) == 1


def test_a_large_body_that_comes_in_small_pieces_is_read_whole(new_hook, raw_server):
    reply = http_reply({"id": "resp_1", "status": "completed", "output": "x" * 300_000})
    server = raw_server(lambda _request: (reply[at : at + 1000] for at in range(0, len(reply), 1000)))
    assert len(new_hook(host=server.url).get_response("resp_1", budget=30).output) == 300_000


def test_a_compressed_body_is_read(new_hook, raw_server):
    body = gzip.compress(json.dumps({"id": "resp_1", "status": "completed", "output": "x" * 300_000}).encode())
    server = raw_server(http_reply(body, Content_Encoding="gzip"))
    assert len(new_hook(host=server.url).get_response("resp_1").output) == 300_000


def test_a_compressed_body_that_unfolds_without_end_is_not_read_to_its_end(new_hook, raw_server):
    body = gzip.compress(b" " * 200_000_000, 1)
    server = raw_server(http_reply(body, Content_Encoding="gzip"))
    with pytest.raises(FreddyError, match="4 MiB"):
        new_hook(host=server.url).get_response("resp_1", budget=30)


@pytest.mark.parametrize("body", [b"no gzip at all", gzip.compress(b"x" * 1000)[:-9]], ids=["none", "cut off"])
def test_a_compressed_body_that_is_broken_is_a_clear_exception(new_hook, raw_server, body):
    server = raw_server(http_reply(body, Content_Encoding="gzip"))
    with pytest.raises(FreddyError, match="GET"):
        new_hook(host=server.url).get_response("resp_1", budget=BUDGET)


@pytest.mark.parametrize("framing", ["length", "chunks", "end of connection"])
def test_a_reply_that_arrives_while_the_budget_ends_is_not_thrown_away(new_hook, raw_server, framing):
    body = b'{"id": "resp_1", "status": "queued"}'
    fields = {"length": b"Content-Length: %d\r\n" % len(body), "chunks": b"Transfer-Encoding: chunked\r\n"}

    def answer(_request):
        yield b"HTTP/1.1 200 OK\r\n%s\r\n" % fields.get(framing, b"")
        for part in (body[:10], body[10:20], body[20:30], body[30:]):
            time.sleep(0.1)
            yield b"%x\r\n%s\r\n" % (len(part), part) if framing == "chunks" else part
        yield b"0\r\n\r\n" if framing == "chunks" else b""

    hook = new_hook(host=raw_server(answer).url)
    assert hook.create_response("Hello", budget=0.3).id == "resp_1"


def test_a_server_that_never_ends_the_tls_handshake(new_hook, raw_server):
    # One that reads plain text waits for ever for the end of what is the start of TLS.
    server = raw_server(b"")
    ends_in_time(new_hook(host=server.url.replace("http:", "https:")), "GET")


def test_a_response_that_stays_queued(hook, fake_freddy):
    fake_freddy.next_response(queued_for=600)
    response_id = hook.create_response("Hello").id
    start = time.monotonic()
    with pytest.raises(FreddyCancelNotConfirmedError):
        hook.cancel_response(response_id, budget=BUDGET)
    assert time.monotonic() - start < BUDGET + SLACK


@pytest.mark.parametrize("budget", [0.001, 0.05])
def test_a_tiny_budget_is_enough_for_one_try(hook, fake_freddy, budget):
    response_id = hook.create_response("Hello").id
    fake_freddy.fault("status", method="GET", status=503, times=None)
    with pytest.raises(FreddyUnavailableError):
        hook.get_response(response_id, budget=budget)
    assert sum(request.method == "GET" for request in fake_freddy.requests) >= 1


def test_the_timeout_of_the_connection_ends_one_attempt_and_not_the_call(new_hook, fake_freddy):
    hook = new_hook(fake_freddy, extra={"timeout": 0.1})
    response_id = hook.create_response("Hello").id
    fake_freddy.fault("hang", method="GET", times=4)
    assert hook.get_response(response_id, budget=20).status == "processing"
    assert sum(request.method == "GET" for request in fake_freddy.requests) == 5


def test_a_pause_that_would_outlast_the_budget_is_not_begun(hook, fake_freddy, monkeypatch):
    monkeypatch.setattr("airflow_provider_freddy.core.retry.FIRST_PAUSE", 100.0)
    monkeypatch.setattr("airflow_provider_freddy.core.retry.MAX_PAUSE", 100.0)
    fake_freddy.fault("status", method="GET", status=503, times=None)
    finished = threading.Event()

    def call():
        with pytest.raises(FreddyUnavailableError):
            hook.get_response("resp_1", budget=30)
        finished.set()

    threading.Thread(target=call, daemon=True).start()
    assert finished.wait(SLACK)
    assert len(fake_freddy.requests) == 1
