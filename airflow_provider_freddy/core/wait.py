"""Waiting for a status: what every look at a response means for the wait, whoever looks and however."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from airflow_provider_freddy.core.problem import Problem, ProblemKind
from airflow_provider_freddy.core.reply import ModelResponse
from airflow_provider_freddy.core.schedule import DEFAULT_TOLERATED_FAILURES
from airflow_provider_freddy.core.status import is_known

#: Trouble that can pass. A missing response or a wrong organization does not.
PASSING = frozenset({ProblemKind.UNAVAILABLE, ProblemKind.RATE_LIMITED, ProblemKind.UNEXPECTED_REPLY})


class StatusWait:
    """
    Judges the looks at one response, and says in the log what changes: not a line per look.

    :param response_id: the response.
    :param wanted: the statuses that end the wait, beside the final ones.
    :param tolerated_failures: how many looks in a row may fail.
    :param log: the logger.
    :param passing: the kinds of trouble that can pass.
    :param tell_status: whether a change of status is told here; the blocking hook tells it with every call.
    """

    # One for every waiting trigger, of which there are thousands.
    __slots__ = (
        "_log",
        "_passing",
        "_status",
        "_tell_status",
        "_tolerated_failures",
        "_wanted",
        "failures",
        "response_id",
    )

    def __init__(
        self,
        response_id: str,
        log: Any,
        *,
        wanted: Collection[str] = (),
        tolerated_failures: int = DEFAULT_TOLERATED_FAILURES,
        passing: Collection[ProblemKind] = PASSING,
        tell_status: bool = True,
    ) -> None:
        self.response_id = response_id
        self.failures = 0
        self._log = log
        self._wanted = wanted
        self._tolerated_failures = tolerated_failures
        self._passing = passing
        self._tell_status = tell_status
        self._status: str | None = None

    def is_news(self, answer: ModelResponse | Problem) -> bool:
        """
        Say whether a look has to be judged, or has found what the last one found.

        :param answer: what the look has come to.
        """
        return isinstance(answer, Problem) or bool(self.failures) or answer.status != self._status

    def judge(self, answer: ModelResponse | Problem) -> ModelResponse | Problem | None:
        """
        Say what a look means.

        :param answer: what the look has come to.
        :return: the response if the wait is over, the problem if it must be given up, ``None`` to wait on.
        """
        if isinstance(answer, Problem):
            return self._judge_failure(answer)
        if self.failures:
            self._log.info("Freddy answers again after %d failed looks.", self.failures)
            self.failures = 0
        if answer.status != self._status:
            self._status = answer.status
            if not is_known(answer.status):
                self._log.warning(
                    "Response %s is %r, a status not known here: waiting on.", self.response_id, answer.status
                )
            elif self._tell_status:
                self._log.info("Response %s is %s.", self.response_id, answer.status)
        return answer if answer.is_final or answer.status in self._wanted else None

    def _judge_failure(self, problem: Problem) -> Problem | None:
        self.failures += 1
        if problem.kind not in self._passing or self.failures > self._tolerated_failures:
            return problem
        if self.failures == 1:
            self._log.warning(
                "A look at response %s failed, up to %d in a row are tolerated: Freddy %s",
                self.response_id, self._tolerated_failures, problem,
            )  # fmt: skip
        return None
