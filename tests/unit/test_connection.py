"""A connection in all the forms that Airflow has for one, read and used."""

from __future__ import annotations

import inspect
import json
from urllib.parse import quote, urlencode

import pytest
from airflow.models.connection import Connection as ModelConnection
from airflow.providers.common.compat.sdk import Connection as SdkConnection

from airflow_provider_freddy.connection import ConnectionSettings, read_connection
from airflow_provider_freddy.core.endpoint import DEFAULT_BASE_URL
from airflow_provider_freddy.exceptions import FreddyCredentialsError, FreddyError, FreddyInvalidRequestError
from airflow_provider_freddy.hooks.freddy import FreddyHook
from airflow_provider_freddy.testing import FakeFreddy
from tests.airflow_versions import AIRFLOW

# The SDK's class of Airflow 3.0 reads no URI.
CLASSES = [
    found
    for found in dict.fromkeys([SdkConnection, ModelConnection])
    if "uri" in inspect.signature(found.__init__).parameters
]
# That of Airflow 3.2, made of a URI, has no extra in the URI that it writes itself.
FORGETS_EXTRA = [SdkConnection] if AIRFLOW == (3, 2) else []
each_class = pytest.mark.parametrize("connection_class", CLASSES, ids=lambda found: found.__module__)
HARD_KEYS = ["ak_/?#&%=+@:", "%2F%40", "a://b", "::@@//", "'\"<>{}|\\^`", "~!$()*,;[]", "-", "+/=="]
KEY = "ak_" + "secret" * 6


def connection(*, extra=None, **fields):
    fields = {"conn_id": "c", "conn_type": "freddy", "password": KEY, **fields}
    return SdkConnection(**fields, extra=json.dumps(extra) if extra is not None else None)


def settings(**fields):
    return read_connection(connection(**fields))


def refused(error=FreddyInvalidRequestError, **fields):
    with pytest.raises(error, match=r"Airflow connection 'c'.*Nothing was sent") as caught:
        settings(**fields)
    assert KEY not in str(caught.value)
    return str(caught.value)


def forms(freddy, connection_class):
    """Return the connection to a fake in every form that an environment variable can have."""
    first = connection_class(conn_id="c", uri=freddy.connection_uri())
    second = connection_class(conn_id="c", uri=first.get_uri())
    fields = json.loads(freddy.connection_json())
    built = connection_class(conn_id="c", **{**fields, "extra": json.dumps({**fields["extra"], "timeout": [2, 5]})})
    written = {
        "URI": freddy.connection_uri(),
        "JSON": freddy.connection_json(),
        "JSON with extra as text": json.dumps({**fields, "extra": json.dumps(fields["extra"])}),
        "URI of a connection from fields": built.get_uri(),
    }
    if connection_class in FORGETS_EXTRA:
        return written
    return {
        **written,
        "URI of a connection from a URI": first.get_uri(),
        "URI of that once more": second.get_uri(),
        "URI of that once more with a nested extra": connection_class(conn_id="c", uri=built.get_uri()).get_uri(),
        "JSON of a connection from a URI": json.dumps(
            {"conn_type": "freddy", "host": second.host, "password": second.password, "extra": second.extra}
        ),
    }


@each_class
@pytest.mark.parametrize("key", HARD_KEYS)
def test_every_form_leads_to_the_server_with_path_port_and_key(monkeypatch, quiet_environment, connection_class, key):
    with FakeFreddy(base_path="/api/v9", api_key=key) as freddy:
        for name, value in forms(freddy, connection_class).items():
            monkeypatch.setenv("AIRFLOW_CONN_FREDDY_DEFAULT", value)
            hook = FreddyHook()
            assert hook.test_connection() == (True, "Freddy accepts the API key for the organization 'org_fake'."), name
            hook.close()
        assert {request.path for request in freddy.requests} == {
            "/api/v9/v1/model/response/resp_airflow_connection_test"
        }


