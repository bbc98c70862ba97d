"""What comes back from the API, read tolerantly: either a model response or a problem."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pendulum

from airflow_provider_freddy.core.identifier import check_identifier
from airflow_provider_freddy.core.problem import Problem, ProblemKind, kind_of_error_reply, shorten
from airflow_provider_freddy.core.request import ApiRequest
from airflow_provider_freddy.core.retry import parse_retry_after
from airflow_provider_freddy.core.status import is_final

#: A longer body is not read: no reply of this API is, and a worker's memory is not a proxy's to fill.
MAX_BODY_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class HttpReply:
    """
    An HTTP reply, whatever library received it.

    :param status: the HTTP status.
    :param headers: the headers, looked up by lower-case name.
    :param body: the body, at most ``MAX_BODY_BYTES`` of it.
    :param truncated: whether the body was longer than that.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    truncated: bool = False

    @property
    def request_id(self) -> str | None:
        """The id that the vendor's support asks for."""
        return self.headers.get("x-request-id")


@dataclass(frozen=True)
class ModelResponse:
    """
    A model response as the API describes it, under one spelling of the fields.

    ``repr`` leaves out what the model wrote, so that it does not end up in logs.

    :param id: the response id.
    :param status: ``queued``, ``in_progress``, ``processing``, ``completed``, ``failed``, ``cancelled``, or one that is
        not known here.
    :param created_at: aware UTC time, like the three that follow; ``None`` until it happens.
    :param progress: ``percentage``, ``stage``, ``stepsCompleted``, ``totalSteps`` as the API gives them.
    :param output: what the model wrote, once completed.
    :param error: ``message``, ``code``, ``type``, once failed.
    :param usage: ``input_tokens``, ``output_tokens``, ``total_tokens``.
    :param request_id: the ``x-request-id`` of the reply.
    """

    id: str
    status: str
    created_at: pendulum.DateTime | None = None
    started_at: pendulum.DateTime | None = None
    completed_at: pendulum.DateTime | None = None
    cancelled_at: pendulum.DateTime | None = None
    model: str | None = None
    progress: Mapping[str, Any] | None = None
    output: Any = field(default=None, repr=False)
    error: Mapping[str, Any] | None = None
    usage: Mapping[str, Any] | None = None
    thread: Mapping[str, Any] | None = None
    request_id: str | None = None

    @property
    def is_final(self) -> bool:
        """Whether the response has stopped for good and costs nothing more."""
        return is_final(self.status)

    @property
    def progress_percentage(self) -> float | None:
        """How much of it is done, from 0 to 100, where the API says so."""
        percentage = (self.progress or {}).get("percentage")
        if isinstance(percentage, bool) or not isinstance(percentage, int | float) or not 0 <= percentage <= 100:
            return None
        return float(percentage)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON-compatible values, times in ISO 8601: what an XCom can hold on every Airflow."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {
            name: value.isoformat() if isinstance(value, pendulum.DateTime) else value for name, value in values.items()
        }


def read_reply(request: ApiRequest, reply: HttpReply, *, response_id: str | None = None) -> ModelResponse | Problem:
    """
    Read a reply to any of the calls.

    :param request: what was asked.
    :param reply: what came back.
    :param response_id: the response that was asked about; a reply about another one is a problem.
    """
    body = _decode(reply)
    if not 200 <= reply.status <= 299:
        return _error_problem(request, reply, body)
    if isinstance(body, str):
        return _unexpected(request, reply, body)
    found_id = body.get("id", response_id)
    status = body.get("status")
    if request.method == "POST" and not isinstance(status, str):
        # It has started: the id is what counts, for it can be cancelled by it.
        status = "queued"
    if not isinstance(found_id, str) or not found_id or not isinstance(status, str) or not status:
        return _unexpected(request, reply, "a JSON body without id and status")
    if response_id is not None and found_id != response_id:
        return _unexpected(request, reply, f"a body about another response, {shorten(found_id)!r}")
    try:
        check_identifier(found_id, "id")
    except ValueError:
        return _unexpected(request, reply, f"an id by which nothing can be cancelled, {shorten(found_id)!r}")
    return ModelResponse(
        id=found_id,
        status=shorten(status),
        created_at=_time(body, "createdAt", "created_at"),
        started_at=_time(body, "startedAt", "started_at"),
        completed_at=_time(body, "completedAt", "completed_at"),
        cancelled_at=_time(body, "cancelledAt", "cancelled_at"),
        model=body["model"] if isinstance(body.get("model"), str) else None,
        progress=_mapping(body, "progress"),
        output=body.get("output"),
        error=_mapping(body, "error"),
        usage=_mapping(body, "usage"),
        thread=_mapping(body, "thread"),
        request_id=reply.request_id,
    )


