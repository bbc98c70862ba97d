"""One connection for the life of a hook, and what goes over it: options, headers, proxies, redirects."""

from __future__ import annotations

import contextlib
import ssl

import pytest
import trustme

from airflow_provider_freddy.exceptions import FreddyError, FreddyInvalidRequestError, FreddyUnexpectedReplyError
from airflow_provider_freddy.testing import FakeFreddy
from tests.unit.hooks.conftest import KEY
from tests.unit.hooks.raw_http import http_reply

SCHEMES = ["bearer", "x-api-key", "api-key"]
FOUND = http_reply({"id": "resp_1", "status": "processing"})


def use_all_calls(hook, freddy):
    """Make calls that work and calls that fail, some of them with large or empty bodies."""
    response_id = hook.create_response("Hello").id
    hook.get_response(response_id)
    hook.cancel_response(response_id)
    hook.cancel_response(response_id)
    for status in (400, 401, 403, 404, 409, 422, 500, 204, 304):
        freddy.fault("status", method="GET", status=status)
        with pytest.raises(FreddyError):
            hook.get_response(response_id, budget=0.001)
    for body in ("html", "empty", "not_json", "truncated", "wrong_shape"):
        freddy.fault("garbage", method="GET", body=body)
        with pytest.raises(FreddyError):
            hook.get_response(response_id, budget=0.001)
    hook.get_response(response_id)


@pytest.mark.parametrize("tls", [False, True])
def test_a_hook_connects_once_whatever_the_replies(new_hook, tls):
    with FakeFreddy(api_key=KEY, tls=tls) as freddy:
        hook = new_hook(freddy)
        use_all_calls(hook, freddy)
        assert len(freddy.requests) > 18
        assert len({request.client for request in freddy.requests}) == 1
        assert freddy.connections == 1


def test_a_sibling_has_a_connection_of_its_own_and_the_same_settings(hook, fake_freddy, monkeypatch):
    response_id = hook.create_response("Hello").id
    monkeypatch.delenv("AIRFLOW_CONN_FREDDY_DEFAULT")
    sibling = hook.sibling()
    sibling.get_response(response_id)
    hook.get_response(response_id)
    assert fake_freddy.connections == 2
    assert sibling is not hook
    assert sibling.settings == hook.settings
    sibling.close()


def test_a_sibling_for_another_connection_reads_that_one(hook, new_hook, fake_freddy):
    with FakeFreddy() as other:
        new_hook(other, conn_id="freddy_other")
        sibling = hook.sibling("freddy_other")
        assert sibling.settings.base_url == other.url
        assert hook.settings.base_url == fake_freddy.url


def test_a_closed_hook_connects_anew(hook, fake_freddy):
    hook.close()
    response_id = hook.create_response("Hello").id
    hook.close()
    hook.close()
    hook.get_response(response_id)
    assert fake_freddy.connections == 2


def test_a_hook_is_made_without_a_look_at_the_connection(new_hook, fake_freddy, monkeypatch):
    hook = new_hook(fake_freddy)
    monkeypatch.delenv("AIRFLOW_CONN_FREDDY_DEFAULT")
    assert fake_freddy.connections == 0
    assert "settings" not in vars(hook)