@each_class
@pytest.mark.parametrize(
    ("uri", "base_url"),
    [
        ("freddy://:k@/", DEFAULT_BASE_URL),
        ("freddy://:k@example.org", "https://example.org"),
        ("freddy://:k@example.org/", "https://example.org"),
        ("freddy://:k@example.org:8443/api/v9", "https://example.org:8443/api/v9"),
        ("freddy://:k@example.org:8443/api%2Fv9", "https://example.org:8443/api/v9"),
        ("freddy://:k@example.org:8080/http", "http://example.org:8080"),
        ("freddy://http://:k@example.org:8080/api/v9", "http://example.org:8080/api/v9"),
        ("freddy://https://:k@example.org", "https://example.org"),
        ("freddy://:k@http%3A%2F%2Fexample.org%3A8080%2Fapi", "http://example.org:8080/api"),
        ("freddy://:k@https%3A%2F%2FExample.org%2FApi%2F", "https://Example.org/Api"),
    ],
)
def test_a_uri_written_by_hand_is_understood(connection_class, uri, base_url):
    assert read_connection(connection_class(conn_id="c", uri=uri)).base_url == base_url
    again = connection_class(conn_id="c", uri=uri).get_uri()
    assert read_connection(connection_class(conn_id="c", uri=again)).base_url == base_url


@pytest.mark.parametrize(
    ("fields", "base_url"),
    [
        ({}, DEFAULT_BASE_URL),
        ({"host": ""}, DEFAULT_BASE_URL),
        ({"host": "  "}, DEFAULT_BASE_URL),
        ({"host": "", "port": 0}, DEFAULT_BASE_URL),
        ({"host": "example.org", "port": 0}, "https://example.org"),
        ({"host": "https://example.org/", "port": 0}, "https://example.org"),
        ({"host": "", "port": 443}, DEFAULT_BASE_URL),
        ({"host": "http://example.org", "port": 80}, "http://example.org"),
        ({"host": "http://example.org", "port": 443}, "http://example.org:443"),
        ({"host": "https://example.org/api/", "port": 8443}, "https://example.org:8443/api"),
        ({"host": "https://example.org:1/api", "port": 8443}, "https://example.org:1/api"),
        ({"host": " example.org:80 ", "schema": "HTTP"}, "http://example.org:80"),
        ({"host": "http://example.org", "schema": "https"}, "http://example.org"),
        ({"host": "example.org", "schema": "api/v9/"}, "https://example.org/api/v9"),
        ({"host": "HTTPS://example.org"}, "https://example.org"),
        ({"host": "http://[::1]:8080"}, "http://[::1]:8080"),
    ],
)
def test_the_base_url_is_put_together_from_the_fields(fields, base_url):
    assert settings(**fields).base_url == base_url


@pytest.mark.parametrize(
    "host",
    [
        *[
            "ftp://example.org",
            "://",
            "https://",
            "http:///path",
            "https://example.org:port",
            "https://example.org:99999",
        ],
        *[
            "https://example.org?x=1",
            "https://example.org#x",
            "https://exa mple.org",
            "http://[::1",
            "file:///etc/passwd",
        ],
        *[f"https://user:{KEY}@example.org", f"https://{KEY}@example.org", f"https://example.org?key={KEY}"],
    ],
)
def test_a_host_that_is_no_base_url_is_refused(host):
    refused(host=host)


def test_the_least_that_is_needed_is_a_key():
    assert settings() == ConnectionSettings(conn_id="c", api_key=KEY)
    assert settings(extra={}).auth_header() == ("Authorization", f"Bearer {KEY}")


@pytest.mark.parametrize("password", [f"{KEY}\n", f" {KEY}", f"\t{KEY}\r\n"])
def test_white_space_around_a_key_is_left_out(password):
    assert settings(password=password).api_key == KEY


@pytest.mark.parametrize("password", [None, "", " ", "\n"])
def test_a_connection_without_a_key_is_refused(password):
    assert "no API key" in refused(FreddyCredentialsError, password=password)


