"""One look at a response after another, in a worker, with patience for an API that is away for a while."""

from __future__ import annotations

from typing import Any

from airflow_provider_freddy.core.problem import Problem
from airflow_provider_freddy.core.reply import ModelResponse
from airflow_provider_freddy.core.wait import StatusWait
from airflow_provider_freddy.exceptions import FreddyError, error_for
from airflow_provider_freddy.hooks.freddy import FreddyHook


class Poller:
    """
    Looks at one response.

    :param hook: the hook to look with.
    :param response_id: the response.
    :param organization_id: the organization that owns it; the connection's by default.
    :param tolerated_failures: how many looks in a row may fail.
    :param log: the logger of the operator or sensor.
    """

    def __init__(
        self,
        hook: FreddyHook,
        response_id: str,
        organization_id: str | None,
        tolerated_failures: int,
        log: Any,
    ) -> None:
        self.hook = hook
        self._response_id = response_id
        self._organization_id = organization_id
        self._wait = StatusWait(response_id, log, tolerated_failures=tolerated_failures, tell_status=False)

    @property
    def failures(self) -> int:
        """Looks that failed in a row."""
        return self._wait.failures

    @failures.setter
    def failures(self, number: int) -> None:
        self._wait.failures = number

    def poll(self) -> ModelResponse | None:
        """
        Look once.

        :return: the response, or ``None`` if the look failed in a way that can pass.
        :raises FreddyError: if it failed for good, or once too often in a row.
        """
        answer: ModelResponse | Problem
        try:
            answer = self.hook.get_response(self._response_id, organization_id=self._organization_id)
        except FreddyError as error:
            if error.problem is None:
                raise
            answer = error.problem
        verdict = self._wait.judge(answer)
        if isinstance(verdict, Problem):
            raise error_for(verdict)
        return answer if isinstance(answer, ModelResponse) else None
