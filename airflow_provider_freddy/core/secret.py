"""Keeping the API key out of what is shown to people."""

from __future__ import annotations

import functools
import json
from dataclasses import replace

from airflow_provider_freddy.core.reply import HttpReply

# A shorter key is one of a test; to blot it out would break bodies that have it by chance.
_SHORTEST_SECRET = 8


def without_secret(reply: HttpReply, secret: str) -> HttpReply:
    """
    Blot out a secret where a reply repeats it: bodies of errors end up in messages and logs.

    :param reply: the reply.
    :param secret: the API key.
    """
    if len(secret) < _SHORTEST_SECRET:
        return reply
    key, as_json = _forms(secret)
    if key not in reply.body and as_json not in reply.body:
        return reply
    return replace(reply, body=reply.body.replace(key, b"***").replace(as_json, b"***"))


@functools.lru_cache(maxsize=16)
def _forms(secret: str) -> tuple[bytes, bytes]:
    """Return how a secret is written as it is, and within JSON."""
    return secret.encode(), json.dumps(secret)[1:-1].encode()