@pytest.mark.parametrize("inside", [" ", "\n", "\r\nX-Evil: 1", "\t", "\x00", "\x7f", "ä", "日本", "\u200b", "\xa0"])
def test_a_key_that_no_header_can_carry_is_refused_and_never_shown(inside):
    message = refused(FreddyCredentialsError, password=f"{KEY[:20]}{inside}{KEY[20:]}")
    assert KEY[:20] not in message
    assert KEY[20:] not in message


def test_no_secret_is_in_the_representation_of_the_settings():
    found = settings(extra={"headers": {"X-Gateway": "hidden"}, "proxies": {"http": "http://u:hidden@proxy"}})
    assert found.headers == {"X-Gateway": "hidden"}
    assert "hidden" not in repr(found)
    assert KEY not in repr(found) + str(found)


@pytest.mark.parametrize(
    ("scheme", "header"),
    [
        (None, ("Authorization", f"Bearer {KEY}")),
        ("", ("Authorization", f"Bearer {KEY}")),
        ("bearer", ("Authorization", f"Bearer {KEY}")),
        (" Bearer ", ("Authorization", f"Bearer {KEY}")),
        ("x-api-key", ("X-API-Key", KEY)),
        ("X-API-Key", ("X-API-Key", KEY)),
        ("api-key", ("api-key", KEY)),
    ],
)
def test_the_key_is_sent_in_one_of_three_ways(scheme, header):
    assert settings(extra={"auth_scheme": scheme}).auth_header() == header


@pytest.mark.parametrize("scheme", ["basic", "token", "x_api_key", ["bearer"], 5])
def test_an_unknown_auth_scheme_is_refused(scheme):
    assert "bearer, x-api-key, api-key" in refused(extra={"auth_scheme": scheme})


def test_links_lead_to_the_api_unless_the_connection_says_where():
    assert settings().link("r", "o") == f"{DEFAULT_BASE_URL}/v1/model/response/r?organizationId=o"
    elsewhere = settings(extra={"link_base_url": " https://example.com/{response_id} "})
    assert elsewhere.link("r", "o") == "https://example.com/r"
    assert settings(extra={"link_base_url": ""}).link_base_url is None


def test_a_link_that_cannot_be_opened_is_refused():
    assert "link_base_url" in refused(extra={"link_base_url": "example.com"})


@pytest.mark.parametrize("prefix", ["", "extra__freddy__"])
def test_the_fields_of_old_forms_are_read_too(prefix):
    found = settings(extra={f"{prefix}organization_id": " org_1 ", f"{prefix}auth_scheme": "api-key"})
    assert (found.organization_id, found.auth_scheme) == ("org_1", "api-key")


@pytest.mark.parametrize("value", [None, ""])
def test_an_organization_is_not_needed(value):
    assert settings(extra={"organization_id": value}).organization_id is None


@pytest.mark.parametrize("value", ["None", "a/b", "..", "a b", ["org_1"], {"id": 1}, True, "x" * 1000])
def test_an_organization_that_is_none_is_refused(value):
    assert "organization id" in refused(extra={"organization_id": value})


@pytest.mark.parametrize(
    ("extra", "times"), [({"organization_id": "org_1"}, 0), ({"headers": {"Authorization": "hidden"}}, 1)]
)
def test_airflow_is_told_to_mask_only_an_extra_that_may_hold_a_secret(extra, times):
    class Counting:
        """A connection whose masking reading is counted: every one is a message to the supervisor."""

        conn_id, password, host, port, schema = "c", KEY, None, None, None
        masked = 0

        def __init__(self):
            self.extra = json.dumps(extra)

        @property
        def extra_dejson(self):
            self.masked += 1
            return extra

    found = Counting()
    read_connection(found)
    assert found.masked == times


@pytest.mark.parametrize("extra", ["[1]", '"text"', "5"])
def test_an_extra_that_is_no_object_is_refused(extra):
    found = connection()
    found.extra = extra
    with pytest.raises(FreddyError, match="extra must be a JSON object"):
        read_connection(found)


