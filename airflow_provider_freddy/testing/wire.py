"""What Freddy says about a response, in either of its two vocabularies."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from airflow_provider_freddy.testing.journal import ResponseRecord

Vocabulary = Literal["status", "background"]

# Made up: what counts is that a response left running costs more and more.
OUTPUT_TOKENS_PER_SECOND = 20
STEPS = 4

_OUTPUT = [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "A fake answer."}]}]
_ERROR = {"message": "The model could not generate the response", "code": "generation_failed", "type": "server_error"}


def created(record: ResponseRecord) -> dict[str, Any]:
    """Return the reply to a create in background mode."""
    return {"id": record.id, "status": "queued", "created_at": int(record.created_at)}


def retrieved(record: ResponseRecord, vocabulary: Vocabulary) -> dict[str, Any]:
    """Return the reply to a request for a response's status."""
    finished_at = record.ended_at if record.status in {"completed", "failed"} else None
    body = {
        "id": record.id,
        "status": _status(record, vocabulary),
        "createdAt": int(record.created_at),
        "startedAt": _whole(record.started_at),
        "completedAt": _whole(finished_at),
        "progress": _progress(record, vocabulary),
        "output": _OUTPUT if record.status == "completed" else None,
        "error": _ERROR if record.status == "failed" else None,
        "usage": _usage(record),
        "model": record.parameters.get("model") or "fake-model",
        "thread": None,
    }
    return _spelled(body, vocabulary)


def cancelled(record: ResponseRecord, vocabulary: Vocabulary) -> dict[str, Any]:
    """Return the reply to a cancel that took."""
    body = {
        "id": record.id,
        "object": "response",
        "status": "cancelled",
        "cancelledAt": _whole(record.ended_at),
        "message": "Response cancelled successfully",
    }
    return _spelled(body, vocabulary)


def _status(record: ResponseRecord, vocabulary: Vocabulary) -> str:
    if vocabulary == "status" and record.status == "queued":
        return "processing"
    if vocabulary == "background" and record.status == "processing":
        return "in_progress"
    return record.status


def _progress(record: ResponseRecord, vocabulary: Vocabulary) -> dict[str, Any] | None:
    if record.ended_at is not None:
        return None
    progress = {
        "percentage": record.percentage,
        "stage": "waiting" if record.status == "queued" else "generating",
        "stepsCompleted": record.percentage * STEPS // 100,
        "totalSteps": STEPS,
    }
    return _spelled(progress, vocabulary)


def _usage(record: ResponseRecord) -> dict[str, int]:
    read = len(str(record.inputs).split())
    written = int(record.ran_seconds * OUTPUT_TOKENS_PER_SECOND)
    return {"input_tokens": read, "output_tokens": written, "total_tokens": read + written}


def _spelled(body: dict[str, Any], vocabulary: Vocabulary) -> dict[str, Any]:
    if vocabulary == "status":
        return body
    return {re.sub(r"[A-Z]", lambda capital: "_" + capital[0].lower(), name): value for name, value in body.items()}


def _whole(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds)
