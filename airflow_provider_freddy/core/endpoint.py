"""Where the API is and how it wants to be given the key (contract, parts A and B)."""

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
