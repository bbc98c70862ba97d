"""A response's life as a function of the clock: no I/O, and no clock of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

Status = Literal["queued", "processing", "completed", "failed", "cancelled"]


@dataclass(frozen=True)
class Plan:
    """
    How a response will live if nobody cancels it.

    :param duration: Seconds that it is processed; ``inf`` for one that never ends.
    :param queued_for: Seconds that it waits before.
    :param outcome: ``completed`` or ``failed``.
    :raises ValueError: A time that is negative or no number, or another outcome.
    """

    duration: float = 60.0
    queued_for: float = 0.0
    outcome: Literal["completed", "failed"] = "completed"

    def __post_init__(self) -> None:
        # "not >=" in place of "<" refuses NaN as well.
        if not self.duration >= 0 or not self.queued_for >= 0:
            raise ValueError(f"duration and queued_for are seconds from 0, not {self.duration}, {self.queued_for}")
        if self.outcome not in {"completed", "failed"}:
            raise ValueError(f"outcome is 'completed' or 'failed', not {self.outcome!r}")

    def revised(self, *, duration: Any = None, queued_for: Any = None, outcome: Any = None) -> Plan:
        """
        Return the plan with some parts replaced.

        :param duration: Seconds, also as text; None keeps what the plan has, as for the others.
        :param queued_for: Seconds, also as text.
        :param outcome: ``completed`` or ``failed``.
        :raises ValueError: As for the plan itself.
        """
        return Plan(
            duration=self.duration if duration is None else _seconds(duration),
            queued_for=self.queued_for if queued_for is None else _seconds(queued_for),
            outcome=self.outcome if outcome is None else outcome,
        )


def _seconds(value: Any) -> float:
    try:
        return float(value)
    except TypeError as error:
        raise ValueError(f"{value!r} is not a number of seconds") from error


@dataclass(frozen=True)
class Life:
    """
    One response between its creation and its end.

    :param plan: What happens if nobody cancels.
    :param created_at: Unix seconds, as all times here.
    :param cancelled_at: When it was cancelled, None if it was not.
    """

    plan: Plan
    created_at: float
    cancelled_at: float | None = None

    @property
    def _starts_at(self) -> float:
        return self.created_at + self.plan.queued_for

    @property
    def _ends_at(self) -> float:
        return self._starts_at + self.plan.duration if self.cancelled_at is None else self.cancelled_at

    def status(self, now: float) -> Status:
        """Return what the response is at a time, whatever vocabulary it is told in."""
        if self.cancelled_at is not None:
            return "cancelled"
        if now < self._starts_at:
            return "queued"
        return "processing" if now < self._ends_at else self.plan.outcome

    def is_final(self, now: float) -> bool:
        """Return whether the response has ended by a time."""
        return self.status(now) not in {"queued", "processing"}

    def started_at(self, now: float) -> float | None:
        """Return when the processing began, None if it has not."""
        return self._starts_at if now >= self._starts_at else None

    def ended_at(self, now: float) -> float | None:
        """Return when the response became final, None if it has not."""
        return self._ends_at if self.is_final(now) else None

    def ran_seconds(self, now: float) -> float:
        """Return for how many seconds it has been processed by a time."""
        return max(0.0, min(now, self._ends_at) - self._starts_at)

    def percentage(self, now: float) -> int:
        """Return how much of the processing is done by a time, 0 to 100."""
        if self.plan.duration == 0:
            return 0 if self.status(now) == "queued" else 100
        return int(100 * self.ran_seconds(now) / self.plan.duration)

    def cancelled(self, now: float) -> Life:
        """Return the life of the same response with its cancel at a time."""
        return replace(self, cancelled_at=now)
