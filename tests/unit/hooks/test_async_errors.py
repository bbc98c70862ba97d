"""What comes back is understood alike, whichever side has asked."""

from __future__ import annotations

import gzip
import itertools
import json
import socket
import ssl
import time
from dataclasses import replace

import pytest
import trustme

from airflow_provider_freddy.core.problem import Problem, ProblemKind
from airflow_provider_freddy.core.reply import ModelResponse
from tests.unit.hooks.both_sides import SIDES, ask_async, ask_blocking, build
from tests.unit.hooks.raw_http import http_reply

every_call = pytest.mark.parametrize("method", ["GET", "DELETE"])
STATUSES = [301, 304, 400, 401, 403, 404, 408, 409, 422, 425, 429, 500, 502, 503, 504]
SHAPES = ["", "[]", "null", "5", '"x"', "{}", "NaN", "[" * 200_000, '{"error": {"code": 5}}', '{"error": [1]}']


def both(hook, request, **options):
    """Return the answers of both sides, without what differs from reply to reply."""
    answers = [ask(hook, request, **options) for ask in SIDES.values()]
    return [replace(answer, request_id=None) if answer.request_id else answer for answer in answers]


@every_call
@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("retry_after", [None, 7])
def test_every_status_means_the_same(hook, fake_freddy, method, status, retry_after):
    fake_freddy.fault("status", status=status, code="some_code", message="Some words", retry_after=retry_after, times=2)
    blocking, asynchronous = both(hook, build(method))
    assert asynchronous == blocking
    assert asynchronous.http_status == status


@every_call
@pytest.mark.parametrize("status", [200, 401, 502])
@pytest.mark.parametrize("body", ["html", "empty", "not_json", "truncated", "wrong_shape", "huge"])
def test_every_kind_of_garbage_means_the_same(hook, fake_freddy, method, status, body):
    fake_freddy.fault("garbage", body=body, status=status, work=False, times=2)
    blocking, asynchronous = both(hook, build(method))
    assert asynchronous == blocking
    assert asynchronous.http_status == status


@pytest.mark.parametrize("body", SHAPES, ids=lambda body: body[:25])
def test_json_of_any_shape_means_the_same(hook, fake_freddy, body):
    fake_freddy.fault("status", status=200, body=body, times=2)
    blocking, asynchronous = both(hook, build())
    assert asynchronous == blocking


def test_a_response_is_read_alike(hook, fake_freddy):
    response_id = hook.create_response("Hello").id
    blocking, asynchronous = both(
        hook, build(response_id=response_id, organization_id="org_fake"), response_id=response_id
    )
    assert isinstance(asynchronous, ModelResponse)
    assert replace(asynchronous, usage=None, progress=None) == replace(blocking, usage=None, progress=None)


@pytest.mark.parametrize("status", [200, 401, 502])
def test_a_reply_that_repeats_the_key_does_not_put_it_into_the_problem(hook, fake_freddy, status):
    fake_freddy.fault("status", status=status, body=f"Authorization: Bearer {fake_freddy.api_key}", times=None)
    answer = ask_async(hook, build())
    assert "Authorization" in str(answer)
    assert fake_freddy.api_key not in str(answer) + repr(answer)


def test_a_refused_connection_means_the_same(new_hook):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        hook = new_hook(host=f"http://127.0.0.1:{nobody.getsockname()[1]}")
        blocking, asynchronous = both(hook, build())
    assert asynchronous == blocking
    assert "Connection refused" in asynchronous.message


def test_a_host_that_does_not_exist_means_the_same(new_hook):
    blocking, asynchronous = both(new_hook(host="http://nobody.invalid"), build())
    assert asynchronous == blocking
    assert asynchronous.message.startswith("No connection:")


@pytest.mark.parametrize("fault", ["drop_before", "drop_after"])
@every_call
def test_a_dropped_connection_means_the_same(hook, fake_freddy, fault, method):
    fake_freddy.fault(fault, times=None)
    blocking, asynchronous = both(hook, build(method))
    for answer in (blocking, asynchronous):
        assert answer.kind is ProblemKind.UNAVAILABLE
        assert answer.message.startswith("The connection broke:")
        assert answer.maybe_processed
        assert answer.http_status is None


def test_no_answer_in_time_means_the_same(new_hook, fake_freddy):
    fake_freddy.fault("hang", times=None)
    blocking, asynchronous = both(new_hook(fake_freddy, extra={"timeout": [2, 0.2]}), build())
    assert asynchronous == blocking
    assert asynchronous.message == "No reply within 0.2 s."
    assert asynchronous.maybe_processed


def test_no_connection_in_time_means_the_same(new_hook):
    # Its backlog is full, so that a handshake is not answered.
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        fillers = []
        for _ in range(3):
            fillers.append(socket.socket())
            fillers[-1].setblocking(False)
            fillers[-1].connect_ex(server.getsockname())
        hook = new_hook(host=f"http://127.0.0.1:{server.getsockname()[1]}", extra={"timeout": [0.2, 5]})
        blocking, asynchronous = both(hook, build())
        for filler in fillers:
            filler.close()
    assert asynchronous == blocking
    assert asynchronous.message == "No connection within 0.2 s."


