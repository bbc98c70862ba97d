"""What a trigger tells the task that it wakes: written and read here, and nothing in it is taken on trust."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class EndReason(StrEnum):
    """Why a wait has ended."""

    #: The response has the wanted status, or a final one.
    STATUS = "status"
    #: The time that the task had is over.
    DEADLINE = "deadline"
    #: Freddy could not be asked, or refused, too often in a row or for good.
    GAVE_UP = "gave_up"


@dataclass(frozen=True)
class WaitEnd:
    """
    The end of a wait. Holds no secret.

    :param reason: why it has ended.
    :param response_id: the response.
    :param response: what the last look has shown, as ``ModelResponse.as_dict`` gives it; with ``status``, always.
    :param message: what happened, for the log, where it was not the status.
    :param settled: whether the response is known to have ended, so that nothing has to be cancelled any more.
    :param kind: the kind of problem that the wait was given up for.
    """

    reason: EndReason
    response_id: str
    response: Mapping[str, Any] | None = None
    message: str = ""
    settled: bool = False
    kind: str | None = None

    def as_payload(self) -> dict[str, Any]:
        """Return it as JSON-compatible values."""
        return {**asdict(self), "reason": self.reason.value}

    @classmethod
    def read(cls, payload: Any) -> WaitEnd:
        """
        Read what :meth:`as_payload` has written, perhaps in another version of this provider.

        :param payload: the payload of a trigger's event.
        :raises ValueError: if it is none of ours.
        """
        if not isinstance(payload, Mapping):
            raise ValueError(f"an event that is {type(payload).__name__}, not an object")
        response = payload.get("response")
        response_id = payload.get("response_id")
        try:
            reason = EndReason(str(payload.get("reason")))
        except ValueError:
            raise ValueError(f"an event with the reason {str(payload.get('reason'))[:40]!r}") from None
        if not isinstance(response_id, str) or not response_id:
            raise ValueError("an event without a response id")
        if response is not None and not _is_response(response, response_id):
            raise ValueError("an event with something else than the response that was waited for")
        if reason is EndReason.STATUS and response is None:
            raise ValueError("an event without the response")
        message, kind = payload.get("message"), payload.get("kind")
        return cls(
            reason,
            response_id,
            response,
            message if isinstance(message, str) else "",
            payload.get("settled") is True,
            kind if isinstance(kind, str) else None,
        )


def _is_response(value: Any, response_id: str) -> bool:
    return isinstance(value, Mapping) and value.get("id") == response_id and isinstance(value.get("status"), str)
