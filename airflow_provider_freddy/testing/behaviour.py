"""How a fake Freddy is set up: whom it lets in, and what it does with new responses."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_freddy.testing.errors import invalid
from airflow_provider_freddy.testing.lifecycle import Plan
from airflow_provider_freddy.testing.wire import Vocabulary

_WISHES = ("duration", "queued_for", "outcome")


@dataclass
class Behaviour:
    """
    The settings of a fake Freddy, which may change while it runs.

    :param api_key: The only key that it accepts.
    :param organization_id: The only organization that the key has.
    :param vocabulary: How it speaks of a response: ``status`` or ``background``.
    :param latency: Seconds that every reply takes at least.
    :param plan: The life of a response that nobody asked to be otherwise.
    """

    api_key: str
    organization_id: str
    vocabulary: Vocabulary
    latency: float
    plan: Plan
    _upcoming: deque[dict[str, Any]] = field(default_factory=deque)

    def __post_init__(self) -> None:
        if self.vocabulary not in {"status", "background"}:
            raise ValueError(f"vocabulary is 'status' or 'background', not {self.vocabulary!r}")

    def plan_next(self, **wishes: Any) -> None:
        """Have one of the next responses, each in its turn, live otherwise; the parts are those of a plan."""
        self.plan.revised(**wishes)
        self._upcoming.append(wishes)

    def plan_for(self, metadata: Mapping[str, Any]) -> Plan:
        """
        Return the plan for a new response: what its metadata asks for, else what is due next, else the default.

        :param metadata: May have ``fake_duration``, ``fake_queued_for`` (seconds) and ``fake_outcome``.
        :raises ValueError: One of these is no good.
        """
        wishes = {wish: metadata.get(f"fake_{wish}") for wish in _WISHES}
        self.plan.revised(**wishes)
        upcoming = self._upcoming.popleft() if self._upcoming else {}
        return self.plan.revised(**upcoming).revised(**wishes)

    def forget_plans(self) -> None:
        """Drop what was due for the next responses."""
        self._upcoming.clear()


def credentials(headers: Mapping[str, str]) -> tuple[str | None, str | None]:
    """
    Return how a request authenticates and with which key.

    :param headers: The request's, with names in lower case.
    :return: ``bearer``, ``x-api-key``, ``api-key`` or None, and the key.
    """
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return "bearer", token.strip()
    for name in ("x-api-key", "api-key"):
        if name in headers:
            return name, headers[name]
    return None, None


def checked_body(raw: bytes) -> dict[str, Any]:
    """
    Return the body of a create.

    :param raw: As it was sent.
    :raises ApiError: 422, if something that is required is missing or has the wrong shape.
    """
    try:
        body = json.loads(raw)
    except ValueError as error:
        raise invalid("body", 0, message="JSON decode error", kind="json_invalid") from error
    if not isinstance(body, dict):
        raise invalid("body", message="Input should be a valid dictionary", kind="dict_type")
    if not body.get("organization_id"):
        raise invalid("body", "organization_id")
    inputs = body.get("inputs")
    if not isinstance(inputs, list) or not inputs:
        raise invalid("body", "inputs", message="Input should be a non-empty list", kind="list_type")
    for position, item in enumerate(inputs):
        if not _is_input(item):
            raise invalid("body", "inputs", position, message="Input should be a valid input", kind="value_error")
    if not isinstance(body.get("metadata") or {}, dict):
        raise invalid("body", "metadata", message="Input should be a valid dictionary", kind="dict_type")
    return body


def _is_input(item: Any) -> bool:
    if not isinstance(item, dict):
        return False
    if "texts" in item:
        texts = item["texts"]
        return (
            isinstance(texts, list)
            and bool(texts)
            and all(isinstance(text, dict) and isinstance(text.get("text"), str) for text in texts)
        )
    return item.get("role") in {"user", "system", "assistant"} and item.get("content") is not None
