"""Checks of the ids that end up in a URL: nothing but one id can reach the API."""

from __future__ import annotations

import re
from typing import Any

#: Longer than any id that the API gives out, short enough to be read in an error message.
MAX_LENGTH = 256

# No separator, no quote, no white space, and no leading dot: "." and ".." are folded into the path by HTTP
# clients even when quoted, so that "/response/.." would become another endpoint.
_ID = re.compile(r"[A-Za-z0-9_\-][A-Za-z0-9_\-.:=@+~]*\Z")

# What a template renders to when it finds nothing.
_RENDERED_NOTHING = frozenset({"none", "null", "nan", "undefined", "true", "false"})


def check_identifier(value: Any, what: str) -> str:
    """
    Return ``value`` when it can be an id of the API.

    :param value: what the caller gave, possibly the result of a template.
    :param what: the name of the thing for the error message, for example ``"response id"``.
    :raises ValueError: if it is not text, is empty, is what a template renders to when it finds nothing, is too
        long, or has a character that no id has.
    """
    if not isinstance(value, str):
        raise ValueError(f"The {what} must be a string, not {type(value).__name__}.")
    if not value.strip():
        raise ValueError(f"The {what} is empty. If it comes from a template, the template found nothing.")
    if value.lower() in _RENDERED_NOTHING:
        raise ValueError(
            f"The {what} is the text {value!r}: a template that found nothing. "
            "Check that the task which should push it has run and has pushed it."
        )
    if len(value) > MAX_LENGTH:
        raise ValueError(f"The {what} has {len(value)} characters, {MAX_LENGTH} at most: {value[:40]!r}...")
    if not _ID.match(value):
        hint = " It looks like a list rendered as text: pass the XComArg itself." if value[0] in "[{(" else ""
        raise ValueError(f"The {what} {value[:80]!r} has characters that no id has.{hint}")
    return value
