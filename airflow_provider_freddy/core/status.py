"""The statuses of a model response, in both vocabularies of the API (background mode and status page)."""

from __future__ import annotations

CANCELLED = "cancelled"
COMPLETED = "completed"
FAILED = "failed"
PROCESSING = "processing"

FINAL_STATUSES = frozenset({COMPLETED, FAILED, CANCELLED})
RUNNING_STATUSES = frozenset({"queued", "in_progress", PROCESSING})


def is_final(status: str) -> bool:
    """
    Tell whether a response with this status has stopped for good and costs nothing more.

    A status that is in neither set (a future one) is not final: to wait too long is cheaper than to forget.

    :param status: the ``status`` field of a response.
    """
    return status in FINAL_STATUSES


def is_known(status: str) -> bool:
    """
    Tell whether the API documents this status.

    :param status: the ``status`` field of a response.
    """
    return status in FINAL_STATUSES or status in RUNNING_STATUSES
