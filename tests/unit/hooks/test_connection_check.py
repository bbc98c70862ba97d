"""The Test button: what it says, what it never costs, what it never shows."""

from __future__ import annotations

import pytest

from airflow_provider_freddy.testing import FakeFreddy
from tests.unit.hooks.raw_http import http_reply

KEY = "ak_my_own_secret_key"


@pytest.fixture
def freddy():
    with FakeFreddy(api_key=KEY) as freddy:
        yield freddy
        assert freddy.responses == []
        assert all(request.method == "GET" for request in freddy.requests)


def check(hook):
    works, message = hook.test_connection()
    assert isinstance(message, str)
    assert KEY not in message
    return works, message


def test_a_connection_that_works_bills_nothing(freddy, new_hook):
    works, message = check(new_hook(freddy))
    assert works
    assert "org_fake" in message
    assert len(freddy.requests) == 1


@pytest.mark.parametrize("scheme", ["bearer", "x-api-key", "api-key"])
def test_it_works_with_every_auth_scheme(freddy, new_hook, scheme):
    assert check(new_hook(freddy, extra={"auth_scheme": scheme}))[0]
    assert freddy.requests[0].auth_scheme == scheme


def test_a_wrong_key_is_told_as_such(freddy, new_hook):
    hook = new_hook(freddy)
    freddy.rotate_key("ak_another_key")
    works, message = check(hook)
    assert not works
    assert "API key" in message
    assert "bearer" in message


def test_a_wrong_organization_is_told_apart_from_a_wrong_key(freddy, new_hook):
    works, message = check(new_hook(freddy, extra={"organization_id": "org_of_others"}))
    assert not works
    assert "accepts the API key" in message
    assert "org_of_others" in message


@pytest.mark.parametrize("organization_id", [None, ""])
def test_a_connection_without_an_organization_works_and_says_what_is_missing(freddy, new_hook, organization_id):
    works, message = check(new_hook(freddy, extra={"organization_id": organization_id}))
    assert works
    assert "no organization id" in message


def test_a_server_that_is_not_there_is_unreachable(new_hook):
    with FakeFreddy(api_key=KEY) as freddy:
        hook = new_hook(freddy)
    works, message = check(hook)
    assert not works
    assert "Cannot reach" in message
    assert freddy.url in message
    assert "Connection refused" in message


def test_a_host_that_does_not_exist_is_unreachable(new_hook):
    works, message = check(new_hook(host="http://nobody.invalid", password=KEY))
    assert not works
    assert "Cannot reach" in message


def test_https_to_a_server_that_speaks_http_says_so(freddy, new_hook):
    works, message = check(new_hook(freddy, host=freddy.url.replace("http:", "https:")))
    assert not works
    assert "TLS" in message
    assert "http or https" in message


def test_http_to_a_server_that_speaks_https_says_so(new_hook):
    with FakeFreddy(api_key=KEY, tls=True) as freddy:
        works, message = check(new_hook(freddy, host=freddy.url.replace("https:", "http:")))
    assert not works
    assert "http or https" in message


def test_a_certificate_that_nobody_vouches_for_is_told(new_hook):
    with FakeFreddy(api_key=KEY, tls=True) as freddy:
        works, message = check(new_hook(freddy, extra={"verify": True}))
    assert not works
    assert "certificate" in message


@pytest.mark.parametrize(
    "reply",
    [
        http_reply(b"<html>Not Found</html>", "404 Not Found", Content_Type="text/html"),
        http_reply(b"<html>Welcome</html>", Content_Type="text/html"),
        http_reply({"hello": "world"}),
        http_reply({"id": "1", "status": "ok"}),
        http_reply([]),
        http_reply(b""),
        http_reply(b"", "204 No Content"),
        http_reply({"detail": "Not Found"}, "404 Not Found"),
        http_reply(b"", "404 Not Found"),
        http_reply(b"", "302 Found", Location="https://login.example.org/"),
        http_reply(b"Unauthorized", "401 Unauthorized", WWW_Authenticate="Basic"),
        http_reply({"message": "Forbidden"}, "403 Forbidden"),
        http_reply(b"", "405 Method Not Allowed"),
    ],
    ids=lambda reply: repr(reply[9:12] + reply[-15:]),
)
def test_a_host_that_answers_but_is_not_freddy_is_told_as_such(new_hook, raw_server, reply):
    server = raw_server(reply)
    works, message = check(new_hook(host=server.url, password=KEY))
    assert not works
    assert "not as Freddy does" in message
    assert server.url in message
    assert len(server.requests) == 1


def test_a_base_url_with_the_wrong_path_is_not_freddy(freddy, new_hook):
    works, message = check(new_hook(freddy, host=f"{freddy.url}/wrong"))
    assert not works
    assert "Check the base URL" in message


def test_a_freddy_that_asks_to_slow_down_is_told(freddy, new_hook):
    freddy.fault("status", status=429, times=None, retry_after=0)
    works, message = check(new_hook(freddy))
    assert not works
    assert message == f"{freddy.url} asks to slow down (HTTP 429). Test again in a while."


def test_what_could_not_even_be_sent_is_no_answer_of_freddy(freddy, new_hook):
    works, message = check(new_hook(freddy, host="https://127.0.0.1:1", extra={"verify": "/nowhere/ca.pem"}))
    assert not works
    assert message.startswith("The connection cannot be used: Not sent: ")
    assert "/nowhere/ca.pem" in message
    assert freddy.requests == []


def test_redirects_without_an_end_are_no_answer_of_freddy(new_hook, raw_server):
    server = raw_server(http_reply(b"", "302 Found", Location="/again"))
    works, message = check(new_hook(host=server.url, password=KEY, extra={"allow_redirects": True}))
    assert not works
    assert "not as Freddy does" in message


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_freddy_in_trouble_is_asked_once_and_told(freddy, new_hook, status):
    freddy.fault("status", status=status, times=None, retry_after=0)
    works, message = check(new_hook(freddy))
    assert not works
    assert str(status) in message
    assert len(freddy.requests) == 1


def test_somebody_who_does_not_speak_http_is_told(new_hook, raw_server):
    works, message = check(new_hook(host=raw_server(b"SSH-2.0-OpenSSH\r\n").url, password=KEY))
    assert not works
    assert "Cannot reach" in message


def test_a_server_that_repeats_the_key_does_not_show_it(new_hook, raw_server):
    server = raw_server(http_reply(f"You sent Bearer {KEY}".encode(), "400 Bad Request"))
    assert not check(new_hook(host=server.url, password=KEY))[0]


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"password": None}, "API key"),
        ({"password": f"{KEY} with space"}, "API key"),
        ({"password": f"{KEY}\n{KEY}"}, "API key"),
        ({"password": f"{KEY}ä"}, "API key"),
        ({"host": "ftp://example.org"}, "base URL"),
        ({"extra": {"auth_scheme": "basic"}}, "auth scheme"),
        ({"extra": {"timeout": "long"}}, "timeout"),
    ],
)
def test_a_connection_that_makes_no_sense_is_told_without_asking_anybody(freddy, new_hook, fields, word):
    works, message = check(new_hook(**{"password": KEY, "host": freddy.url, **fields}))
    assert not works
    assert word in message
    # The Test button makes one up, which nobody knows.
    assert "connection '" not in message
    assert freddy.requests == []


def test_a_connection_that_does_not_exist_is_told(monkeypatch, quiet_environment):
    from airflow_provider_freddy.hooks.freddy import FreddyHook

    works, message = FreddyHook("freddy_nobody").test_connection()
    assert not works
    assert "freddy_nobody" in message
