"""What is sent again: counted where it arrives."""

from __future__ import annotations

import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import trustme

from airflow_provider_freddy.exceptions import (
    FreddyError,
    FreddyRateLimitedError,
    FreddyUnavailableError,
)
from airflow_provider_freddy.testing import FakeFreddy
from tests.unit.hooks.conftest import KEY
from tests.unit.hooks.raw_http import http_reply

DROPS = [("drop_before", {}), ("drop_after", {})]
STATUSES = [("status", {"status": status}) for status in (408, 425, 429, 500, 502, 503, 504)]


def sent(freddy, method):
    return sum(request.method == method for request in freddy.requests)


@pytest.mark.parametrize(("kind", "options"), DROPS + STATUSES)
def test_a_look_is_sent_again_when_the_trouble_can_pass(hook, fake_freddy, kind, options):
    response_id = hook.create_response("Hello").id
    fake_freddy.fault(kind, method="GET", times=3, **options)
    assert hook.get_response(response_id).id == response_id
    assert sent(fake_freddy, "GET") == 4


@pytest.mark.parametrize(("kind", "options"), DROPS + STATUSES)
def test_a_cancel_is_sent_again_when_the_trouble_can_pass(hook, fake_freddy, kind, options):
    response_id = hook.create_response("Hello").id
    fake_freddy.fault(kind, method="DELETE", times=3, **options)
    assert hook.cancel_response(response_id).status == "cancelled"
    assert sent(fake_freddy, "DELETE") == 4
    assert fake_freddy.left_running == []


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_look_or_cancel_that_is_not_answered_in_time_is_sent_again(new_hook, fake_freddy, method):
    hook = new_hook(fake_freddy, extra={"timeout": 0.2})
    response_id = hook.create_response("Hello").id
    fake_freddy.fault("hang", method=method)
    call = hook.get_response if method == "GET" else hook.cancel_response
    assert call(response_id).status in {"processing", "cancelled"}
    assert sent(fake_freddy, method) == 2


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_a_refusal_is_not_sent_again(hook, fake_freddy, status):
    for method, call in (("POST", hook.create_response), ("GET", hook.get_response), ("DELETE", hook.cancel_response)):
        fake_freddy.fault("status", method=method, status=status, code="no", times=None)
        with pytest.raises(FreddyError):
            call("resp_1")
        assert sent(fake_freddy, method) == 1


@pytest.mark.parametrize("status", [425, 429])
def test_a_create_that_was_turned_away_is_sent_again(hook, fake_freddy, status):
    fake_freddy.fault("status", method="POST", status=status, times=3)
    response_id = hook.create_response("Hello").id
    assert sent(fake_freddy, "POST") == 4
    assert [record.id for record in fake_freddy.responses] == [response_id]


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        *DROPS,
        *[("status", {"status": status}) for status in (408, 500, 502, 503, 504)],
        ("garbage", {"body": "html"}),
        ("garbage", {"body": "truncated"}),
        ("garbage", {"body": "huge"}),
        ("garbage", {"body": "html", "status": 502}),
    ],
)
def test_a_create_that_may_have_been_processed_is_sent_exactly_once(new_hook, kind, options, tls):
    with FakeFreddy(api_key=KEY, tls=tls) as freddy:
        freddy.fault(kind, method="POST", times=None, **options)
        with pytest.raises(FreddyError, match="may have started"):
            new_hook(freddy).create_response("Hello", budget=2)
        assert sent(freddy, "POST") == 1


@pytest.mark.parametrize("kind", ["hang", "delay"])
def test_a_create_that_is_not_answered_in_time_is_sent_exactly_once(new_hook, fake_freddy, kind):
    fake_freddy.fault(kind, method="POST", times=None, **({"seconds": 5} if kind == "delay" else {}))
    hook = new_hook(fake_freddy, extra={"timeout": [2, 0.2]})
    with pytest.raises(FreddyUnavailableError, match="may have started"):
        hook.create_response("Hello", budget=3)
    assert sent(fake_freddy, "POST") == 1


