"""Where a person can look at a response."""

from __future__ import annotations

from urllib.parse import quote, urlencode, urlsplit

from airflow_provider_freddy.core.request import RESPONSE_PATH

#: What a link may have in place of the ids; without the first one, it is a base URL.
PLACEHOLDERS = ("{response_id}", "{organization_id}")


def response_link(base_url: str, response_id: str, organization_id: str) -> str:
    """
    Return the address of one response.

    :param base_url: where it is looked at: a base URL, to which the path of the API is added, or a whole address with
        ``{response_id}`` and, if it needs that, ``{organization_id}`` in it.
    :param response_id: the response.
    :param organization_id: the organization that owns it.
    """
    if PLACEHOLDERS[0] in base_url:
        for placeholder, value in zip(PLACEHOLDERS, (response_id, organization_id), strict=True):
            base_url = base_url.replace(placeholder, quote(value, safe=""))
        return base_url
    query = urlencode({"organizationId": organization_id})
    return f"{base_url.rstrip('/')}{RESPONSE_PATH}/{quote(response_id, safe='')}?{query}"


def check_link_base_url(text: str) -> str:
    """
    Return the base URL of links if it can be one.

    :param text: what the connection says.
    :raises ValueError: if a browser could not open it, or it holds a user name or password.
    """
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or any(map(str.isspace, text)):
        raise ValueError("its link_base_url must be a URL such as https://example.com/responses/{response_id}.")
    if "@" in parts.netloc:
        raise ValueError("its link_base_url must not hold a user name or password: everybody can see it.")
    if PLACEHOLDERS[0] not in text and (parts.query or parts.fragment):
        raise ValueError("its link_base_url has a query or fragment, so it needs {response_id} in it.")
    return text
