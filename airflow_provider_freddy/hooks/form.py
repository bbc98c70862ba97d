"""The connection form, declared once: as metadata for Airflow 3.2+ and as widgets for 2.11 to 3.1."""

from __future__ import annotations

from typing import Any

from airflow_provider_freddy.core.endpoint import AUTH_SCHEMES, DEFAULT_AUTH_SCHEME, DEFAULT_BASE_URL

# Airflow 3 shows no placeholder in custom fields: the example has to be in the help.
_ORGANIZATION = ("Organization ID", "The organization that pays (org_...). A task can name another one.")
_AUTH_SCHEME = (
    "Auth scheme",
    f"How the API key is sent: {', '.join(AUTH_SCHEMES)}. Leave empty for {DEFAULT_AUTH_SCHEME}.",
)
_LINK_BASE_URL = (
    "Link base URL",
    "Where the link 'Freddy response' on a task's page leads: a base URL, or an address such as "
    "https://example.com/responses/{response_id}. It may hold {organization_id}, too. Leave empty for the Base URL.",
)

# Not the port: the Test button of Airflow 3.3.1 and 3.3.2 refuses every connection without one (apache/airflow#73298).
_HIDDEN = ["schema", "login"]
_LABELS = {
    "password": "API key",
    "host": "Base URL",
    "port": "Port (if not in the Base URL)",
    "extra": "Extra (HTTP options: timeout, verify, proxies, headers)",
}
_PLACEHOLDERS = {
    "host": DEFAULT_BASE_URL,
    "port": "443",
    "password": "ak_...",
    "organization_id": "org_...",
    "auth_scheme": DEFAULT_AUTH_SCHEME,
    "link_base_url": "https://example.com/responses/{response_id}",
    "extra": '{"timeout": [5, 30]}',
}


def conn_fields() -> dict[str, Any]:
    """Return the custom fields in the form that ``get_provider_info`` declares them in (Airflow 3.2+)."""
    return {
        "organization_id": {
            "label": _ORGANIZATION[0],
            "description": _ORGANIZATION[1],
            "schema": {"type": ["string", "null"]},
        },
        "auth_scheme": {
            "label": _AUTH_SCHEME[0],
            "description": _AUTH_SCHEME[1],
            "schema": {"type": ["string", "null"], "enum": list(AUTH_SCHEMES), "default": DEFAULT_AUTH_SCHEME},
        },
        "link_base_url": {
            "label": _LINK_BASE_URL[0],
            "description": _LINK_BASE_URL[1],
            "schema": {"type": ["string", "null"]},
        },
    }


def declared_ui_field_behaviour() -> dict[str, Any]:
    """Return labels, placeholders and hidden fields in the form of ``get_provider_info`` (Airflow 3.2+)."""
    return {"hidden-fields": _HIDDEN, "relabeling": _LABELS, "placeholders": _PLACEHOLDERS}


def connection_form_widgets() -> dict[str, Any]:
    """Return the custom fields as form widgets (Airflow 2.11 to 3.1)."""
    from flask_appbuilder.fieldwidgets import BS3TextFieldWidget
    from flask_babel import lazy_gettext
    from wtforms import StringField

    fields = {"organization_id": _ORGANIZATION, "auth_scheme": _AUTH_SCHEME, "link_base_url": _LINK_BASE_URL}
    return {
        name: StringField(lazy_gettext(label), widget=BS3TextFieldWidget(), description=description)
        for name, (label, description) in fields.items()
    }


def ui_field_behaviour() -> dict[str, Any]:
    """Return labels, placeholders and hidden fields (Airflow 2.11 to 3.1)."""
    return {"hidden_fields": _HIDDEN, "relabeling": _LABELS, "placeholders": _PLACEHOLDERS}