def _decode(reply: HttpReply) -> dict[str, Any] | str:
    """Return the JSON object of the body, or what the body is instead."""
    if reply.truncated:
        return f"a body of more than {MAX_BODY_BYTES // 1024 // 1024} MiB"
    if not reply.body.strip():
        return "an empty body"
    try:
        body = json.loads(reply.body)
    except (ValueError, RecursionError):
        start = reply.body.lstrip()[:1]
        if start in {b"{", b"["}:
            # Not quoted: it may hold what the model wrote.
            return f"JSON that breaks off or is broken, {len(reply.body)} bytes"
        kind = "an HTML page" if start == b"<" else "a body that is not JSON"
        return f"{kind}: {shorten(reply.body[:400].decode(errors='replace'))}"
    return body if isinstance(body, dict) else f"JSON that is {type(body).__name__} where an object belongs"


def _error_problem(request: ApiRequest, reply: HttpReply, body: dict[str, Any] | str) -> Problem:
    error = body.get("error") if isinstance(body, dict) else None
    error = error if isinstance(error, dict) else {}
    code = error.get("code") if isinstance(error.get("code"), str) else None
    message = error.get("message")
    if not isinstance(message, str) or not message:
        # Validation errors and proxies have bodies of their own (contract, part B): show what there is.
        message = body if isinstance(body, str) else _described(body)
    return Problem(
        kind=kind_of_error_reply(reply.status, code),
        request=request,
        message=message,
        http_status=reply.status,
        code=code,
        request_id=reply.request_id,
        retry_after=parse_retry_after(reply.headers.get("retry-after"), now=pendulum.now("UTC")),
        # Every other 4xx says that the request was turned away before any work; a gateway answers 408 later too.
        maybe_processed=reply.status >= 500 or reply.status == 408,
    )


def _described(body: dict[str, Any]) -> str:
    """Show an error body of another shape, without the ``input`` of validation errors: it quotes the prompt."""
    detail = body.get("detail", body)
    if isinstance(detail, list):
        told = {"type", "loc", "msg"}
        detail = [{name: item[name] for name in item if name in told} for item in detail if isinstance(item, dict)]
    try:
        return json.dumps(detail)
    except RecursionError:
        # Writing goes a little less deep than reading.
        return "an error body that is nested too deeply to show"


def _unexpected(request: ApiRequest, reply: HttpReply, what: str) -> Problem:
    return Problem(
        kind=ProblemKind.UNEXPECTED_REPLY,
        request=request,
        message=f"Expected a model response, got {what}.",
        http_status=reply.status,
        request_id=reply.request_id,
        maybe_processed=True,
    )


def _time(body: Mapping[str, Any], *names: str) -> pendulum.DateTime | None:
    for name in names:
        value = body.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            try:
                moment = datetime.fromtimestamp(value, UTC)
            except (ValueError, OverflowError, OSError):
                return None
            # Ten times as quick as pendulum's own way, and done at every look.
            return pendulum.DateTime(*moment.timetuple()[:6], moment.microsecond, tzinfo=pendulum.UTC)
    return None


def _mapping(body: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    value = body.get(name)
    return value if isinstance(value, dict) else None
