"""An Airflow connection of type ``freddy``, read into checked settings. Sends nothing, imports no HTTP library."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_freddy.core.endpoint import AUTH_SCHEMES, DEFAULT_AUTH_SCHEME, DEFAULT_BASE_URL
from airflow_provider_freddy.core.identifier import check_identifier
from airflow_provider_freddy.core.link import check_link_base_url, response_link
from airflow_provider_freddy.exceptions import FreddyCredentialsError, FreddyInvalidRequestError

#: Seconds. HTTP clients have no time limit of their own, and a worker must never wait for ever.
DEFAULT_CONNECT_TIMEOUT = 5.0
DEFAULT_READ_TIMEOUT = 30.0

# What the HTTP provider takes in extra beside headers (apache-airflow-providers-http 6.3).
_HTTP_BOOLEANS = ("trust_env", "allow_redirects", "srv_lookup")
_HTTP_OPTIONS = {*_HTTP_BOOLEANS, "verify", "verify_ssl", "cert", "proxies", "proxy", "timeout", "max_redirects"}
# Options that this hook decides itself: replies are always streamed and always checked.
_IGNORED_OPTIONS = {"stream", "check_response"}
_OWN_FIELDS = {"organization_id", "auth_scheme", "headers", "link_base_url"}
_WITHOUT_SECRETS = {"organization_id", "auth_scheme", "link_base_url", "timeout", "max_redirects", *_HTTP_BOOLEANS}

_DEFAULT_PORTS = {"http": 80, "https": 443}
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+\Z")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ConnectionSettings:
    """
    All that is needed to talk to Freddy. ``repr`` shows neither the key nor anything that may hold a secret.

    :param conn_id: the Airflow connection it was read from.
    :param api_key: the API key.
    :param base_url: with scheme, without a slash at the end.
    :param organization_id: the default organization, ``None`` if every call has to name one.
    :param auth_scheme: ``bearer``, ``x-api-key`` or ``api-key``.
    :param link_base_url: where a person looks at a response, ``None`` for the API itself.
    :param connect_timeout: seconds to wait for a connection.
    :param read_timeout: seconds to wait for the next part of a reply.
    :param headers: more headers for every request.
    :param http_options: the other options of Airflow's HTTP connection: ``verify``, ``cert``, ``proxies`` and so on.
    """

    conn_id: str
    api_key: str = field(repr=False)
    base_url: str = DEFAULT_BASE_URL
    organization_id: str | None = None
    auth_scheme: str = DEFAULT_AUTH_SCHEME
    link_base_url: str | None = None
    connect_timeout: float = DEFAULT_CONNECT_TIMEOUT
    read_timeout: float = DEFAULT_READ_TIMEOUT
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    http_options: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def auth_header(self) -> tuple[str, str]:
        """Return name and value of the header that carries the key."""
        name, form = AUTH_SCHEMES[self.auth_scheme]
        return name, form.format(key=self.api_key)

    def link(self, response_id: str, organization_id: str) -> str:
        """
        Return the address at which a person looks at a response; it holds no secret.

        :param response_id: the response.
        :param organization_id: the organization that owns it.
        """
        return response_link(self.link_base_url or self.base_url, response_id, organization_id)


def read_connection(connection: Any) -> ConnectionSettings:
    """
    Read and check an Airflow connection.

    :param connection: the ``Connection`` object of any supported Airflow version.
    :raises FreddyCredentialsError: if it has no API key, or one that no HTTP header can carry.
    :raises FreddyInvalidRequestError: if its base URL, a field or an option makes no sense.
    """
    try:
        extra = _extra(connection)
        connect_timeout, read_timeout = _timeouts(extra.get("timeout"))
        return ConnectionSettings(
            conn_id=connection.conn_id,
            api_key=_api_key(connection),
            base_url=_base_url(connection.host, connection.port, connection.schema),
            organization_id=_organization_id(extra.get("organization_id")),
            auth_scheme=_auth_scheme(extra.get("auth_scheme")),
            link_base_url=_link_base_url(extra.get("link_base_url")),
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
            headers=_headers(extra, connection.conn_id),
            http_options=_http_options(extra),
        )
    except ValueError as error:
        raise FreddyInvalidRequestError(
            f"The Airflow connection {connection.conn_id!r} cannot be used: {error} Nothing was sent to Freddy."
        ) from None


def _extra(connection: Any) -> dict[str, Any]:
    """Return the extra, without the ``extra__freddy__`` that old forms put before the names of custom fields."""
    if isinstance(connection.extra, dict):
        # Airflow 3.2 leaves that in a connection which it makes of a URI, and cannot read it then (3.2.2).
        connection = copy(connection)
        connection.extra = json.dumps(connection.extra)
    with suppress(json.JSONDecodeError):
        extra = _unprefixed(json.loads(connection.extra or "{}"))
        if extra.keys() <= _WITHOUT_SECRETS:
            return extra
    # Airflow's own reading masks each secret in it. That takes one more message to the supervisor, of which a
    # triggerer handles few in a second.
    return _unprefixed(connection.extra_dejson)


def _unprefixed(extra: Any) -> dict[str, Any]:
    if not isinstance(extra, dict):
        raise ValueError("its extra must be a JSON object.")
    return {name.removeprefix("extra__freddy__"): value for name, value in extra.items()}


def _api_key(connection: Any) -> str:
    key = (connection.password or "").strip()
    if not key:
        raise FreddyCredentialsError(
            f"The Airflow connection {connection.conn_id!r} has no API key: put it into 'API key' (the password). "
            "Nothing was sent to Freddy."
        )
    if not key.isascii() or not key.isprintable() or " " in key:
        # Said here without the key: the HTTP client's own error would quote it.
        raise FreddyCredentialsError(
            f"The API key in the Airflow connection {connection.conn_id!r} has spaces, line breaks or letters "
            "that an HTTP header cannot carry. Nothing was sent to Freddy."
        )
    return key


def _base_url(host: str | None, port: int | None, schema: str | None) -> str:
    """Put the base URL together from any of the forms that Airflow's UI, URI and JSON allow."""
    host = (host or "").strip()
    schema = (schema or "").strip("/ ")
    scheme_only = schema.lower() in {"http", "https"}
    if not host:
        host = DEFAULT_BASE_URL
    elif "://" not in host:
        host = f"{schema.lower() if scheme_only else 'https'}://{host}"
    parts = urlsplit(host)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"its host must be a base URL such as {DEFAULT_BASE_URL}.")
    if "@" in parts.netloc:
        raise ValueError("its host must not hold a user name or password: the API key belongs into the password.")
    if parts.query or parts.fragment or any(character.isspace() for character in host):
        raise ValueError("its host must be a base URL without query, fragment and spaces.")
    # Reading .port checks it; some Airflow versions send port 0 when the field is left empty.
    told = parts.port or not port or port == _DEFAULT_PORTS[parts.scheme]
    netloc = parts.netloc if told else f"{parts.netloc}:{port}"
    path = parts.path if scheme_only or not schema else f"{parts.path.rstrip('/')}/{schema}"
    return f"{parts.scheme}://{netloc}{path}".rstrip("/")


