"""Where the API is, how it wants to be given the key (contract, parts A and B), and the connection that says so."""

from __future__ import annotations

#: The vendor's newest pages have https://api.aitronos.com.
DEFAULT_BASE_URL = "https://api.freddy.aitronos.com"

#: Name of every auth scheme, with the header and the form of its value.
AUTH_SCHEMES = {
    "bearer": ("Authorization", "Bearer {key}"),
    "x-api-key": ("X-API-Key", "{key}"),
    "api-key": ("api-key", "{key}"),
}
DEFAULT_AUTH_SCHEME = "bearer"

#: The type of the Airflow connection, and the id where nobody names one.
CONN_TYPE = "freddy"
DEFAULT_CONN_ID = "freddy_default"

#: The XCom of the link on a task's page. The UI of Airflow 3 reads it by itself, also while the task runs.
LINK_KEY = "freddy_response_link"