def test_a_create_whose_reply_breaks_off_is_sent_exactly_once(new_hook, raw_server):
    reply = http_reply({"id": "resp_1", "status": "queued"})
    for cut in (1, len(reply) // 2, len(reply) - 1):
        server = raw_server(reply[:cut])
        with pytest.raises(FreddyUnavailableError, match="may have started"):
            new_hook(host=server.url).create_response("Hello", budget=2)
        assert len(server.requests) == 1


def test_a_create_whose_tls_breaks_after_the_handshake_is_sent_exactly_once(new_hook, raw_server, tmp_path):
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    # A bytearray goes around TLS: the client finds something on the wire that it cannot decipher.
    server = raw_server(lambda _request: [bytearray(b"no TLS record at all")], tls=context)
    hook = new_hook(host=server.url, extra={"verify": str(tmp_path / "ca.pem")})
    with pytest.raises(FreddyUnavailableError, match="may have started"):
        hook.create_response("Hello", budget=2)
    assert len(server.requests) == 1


def test_a_create_that_found_nobody_is_tried_again(new_hook):
    with FakeFreddy(api_key=KEY) as freddy:
        hook = new_hook(freddy)
        freddy.stop()
        back = threading.Timer(0.2, freddy.start)
        back.start()
        try:
            assert hook.create_response("Hello", budget=10).status == "queued"
        finally:
            back.join()
        assert len(freddy.responses) == 1


def test_a_create_whose_tls_handshake_fails_does_not_warn_of_a_response(new_hook):
    with FakeFreddy(api_key=KEY, tls=True) as freddy:
        hook = new_hook(freddy, extra={"verify": True})
        with pytest.raises(FreddyUnavailableError, match=r"TLS failed.*certificate") as caught:
            hook.create_response("Hello", budget=0.5)
        assert freddy.requests == []
    assert "may have started" not in str(caught.value)


@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
def test_a_refused_connection_is_tried_until_the_budget_is_spent(new_hook, method):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        hook = new_hook(host=f"http://127.0.0.1:{nobody.getsockname()[1]}")
        call = {"POST": hook.create_response, "GET": hook.get_response, "DELETE": hook.cancel_response}[method]
        with pytest.raises(FreddyUnavailableError, match="Connection refused") as caught:
            call("resp_1", budget=0.4)
    assert "may have started" not in str(caught.value)


def test_a_host_that_does_not_exist_is_told_in_words(new_hook):
    with pytest.raises(FreddyUnavailableError, match="No connection") as caught:
        new_hook(host="http://nobody.invalid").create_response("Hello", budget=0.3)
    assert "may have started" not in str(caught.value)
    assert "object at 0x" not in str(caught.value)


def test_a_connection_that_the_server_has_closed_meanwhile_costs_no_create(hook, fake_freddy):
    for _ in range(3):
        hook.create_response("Hello", budget=2)
        fake_freddy.stop()
        fake_freddy.start()
    assert sent(fake_freddy, "POST") == 3
    assert fake_freddy.connections == 3


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_seconds_are_waited_for(hook, fake_freddy, status):
    response_id = hook.create_response("Hello").id
    fake_freddy.fault("status", method="GET", status=status, retry_after=0.5)
    hook.get_response(response_id)
    first, second = [request.at for request in fake_freddy.requests if request.method == "GET"]
    assert second - first >= 0.5


def test_a_retry_after_date_is_waited_for(hook, fake_freddy):
    response_id = hook.create_response("Hello").id
    until = (datetime.now(UTC) + timedelta(seconds=2)).replace(microsecond=0)
    fake_freddy.fault("status", method="GET", status=429, retry_after=format_datetime(until, usegmt=True))
    hook.get_response(response_id)
    assert fake_freddy.requests[-1].at >= until.timestamp()


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("retry_after", [3600, "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_a_retry_after_beyond_the_budget_gives_up_at_once(hook, fake_freddy, status, retry_after):
    fake_freddy.fault("status", method="GET", status=status, retry_after=retry_after, times=None)
    with pytest.raises((FreddyRateLimitedError, FreddyUnavailableError)) as caught:
        hook.get_response("resp_1", budget=30)
    assert len(fake_freddy.requests) == 1
    assert caught.value.problem.retry_after >= 3600


def test_a_create_is_not_sent_again_so_late_that_its_reply_would_be_cut_off(hook, fake_freddy):
    fake_freddy.fault("status", status=429, retry_after=3)
    with pytest.raises(FreddyRateLimitedError):
        hook.create_response("Hello", budget=5)
    assert sent(fake_freddy, "POST") == 1
    assert fake_freddy.responses == []


@pytest.mark.parametrize("retry_after", ["soon", "-5", "", "nan", "Wed, 21 Oct 2015 07:28:00 GMT"])
def test_a_retry_after_that_makes_no_sense_does_no_harm(hook, fake_freddy, retry_after):
    response_id = hook.create_response("Hello").id
    fake_freddy.fault("status", method="GET", status=429, retry_after=retry_after, times=2)
    hook.get_response(response_id, budget=5)
    assert sent(fake_freddy, "GET") == 3
