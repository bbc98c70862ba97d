"""A sender described as JSON sends, from another process, just as the hook does."""

from __future__ import annotations

import json
import ssl

import pytest
import requests
import trustme

from airflow_provider_freddy.core.reply import HttpReply
from airflow_provider_freddy.core.request import get_response_request
from airflow_provider_freddy.core.retry import Budget
from airflow_provider_freddy.hooks.sending import sender_from
from airflow_provider_freddy.testing import FakeFreddy
from tests.unit.hooks.conftest import KEY
from tests.unit.hooks.raw_http import http_reply

REQUEST = get_response_request("resp_1", organization_id="org_1")
FOUND = http_reply({"id": "resp_1", "status": "processing"})


def elsewhere(hook):
    """Return the hook's sender as another process would make it."""
    return sender_from(json.loads(json.dumps(hook._transport.description)))


@pytest.mark.parametrize("scheme", ["bearer", "x-api-key", "api-key"])
def test_the_other_sender_authenticates_and_identifies_itself_alike(new_hook, scheme):
    with FakeFreddy(api_key=KEY, base_path="/api/v9", tls=True) as freddy:
        hook = new_hook(freddy, extra={"auth_scheme": scheme, "headers": {"X-Team": "blue", "user-agent": "mine/1"}})
        response_id = hook.create_response("Hello").id
        sender = elsewhere(hook)
        request = get_response_request(response_id, organization_id=freddy.organization_id)
        assert sender.send(request, Budget(10)).status == 200
        hook.get_response(response_id)
        by_other, by_hook = freddy.requests[1:]
    assert by_other.auth_scheme == scheme
    assert by_other.headers == by_hook.headers
    assert by_other.path == by_hook.path


def test_the_other_sender_shows_the_same_client_certificate(new_hook, raw_server, tmp_path):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    mine = authority.issue_cert("client@example.org")
    mine.private_key_pem.write_to_path(tmp_path / "key.pem")
    mine.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    server = raw_server(FOUND, tls=context)
    cert = [f"{tmp_path}/cert.pem", f"{tmp_path}/key.pem"]
    hook = new_hook(host=server.url, extra={"verify": f"{tmp_path}/ca.pem", "cert": cert})
    assert isinstance(elsewhere(hook).send(REQUEST, Budget(10)), HttpReply)


def test_the_other_sender_uses_the_same_proxy(new_hook, raw_server):
    proxy = raw_server(FOUND)
    hook = new_hook(host="http://freddy.invalid", extra={"proxies": {"http": proxy.url}})
    assert isinstance(elsewhere(hook).send(REQUEST, Budget(10)), HttpReply)
    assert proxy.requests[0].startswith("GET http://freddy.invalid/v1/model/response/resp_1")


@pytest.mark.parametrize("allow_redirects", [False, True])
def test_the_other_sender_keeps_the_key_from_other_hosts_too(new_hook, raw_server, allow_redirects):
    other = raw_server(FOUND)
    first = raw_server(http_reply(b"", "302 Found", Location=f"http://localhost:{other.port}/login"))
    extra = {"auth_scheme": "x-api-key", "allow_redirects": allow_redirects}
    reply = elsewhere(new_hook(host=first.url, password=KEY, extra=extra)).send(REQUEST, Budget(10))
    assert reply.status == (200 if allow_redirects else 302)
    assert KEY in first.requests[0]
    assert [KEY in request for request in other.requests] == [False] * allow_redirects


def test_neither_sender_nor_its_authentication_shows_the_key(new_hook, fake_freddy):
    hook = new_hook(fake_freddy)
    for sender in (hook._transport.sender, elsewhere(hook)):
        assert KEY not in repr(sender) + str(sender) + repr(sender.session.auth)


def test_the_timeouts_are_those_of_the_connection(new_hook, fake_freddy):
    sender = elsewhere(new_hook(fake_freddy, extra={"timeout": [2, 7], "max_redirects": 3, "trust_env": False}))
    assert (sender.connect_timeout, sender.read_timeout) == (2, 7)
    assert (sender.session.max_redirects, sender.session.trust_env) == (3, False)
    assert isinstance(sender.session, requests.Session)
