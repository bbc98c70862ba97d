"""What is sent to the API: one value per call, built here and nowhere else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from airflow_provider_freddy.core.identifier import check_identifier

RESPONSE_PATH = "/v1/model/response"

_ROLES = ("assistant", "system", "user")


@dataclass(frozen=True)
class ApiRequest:
    """
    One call of the API.

    :param method: the HTTP method.
    :param path: the path below the base URL, quoted.
    :param params: the query.
    :param json: the JSON body, never shown by ``repr``: it holds the prompt.
    """

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    json: Mapping[str, Any] | None = field(default=None, repr=False)

    @property
    def idempotent(self) -> bool:
        """Whether sending it twice has the effect of sending it once."""
        return self.method in {"GET", "DELETE"}


def create_response_request(
    inputs: Any, *, organization_id: str, model: str | None, background: bool, parameters: Mapping[str, Any]
) -> ApiRequest:
    """
    Build ``POST /v1/model/response``.

    :param inputs: text, or the list of messages as the API takes it.
    :param organization_id: the organization that pays.
    :param model: the model, or ``None`` for the API's default.
    :param background: whether the call returns at once while the response is generated on its own.
    :param parameters: other fields of the body, passed through untouched; ``None`` leaves a field out.
    :raises ValueError: if the API would refuse ``inputs``, a parameter repeats a field, or JSON cannot hold a value.
    """
    own_fields = {"organization_id", "inputs", "model", "background"}
    if twice := own_fields & parameters.keys():
        raise ValueError(f"{', '.join(sorted(twice))} must be given as an argument, not in the parameters.")
    body: dict[str, Any] = {
        "organization_id": check_identifier(organization_id, "organization id"),
        "inputs": normalize_inputs(inputs),
        "background": background,
    }
    if model is not None:
        body["model"] = model
    body.update({name: value for name, value in parameters.items() if value is not None})
    try:
        json.dumps(body, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"The request cannot be written as JSON: {error}.") from None
    return ApiRequest("POST", RESPONSE_PATH, json=body)


def get_response_request(response_id: str, *, organization_id: str) -> ApiRequest:
    """
    Build ``GET /v1/model/response/{response_id}``.

    :param response_id: the response to look at.
    :param organization_id: the organization that owns it.
    :raises ValueError: if one of them cannot be an id.
    """
    return _response_request("GET", response_id, organization_id)


def cancel_response_request(response_id: str, *, organization_id: str) -> ApiRequest:
    """
    Build ``DELETE /v1/model/response/{response_id}``.

    :param response_id: the response to cancel.
    :param organization_id: the organization that owns it.
    :raises ValueError: if one of them cannot be an id.
    """
    return _response_request("DELETE", response_id, organization_id)


def _response_request(method: str, response_id: str, organization_id: str) -> ApiRequest:
    checked_id = check_identifier(response_id, "response id")
    return ApiRequest(
        method,
        f"{RESPONSE_PATH}/{quote(checked_id, safe='')}",
        params={"organizationId": check_identifier(organization_id, "organization id")},
    )


def normalize_inputs(inputs: Any) -> list[dict[str, Any]]:
    """
    Return ``inputs`` as the list of messages that the API takes.

    :param inputs: text (one message of the user), or a list of messages ``{"role", "content"}`` or, in the API's
        older form, ``{"role", "texts": [{"text"}]}``.
    :raises ValueError: if the API would refuse it; the message names the item, never its content.
    """
    if isinstance(inputs, str):
        inputs = [{"role": "user", "content": inputs}]
    if not isinstance(inputs, list | tuple) or not inputs:
        raise ValueError("inputs must be a text or a list of messages, and not empty.")
    for position, message in enumerate(inputs):
        _check_message(message, f"inputs[{position}]")
    return [dict(message) for message in inputs]


def _check_message(message: Any, where: str) -> None:
    if not isinstance(message, Mapping):
        raise ValueError(f"{where} must be a mapping with role and content, not {type(message).__name__}.")
    if message.get("role") not in _ROLES:
        raise ValueError(f"{where} needs a role, one of {', '.join(_ROLES)}.")
    if not message.get("content") and not message.get("texts"):
        raise ValueError(f"{where} has no content. If it comes from a template, the template found nothing.")