def test_get_conn_gives_a_session_that_is_set_up(hook, fake_freddy):
    reply = hook.get_conn().get(f"{fake_freddy.url}/v1/model/response/resp_1?organizationId=org_fake", timeout=5)
    assert reply.json()["error"]["code"] == "response_not_found"
    assert fake_freddy.requests[0].auth_scheme == "bearer"
    assert hook.get_conn() is hook.get_conn()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_netrc_entry_does_not_replace_the_key(new_hook, fake_freddy, monkeypatch, tmp_path, scheme):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login intruder password intruder\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    hook = new_hook(fake_freddy, extra={"auth_scheme": scheme})
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    hook.create_response("Hello")
    assert [request.auth_scheme for request in fake_freddy.requests] == [scheme]


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_redirect_to_another_host_does_not_carry_the_key(new_hook, raw_server, monkeypatch, tmp_path, scheme, host):
    other = raw_server(FOUND)
    location = f"http://{host}:{other.port}/login"
    first = raw_server(http_reply(b"", "302 Found", Location=location))
    hook = new_hook(host=first.url, password="ak_very_secret", extra={"auth_scheme": scheme, "allow_redirects": True})
    (tmp_path / "netrc").write_text(f"machine {host} login intruder password intruder\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert hook.get_response("resp_1").status == "processing"
    assert "ak_very_secret" in first.requests[0]
    assert "ak_very_secret" not in other.requests[0]
    assert "authorization" not in other.requests[0].lower()
    # The next call to Freddy itself has it again.
    hook.get_response("resp_1")
    assert "ak_very_secret" in first.requests[1]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_redirect_on_the_same_host_keeps_the_key(new_hook, raw_server, scheme):
    server = raw_server(
        lambda request: FOUND if "/moved" in request else http_reply(b"", "307 Moved", Location="/moved")
    )
    hook = new_hook(host=server.url, password="ak_very_secret", extra={"auth_scheme": scheme, "allow_redirects": True})
    hook.get_response("resp_1")
    assert ["ak_very_secret" in request for request in server.requests] == [True, True]


@pytest.mark.parametrize("extra", [{}, {"allow_redirects": False}, {"allow_redirects": "false"}])
def test_a_redirect_is_not_followed_unless_that_is_wanted(new_hook, raw_server, extra):
    other = raw_server(FOUND)
    first = raw_server(http_reply(b"", "302 Found", Location=other.url))
    with pytest.raises(FreddyUnexpectedReplyError, match="HTTP 302"):
        new_hook(host=first.url, extra=extra).get_response("resp_1")
    assert other.requests == []


def test_redirects_without_end_are_cut_off(new_hook, raw_server):
    server = raw_server(http_reply(b"", "302 Found", Location="/again"))
    hook = new_hook(host=server.url, extra={"allow_redirects": True, "max_redirects": "3"})
    with pytest.raises(FreddyUnexpectedReplyError, match="Too many redirects"):
        hook.get_response("resp_1")
    assert len(server.requests) == 4


@pytest.mark.parametrize("as_text", [False, True])
def test_a_proxy_of_the_connection_is_used(new_hook, raw_server, as_text):
    proxy = raw_server(FOUND)
    proxies = {"http": proxy.url}
    extra = {"proxies": f'{{"http": "{proxy.url}"}}' if as_text else proxies}
    assert new_hook(host="http://freddy.invalid", extra=extra).get_response("resp_1").status == "processing"
    assert proxy.requests[0].startswith("GET http://freddy.invalid/v1/model/response/resp_1?organizationId=org_1")


@pytest.mark.parametrize(("trust_env", "used"), [(None, True), (True, True), (False, False), ("false", False)])
def test_a_proxy_of_the_environment_is_used_unless_the_environment_is_not_trusted(
    new_hook, raw_server, monkeypatch, trust_env, used
):
    proxy, server = raw_server(FOUND), raw_server(FOUND)
    hook = new_hook(host=server.url, extra={} if trust_env is None else {"trust_env": trust_env})
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", proxy.url)
    hook.get_response("resp_1")
    assert (len(proxy.requests), len(server.requests)) == ((1, 0) if used else (0, 1))


def test_a_proxy_that_is_not_there_is_told_without_its_password(new_hook, raw_server):
    proxy = raw_server(b"")
    proxy.close()
    url = proxy.url.replace("http://", "http://user:hidden@")
    hook = new_hook(host="http://freddy.invalid", extra={"proxies": {"http": url}})
    with pytest.raises(FreddyError, match="proxy") as caught:
        hook.create_response("Hello", budget=0.3)
    assert "hidden" not in str(caught.value)
    assert "may have started" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://user:hidden@127.0.0.1:port", "http://user:hidden@", "ftp://user:hidden@x"])
def test_a_proxy_that_is_none_is_told_without_its_password(new_hook, url):
    hook = new_hook(host="http://freddy.invalid", extra={"proxies": {"http": url}})
    with pytest.raises(FreddyError) as caught:
        hook.create_response("Hello", budget=0.3)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("verify", ["{ca}", False, "false", 0])
def test_a_certificate_is_checked_against_the_file_of_the_connection_or_not_at_all(
    new_hook, monkeypatch, tmp_path, verify
):
    with FakeFreddy(api_key=KEY, tls=True) as freddy:
        verify = freddy.ca_file if verify == "{ca}" else verify
        hook = new_hook(freddy, extra={"verify": verify})
        # A bundle of the environment does not win over the connection.
        (tmp_path / "other.pem").write_bytes(trustme.CA().cert_pem.bytes())
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "other.pem"))
        with contextlib.nullcontext() if verify == freddy.ca_file else pytest.warns(match="Unverified"):
            hook.create_response("Hello")
        assert len(freddy.responses) == 1


def test_a_ca_file_that_does_not_exist_is_a_bad_connection(new_hook, fake_freddy):
    with FakeFreddy(api_key=KEY, tls=True) as freddy:
        hook = new_hook(freddy, extra={"verify": "/nowhere/ca.pem"})
        with pytest.raises(FreddyInvalidRequestError, match="/nowhere/ca"):
            hook.create_response("Hello")


@pytest.mark.parametrize("form", ["one file", "two files", "two files as text"])
def test_a_client_certificate_is_shown_to_the_server(new_hook, raw_server, tmp_path, form):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    mine = authority.issue_cert("client@example.org")
    mine.private_key_and_cert_chain_pem.write_to_path(tmp_path / "both.pem")
    mine.private_key_pem.write_to_path(tmp_path / "key.pem")
    mine.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    server = raw_server(FOUND, tls=context)
    cert = {
        "one file": f"{tmp_path}/both.pem",
        "two files": [f"{tmp_path}/cert.pem", f"{tmp_path}/key.pem"],
        "two files as text": f'["{tmp_path}/cert.pem", "{tmp_path}/key.pem"]',
    }[form]
    hook = new_hook(host=server.url, extra={"verify": f"{tmp_path}/ca.pem", "cert": cert})
    assert hook.get_response("resp_1").status == "processing"