def test_a_tls_handshake_without_end_means_the_same(new_hook, raw_server):
    # A server that reads plain text waits for ever for the end of what is the start of TLS.
    server = raw_server(b"")
    hook = new_hook(host=server.url.replace("http:", "https:"), extra={"timeout": 0.3})
    for answer in both(hook, build(), budget=1):
        assert answer.kind is ProblemKind.UNAVAILABLE


def test_tls_that_breaks_after_the_handshake_is_one_that_may_have_been_processed(new_hook, raw_server, tmp_path):
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    server = raw_server(lambda _request: [bytearray(b"no TLS record at all")], tls=context)
    for answer in both(new_hook(host=server.url, extra={"verify": f"{tmp_path}/ca.pem"}), build("DELETE")):
        assert answer.kind is ProblemKind.UNAVAILABLE
        assert answer.maybe_processed


def test_a_reply_that_breaks_off_means_the_same(new_hook, raw_server):
    reply = http_reply({"id": "resp_1", "status": "processing"})
    for cut in (1, len(reply) // 2, len(reply) - 1):
        for answer in both(new_hook(host=raw_server(reply[:cut]).url), build()):
            assert answer.kind is ProblemKind.UNAVAILABLE
            assert answer.maybe_processed


def drip(head, closing, part=b" "):
    yield head
    end = time.monotonic() + 8
    while time.monotonic() < end and not closing.wait(0.05):
        yield part


@pytest.mark.parametrize("length", ["Content-Length: 1000000", "Transfer-Encoding: chunked", "X-Length: none"])
def test_a_body_that_drips_for_ever_means_the_same(new_hook, raw_server, monkeypatch, length):
    monkeypatch.setattr("airflow_provider_freddy.hooks.sending._REST_OF_REPLY", 0.1)
    head = f"HTTP/1.1 200 OK\r\nx-request-id: req_1\r\n{length}\r\n\r\n".encode()
    part = b"1\r\n \r\n" if "chunked" in length else b" "
    server = raw_server(lambda _request: drip(head, server.closing, part))
    start = time.monotonic()
    blocking, asynchronous = both(new_hook(host=server.url), build(), budget=0.4)
    assert time.monotonic() - start < 5
    assert asynchronous == blocking
    assert asynchronous.message == "The reply did not end in time."


def test_a_body_without_end_is_not_read_to_its_end(new_hook, raw_server):
    head = b"HTTP/1.1 200 OK\r\n\r\n"
    server = raw_server(lambda _request: itertools.chain([head], itertools.repeat(b"x" * 65536)))
    blocking, asynchronous = both(new_hook(host=server.url), build(), budget=30)
    assert asynchronous == blocking
    assert "4 MiB" in asynchronous.message


def test_a_large_body_that_comes_in_small_pieces_is_read_whole(new_hook, raw_server):
    reply = http_reply({"id": "resp_1", "status": "completed", "output": "x" * 300_000})
    server = raw_server(lambda _request: (reply[at : at + 1000] for at in range(0, len(reply), 1000)))
    assert len(ask_async(new_hook(host=server.url), build(), budget=30).output) == 300_000


@pytest.mark.parametrize("length", [9_000, 30_000])
def test_a_long_header_of_a_proxy_does_no_harm(new_hook, raw_server, length):
    server = raw_server(http_reply({"id": "resp_1", "status": "processing"}, X_Policy="x" * length))
    for answer in both(new_hook(host=server.url), build()):
        assert isinstance(answer, ModelResponse)


def test_a_compressed_body_is_read(new_hook, raw_server):
    body = gzip.compress(json.dumps({"id": "resp_1", "status": "completed", "output": "x" * 300_000}).encode())
    server = raw_server(http_reply(body, Content_Encoding="gzip"))
    assert len(ask_async(new_hook(host=server.url), build()).output) == 300_000


def test_a_compressed_body_that_unfolds_without_end_is_not_read_to_its_end(new_hook, raw_server):
    server = raw_server(http_reply(gzip.compress(b" " * 200_000_000, 1), Content_Encoding="gzip"))
    answer = ask_async(new_hook(host=server.url), build(), budget=30)
    assert isinstance(answer, Problem)
    assert "4 MiB" in answer.message


@pytest.mark.parametrize("body", [b"no gzip at all", gzip.compress(b"x" * 1000)[:-9]])
def test_a_compressed_body_that_is_broken_means_the_same(new_hook, raw_server, body):
    server = raw_server(http_reply(body, Content_Encoding="gzip"))
    hook = new_hook(host=server.url)
    blocking, asynchronous = ask_blocking(hook, build()), ask_async(hook, build())
    assert asynchronous.kind is blocking.kind
