"""What of a connection is sent as a header, and what is not."""

from __future__ import annotations

import logging

import pytest

from airflow_provider_freddy.exceptions import FreddyCredentialsError, FreddyInvalidRequestError
from tests.unit.hooks.conftest import KEY


def test_what_is_no_header_is_never_sent_as_one_and_what_is_unknown_is_reported(new_hook, fake_freddy, caplog):
    caplog.set_level(logging.WARNING)
    extra = {
        "timeout": [5, 5],
        "trust_env": False,
        "allow_redirects": False,
        "max_redirects": 3,
        "verify": True,
        "stream": True,
        "check_response": False,
        "tiemout": 5,
        "my_option": {"a": 1},
        "plain": "text",
        "X-List": ["a"],
        "X-Top": "top",
        "headers": {"X-Team": "blue", "timeout": "a header", "verify": "b", "x-number": 7, "X-Spaced": " c "},
    }
    new_hook(fake_freddy, extra=extra).create_response("Hello")
    sent = fake_freddy.requests[0].headers
    expected = {"x-top": "top", "x-team": "blue", "timeout": "a header", "verify": "b", "x-number": "7"}
    assert {name: sent.get(name) for name in expected} == expected
    assert sent["x-spaced"] == "c"
    usual = {"host", "user-agent", "accept", "accept-encoding", "connection", "content-length", "content-type"}
    assert set(sent) == usual | set(expected) | {"x-spaced"}
    for name in ("tiemout", "my_option", "plain", "X-List"):
        assert name in caplog.text
    assert "text" not in caplog.text


@pytest.mark.parametrize("name", ["user-agent", "User-Agent", "USER-AGENT"])
def test_the_headers_of_the_connection_win_over_the_hooks_own(new_hook, fake_freddy, name):
    new_hook(fake_freddy, extra={"headers": {name: "mine/1", "accept": "text/plain"}}).create_response("Hello")
    (request,) = fake_freddy.requests
    assert request.user_agent == "mine/1"
    assert request.headers["accept"] == "text/plain"


@pytest.mark.parametrize("scheme", ["bearer", "x-api-key", "api-key"])
def test_no_header_of_the_connection_replaces_the_key(new_hook, fake_freddy, scheme):
    name = {"bearer": "authorization", "x-api-key": "x-api-key", "api-key": "API-KEY"}[scheme]
    new_hook(fake_freddy, extra={"auth_scheme": scheme, "headers": {name: "Bearer other"}}).create_response("Hello")
    assert [request.auth_scheme for request in fake_freddy.requests] == [scheme]
    assert len(fake_freddy.responses) == 1


@pytest.mark.parametrize("value", ["hidden\u20ac", "hidden日本"])
def test_a_header_that_http_cannot_carry_is_an_error_that_does_not_show_it(new_hook, fake_freddy, value):
    hook = new_hook(fake_freddy, extra={"headers": {"X-Gateway": value}})
    with pytest.raises(FreddyInvalidRequestError) as caught:
        hook.create_response("Hello")
    assert "hidden" not in str(caught.value)
    assert fake_freddy.requests == []


def test_the_key_is_in_no_error_and_no_line_of_the_log(new_hook, fake_freddy, hook_log):
    for password in (f"{KEY} {KEY}", f"{KEY}ä", f"{KEY}\r\nX: 1"):
        hook = new_hook(fake_freddy, password=password)
        with pytest.raises(FreddyCredentialsError) as caught:
            hook.create_response("Hello")
        assert KEY not in repr(caught.value) + repr(caught.value.__context__) + repr(vars(hook))
    assert KEY not in hook_log.text
    assert fake_freddy.requests == []
