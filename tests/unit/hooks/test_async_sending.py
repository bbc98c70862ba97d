"""The asynchronous side sends what the blocking one sends: headers, key, TLS, proxies, redirects."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess

import pytest
import trustme

from airflow_provider_freddy.core.problem import Problem, ProblemKind
from airflow_provider_freddy.core.reply import ModelResponse
from airflow_provider_freddy.hooks.async_transport import AsyncTransport
from airflow_provider_freddy.testing import FakeFreddy
from tests.unit.hooks.both_sides import SIDES, ask_async, ask_blocking, build
from tests.unit.hooks.conftest import KEY
from tests.unit.hooks.raw_http import http_reply

SCHEMES = ["bearer", "x-api-key", "api-key"]
FOUND = http_reply({"id": "resp_1", "status": "processing"})
HEADERS = {"X-Team": "blue", "x-number": 7, "User-Agent": "mine/1", "timeout": "a header"}


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("headers", [{}, HEADERS], ids=["plain", "headers"])
def test_both_sides_send_the_same_request(new_hook, scheme, tls, headers, method):
    with FakeFreddy(api_key=KEY, base_path="/api/v9", tls=tls) as freddy:
        hook = new_hook(freddy, extra={"auth_scheme": scheme, "headers": headers})
        for ask in SIDES.values():
            ask(hook, build(method, organization_id="org_fake"))
        blocking, asynchronous = freddy.requests
    assert asynchronous.auth_scheme == blocking.auth_scheme == scheme
    assert (asynchronous.path, asynchronous.query) == (blocking.path, blocking.query)
    assert asynchronous.status == blocking.status == 404
    for request in (blocking, asynchronous):
        # Each library unpacks what it can.
        del request.headers["accept-encoding"]
    assert asynchronous.headers == blocking.headers


@pytest.mark.parametrize("scheme", SCHEMES)
def test_no_header_of_the_connection_replaces_the_key(new_hook, fake_freddy, scheme):
    name = {"bearer": "authorization", "x-api-key": "x-api-key", "api-key": "API-KEY"}[scheme]
    hook = new_hook(fake_freddy, extra={"auth_scheme": scheme, "headers": {name: "Bearer other"}})
    answer = ask_async(hook, build(organization_id="org_fake"))
    assert answer.kind is ProblemKind.NOT_FOUND
    assert [request.auth_scheme for request in fake_freddy.requests] == [scheme]


@pytest.mark.parametrize("value", ["hidden\u20ac", "hidden日本"])
@pytest.mark.parametrize("side", SIDES)
def test_a_header_that_http_cannot_carry_is_an_error_that_does_not_show_it(new_hook, fake_freddy, side, value):
    hook = new_hook(fake_freddy, extra={"headers": {"X-Gateway": value}})
    try:
        said = str(SIDES[side](hook, build()))
    except ValueError as error:
        said = str(error)
    assert "hidden" not in said
    assert fake_freddy.requests == []


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_netrc_entry_does_not_replace_the_key(new_hook, fake_freddy, monkeypatch, tmp_path, scheme):
    hook = new_hook(fake_freddy, extra={"auth_scheme": scheme})
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login intruder password intruder\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    ask_async(hook, build())
    assert [request.auth_scheme for request in fake_freddy.requests] == [scheme]


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("allow_redirects", [False, True])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_redirect_to_another_host_never_carries_the_key(new_hook, raw_server, scheme, allow_redirects, host):
    other = raw_server(FOUND)
    first = raw_server(http_reply(b"", "302 Found", Location=f"http://{host}:{other.port}/login"))
    extra = {"auth_scheme": scheme, "allow_redirects": allow_redirects}
    ask_async(new_hook(host=first.url, password=KEY, extra=extra), build())
    assert KEY in first.requests[0]
    assert [request for request in other.requests if KEY in request or "authorization" in request.lower()] == []
    assert len(other.requests) == (allow_redirects and scheme == "bearer")


def test_redirects_without_end_are_cut_off_alike(new_hook, raw_server):
    server = raw_server(http_reply(b"", "302 Found", Location="/again"))
    hook = new_hook(host=server.url, extra={"allow_redirects": True, "max_redirects": "3"})
    answers = []
    for ask in SIDES.values():
        before = len(server.requests)
        answers.append(ask(hook, build()))
        assert len(server.requests) - before == 4
    assert answers[0] == answers[1]


@pytest.mark.parametrize("form", ["{url}", "127.0.0.1:{port}", "http://user:word@127.0.0.1:{port}"])
def test_a_proxy_of_the_connection_is_used(new_hook, raw_server, form):
    proxy = raw_server(FOUND)
    hook = new_hook(
        host="http://freddy.invalid", extra={"proxies": {"http": form.format(url=proxy.url, port=proxy.port)}}
    )
    for ask in SIDES.values():
        assert isinstance(ask(hook, build()), ModelResponse)
    assert [request.partition(" HTTP")[0] for request in proxy.requests] == [
        "GET http://freddy.invalid/v1/model/response/resp_1?organizationId=org_1"
    ] * 2
    assert ["proxy-authorization" in request.lower() for request in proxy.requests] == ["@" in form] * 2


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_proxy_that_is_to_tunnel_is_not_told_the_key(new_hook, raw_server, scheme):
    proxy = raw_server(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
    extra = {"auth_scheme": scheme, "headers": {"X-Team": "blue"}, "proxies": {"https": proxy.url}}
    hook = new_hook(host="https://freddy.invalid", password=KEY, extra=extra)
    blocking, asynchronous = (ask(hook, build()) for ask in SIDES.values())
    assert asynchronous == blocking
    for request in proxy.requests:
        assert request.startswith("CONNECT freddy.invalid:443")
        assert KEY not in request
        assert "blue" not in request


@pytest.mark.parametrize(("trust_env", "used"), [(None, True), (True, True), (False, False)])
def test_a_proxy_of_the_environment_is_used_unless_the_environment_is_not_trusted(
    new_hook, raw_server, monkeypatch, trust_env, used
):
    proxy, server = raw_server(FOUND), raw_server(FOUND)
    hook = new_hook(host=server.url, extra={} if trust_env is None else {"trust_env": trust_env})
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", proxy.url)
    ask_async(hook, build())
    assert (len(proxy.requests), len(server.requests)) == ((1, 0) if used else (0, 1))


@pytest.mark.parametrize("url", ["http://user:hidden@127.0.0.1:{port}", "socks5://user:hidden@127.0.0.1:{port}"])
def test_a_proxy_that_is_not_there_is_told_without_its_password(new_hook, raw_server, url):
    proxy = raw_server(b"")
    proxy.close()
    hook = new_hook(host="http://freddy.invalid", extra={"proxies": {"http": url.format(port=proxy.port)}})
    answer = ask_async(hook, build())
    assert isinstance(answer, Problem)
    assert not answer.maybe_processed
    assert "hidden" not in str(answer) + repr(answer)


def authority_of(tmp_path):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return authority


@pytest.mark.parametrize("verify", ["file", "folder", "off", "bundle of the environment"])
def test_the_certificate_is_checked_as_the_connection_says(new_hook, raw_server, monkeypatch, tmp_path, verify):
    authority = authority_of(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    server = raw_server(FOUND, tls=context)
    extra = {
        "file": {"verify": f"{tmp_path}/ca.pem"},
        "folder": {"verify": f"{tmp_path}/folder"},
        "off": {"verify": False},
    }
    hook = new_hook(host=server.url, extra=extra.get(verify, {}))
    if verify == "folder":
        (tmp_path / "folder").mkdir()
        # OpenSSL finds a certificate in a folder by the hash of its subject.
        name = _subject_hash(tmp_path / "ca.pem")
        (tmp_path / "folder" / f"{name}.0").write_bytes((tmp_path / "ca.pem").read_bytes())
    if verify == "bundle of the environment":
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", f"{tmp_path}/ca.pem")
    assert isinstance(ask_async(hook, build()), ModelResponse)


def _subject_hash(path):
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    done = subprocess.run(["openssl", "x509", "-hash", "-noout", "-in", path], capture_output=True, check=True)
    return done.stdout.decode().strip()


def test_a_certificate_of_nobody_is_refused_alike(new_hook, raw_server):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    hook = new_hook(host=raw_server(FOUND, tls=context).url)
    for ask in SIDES.values():
        answer = ask(hook, build("DELETE"))
        assert answer.kind is ProblemKind.UNAVAILABLE
        assert answer.message.startswith("TLS failed:")
        assert "certificate" in answer.message.lower()
        assert not answer.maybe_processed


@pytest.mark.parametrize("form", ["one file", "two files"])
def test_a_client_certificate_is_shown_to_the_server(new_hook, raw_server, tmp_path, form):
    authority = authority_of(tmp_path)
    mine = authority.issue_cert("client@example.org")
    mine.private_key_and_cert_chain_pem.write_to_path(tmp_path / "both.pem")
    mine.private_key_pem.write_to_path(tmp_path / "key.pem")
    mine.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    cert = f"{tmp_path}/both.pem" if form == "one file" else [f"{tmp_path}/cert.pem", f"{tmp_path}/key.pem"]
    hook = new_hook(host=raw_server(FOUND, tls=context).url, extra={"verify": f"{tmp_path}/ca.pem", "cert": cert})
    assert isinstance(ask_async(hook, build()), ModelResponse)


@pytest.mark.parametrize("option", ["verify", "cert"])
def test_a_file_that_does_not_exist_is_a_bad_connection_and_named(new_hook, option):
    hook = new_hook(host="https://127.0.0.1:1", extra={option: "/nowhere/file.pem"})
    assert ask_blocking(hook, build()).kind is ProblemKind.INVALID_REQUEST
    with pytest.raises(ValueError, match=r"/nowhere/file\.pem"):
        ask_async(hook, build())


def test_the_sender_does_not_show_the_key(new_hook, fake_freddy):
    sender = asyncio.run(AsyncTransport(new_hook(fake_freddy).settings).open())
    assert KEY not in repr(sender) + str(sender)
    asyncio.run(sender.close())


def test_what_airflows_own_hook_would_send_with_is_the_same_and_asks_airflow_nothing(
    new_hook, fake_freddy, monkeypatch
):
    settings = new_hook(fake_freddy).settings
    monkeypatch.delenv("AIRFLOW_CONN_FREDDY_DEFAULT", raising=False)
    config = asyncio.run(AsyncTransport(settings).config())
    assert config.base_url == fake_freddy.url
    assert config.headers["Authorization"] == f"Bearer {fake_freddy.api_key}"
    assert config.auth is None