TEXT_FORMS = [
    ("timeout", 7, "7"),
    ("timeout", [2, 7], "2,7"),
    ("timeout", [2, 7], "[2, 7]"),
    ("timeout", [2.5, 7], "(2.5, 7)"),
    ("trust_env", False, "false"),
    ("trust_env", True, "True"),
    ("allow_redirects", True, "1"),
    ("max_redirects", 3, "3"),
    ("verify", False, "False"),
    ("verify", True, "true"),
    ("verify", "/etc/ca.pem", "/etc/ca.pem"),
    ("verify_ssl", False, "no"),
    ("cert", "/etc/client.pem", "/etc/client.pem"),
    ("cert", ["/etc/client.pem", "/etc/client.key"], '["/etc/client.pem", "/etc/client.key"]'),
    ("proxies", {"https": "http://u:p@proxy:3128"}, '{"https": "http://u:p@proxy:3128"}'),
    ("headers", {"X-Team": "a b", "X-Number": "5"}, '{"X-Team": "a b", "X-Number": 5}'),
    ("organization_id", "12345", "12345"),
    ("X-Team", "blue", "blue"),
    ("X-Number", "5", "5"),
]


@each_class
@pytest.mark.parametrize(("name", "native", "text"), TEXT_FORMS)
def test_every_option_means_the_same_as_a_value_and_as_text_of_a_uri(connection_class, name, native, text):
    as_value = settings(password="k", extra={name: native})
    as_text = connection_class(conn_id="c", uri=f"freddy://:k@/?{urlencode({name: text})}")
    assert as_value != settings(password="k") or native is True
    assert read_connection(as_text) == as_value
    if connection_class not in FORGETS_EXTRA:
        assert read_connection(connection_class(conn_id="c", uri=as_text.get_uri())) == as_value
    nested = f"freddy://:k@/?__extra__={quote(json.dumps({name: native}))}"
    assert read_connection(connection_class(conn_id="c", uri=nested)) == as_value


@pytest.mark.parametrize(
    "extra",
    [
        *[
            {"timeout": value}
            for value in ("long", 0, -1, [1], [1, 2, 3], [1, 0], "nan", {"connect": 1}, 1e9, ["a", 1])
        ],
        *[{name: "maybe"} for name in ("trust_env", "allow_redirects", "verify", "verify_ssl", "srv_lookup")],
        *[{"max_redirects": value} for value in ("many", -1, [1], {}, 1.5, True)],
        *[{"cert": value} for value in (5, ["/a"], ["/a", "/b", "/c"], {"cert": "/a"}, "[broken", [1, 2])],
        *[{"proxies": value} for value in ("http://proxy", ["http://proxy"], 5, {"http": 5}, {"http": "http://"})],
        *[{"headers": value} for value in ("X-A: 1", ["X-A"], 5, {"X-A": None}, {"X-A": ["b"]}, {"X A": "b"})],
        *[{"headers": {name: "b"}} for name in ("", "X:A", "X\nA", "Ä", "X-A ")],
        *[{"headers": {"X-A": value}} for value in ("a\nb", "a\r\nX-Evil: 1", "a\x00b")],
    ],
    ids=json.dumps,
)
def test_an_option_that_makes_no_sense_is_refused_and_named(extra):
    assert next(iter(extra)).replace("verify_ssl", "verify").replace("headers", "header") in refused(extra=extra)


def test_an_extra_that_is_no_text_is_read_and_masked_as_if_it_was():
    """Airflow 3.2 leaves it so in a connection that it makes of a URI."""
    given = {"organization_id": "org_1", "headers": {"X-Team": "blue"}}

    class OfUri:
        conn_id, password, host, port, schema = "c", KEY, None, None, None
        extra = given

        @property
        def extra_dejson(self):
            return json.loads(self.extra)

    found = read_connection(OfUri())
    assert (found.organization_id, found.headers) == ("org_1", {"X-Team": "blue"})
