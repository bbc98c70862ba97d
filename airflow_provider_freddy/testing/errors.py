"""The errors of the contract, and the validation errors that have another body."""

from __future__ import annotations

from typing import Any


class ApiError(Exception):
    """
    A request that Freddy refuses.

    :param status: HTTP status.
    :param body: The whole JSON body of the reply.
    """

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(status, body)
        self.status = status
        self.body = body


def error_body(kind: str, code: str, message: str, param: str | None = None) -> dict[str, Any]:
    """
    Return a body of the contract's shape.

    :param kind: The error's ``type``.
    :param code: The error's ``code``.
    :param message: The error's ``message``.
    :param param: The parameter that is to blame; without one the body has no such field.
    """
    error = {"message": message, "type": kind, "code": code}
    return {"error": error if param is None else {**error, "param": param}}


BODIES: dict[int, dict[str, Any]] = {
    400: error_body(
        "invalid_request_error",
        "invalid_status",
        "Response cannot be cancelled. Only responses with status 'processing' can be cancelled.",
        "response_id",
    ),
    401: error_body("authentication_error", "invalid_api_key", "Invalid API key provided"),
    403: error_body("permission_error", "insufficient_permissions", "Organization access denied", "organizationId"),
    404: error_body("not_found_error", "response_not_found", "Response not found"),
    409: error_body("invalid_request_error", "response_already_finalized", "Response already completed or cancelled"),
    # Not in the table of the contract; these are for faults.
    429: error_body("rate_limit_error", "rate_limit_exceeded", "Too many requests"),
    500: error_body("server_error", "internal_error", "Internal server error"),
}


def refused(status: int) -> ApiError:
    """Return the error that the contract has for an HTTP status."""
    return ApiError(status, BODIES[status])


def invalid(*location: str | int, message: str = "Field required", kind: str = "missing") -> ApiError:
    """
    Return a validation error, which has a body unlike that of all others.

    :param location: Where the fault is, such as ``"query", "organizationId"``.
    :param message: What is wrong with it.
    :param kind: The ``type`` of the one detail.
    """
    return ApiError(422, {"detail": [{"type": kind, "loc": list(location), "msg": message, "input": None}]})