def _organization_id(value: Any) -> str | None:
    # Airflow reads a number in a URI as one.
    value = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else value
    return check_identifier(value, "organization id") if value else None


def _auth_scheme(value: Any) -> str:
    scheme = str(value).strip().lower() if value else DEFAULT_AUTH_SCHEME
    if scheme not in AUTH_SCHEMES:
        raise ValueError(f"its auth scheme must be one of {', '.join(AUTH_SCHEMES)}, not {scheme[:40]!r}.")
    return scheme


def _link_base_url(value: Any) -> str | None:
    text = str(value).strip() if value else ""
    return check_link_base_url(text) if text else None


def _timeouts(value: Any) -> tuple[float, float]:
    """Read ``timeout`` as the HTTP connection has it: seconds, or a pair of connect and read timeout."""
    if value is None or value == "":
        return DEFAULT_CONNECT_TIMEOUT, DEFAULT_READ_TIMEOUT
    if isinstance(value, str):
        value = value.strip("[]() ").split(",") if "," in value else value
    pair = list(value) if isinstance(value, list | tuple) else [value, value]
    try:
        connect, read = (float(part) for part in pair)
    except (TypeError, ValueError):
        raise ValueError("its timeout must be seconds, or a pair of connect and read timeout.") from None
    if not (0 < connect < 86400 and 0 < read < 86400):
        raise ValueError("its timeout must be more than 0 seconds and less than a day.")
    return connect, read


def _headers(extra: Mapping[str, Any], conn_id: str) -> dict[str, str]:
    """
    Collect the headers: those under ``headers``, and top-level entries as Airflow's HTTP connection has them.

    There every unknown entry of extra is sent as a header. Here a top-level entry is one only if it has a hyphen in its
    name, as such headers do; another unknown entry is a misspelt option, and is reported instead of sent.
    """
    found = _json_object(extra.get("headers"), "headers")
    for name, value in extra.items():
        if name in _OWN_FIELDS | _HTTP_OPTIONS | _IGNORED_OPTIONS:
            continue
        if "-" in name and isinstance(value, str | int | float):
            found.setdefault(name, value)
        else:
            log.warning(
                "Airflow connection %r: ignoring %r in extra. If it is a header, put it into 'headers'.", conn_id, name
            )
    for name, value in found.items():
        # What looks like a number in a URI comes as one.
        text = json.dumps(value) if isinstance(value, int | float) else value
        # HTTP clients refuse white space at the ends of a value, and quote the value.
        found[name] = value = text.strip() if isinstance(text, str) else text
        if not isinstance(value, str) or not _HEADER_NAME.match(name) or not value.isprintable():
            raise ValueError(f"its header {name!r} has a name or value that is none.")
    return found


def _http_options(extra: Mapping[str, Any]) -> dict[str, Any]:
    options: dict[str, Any] = {name: _boolean(extra[name], name) for name in _HTTP_BOOLEANS if _given(extra, name)}
    verify = extra.get("verify") if _given(extra, "verify") else extra.get("verify_ssl")
    if verify is not None and verify != "":
        # A path of a CA file is the other thing that it can be.
        options["verify"] = verify if _is_path(verify) else _boolean(verify, "verify")
    if _given(extra, "cert"):
        options["cert"] = _certificate(extra["cert"])
    proxies = extra.get("proxies") or extra.get("proxy")
    if proxies:
        options["proxies"] = _json_object(proxies, "proxies")
        if not all(map(_is_proxy, options["proxies"].values())):
            raise ValueError("its option 'proxies' must have URLs as values.")
    if _given(extra, "max_redirects"):
        options["max_redirects"] = _count(extra["max_redirects"], "max_redirects")
    return options


def _given(extra: Mapping[str, Any], name: str) -> bool:
    return extra.get(name) not in (None, "")


def _is_path(value: Any) -> bool:
    return isinstance(value, str) and ("/" in value or value.endswith((".pem", ".crt", ".cer")))


def _is_proxy(value: Any) -> bool:
    # Nothing is a value too: no proxy for that scheme.
    return not value or (isinstance(value, str) and bool(urlsplit(value if "://" in value else f"//{value}").hostname))


def _boolean(value: Any, name: str) -> bool:
    """Read a boolean that a URI can only carry as text."""
    text = str(value).strip().lower()
    if text in {"true", "1", "yes", "on"}:
        return True
    if text in {"false", "0", "no", "off"}:
        return False
    raise ValueError(f"its option {name!r} must be true or false.")


def _count(value: Any, name: str) -> int:
    text = str(value).strip()
    if not text.isdecimal():
        raise ValueError(f"its option {name!r} must be a whole number from 0.")
    return int(text)


def _certificate(value: Any) -> str | tuple[str, ...]:
    """Read the path of a client certificate, or the pair of paths of certificate and key, which may be JSON text."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except ValueError:
            value = None
    if isinstance(value, str):
        return value
    if not isinstance(value, list) or len(value) != 2 or not all(isinstance(path, str) for path in value):
        raise ValueError("its option 'cert' must be a path, or a list of the paths of certificate and key.")
    # The HTTP client keeps it in a key of a dictionary.
    return tuple(value)


def _json_object(value: Any, name: str) -> dict[str, Any]:
    """Read an object that a URI can only carry as JSON text."""
    if value is None or value == "":
        return {}
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            value = None
    if not isinstance(value, dict):
        raise ValueError(f'its option {name!r} must be an object such as {{"name": "value"}}.')
    return dict(value)
