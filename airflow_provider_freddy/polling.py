"""One look at a response after another, with patience for an API that is away for a while."""

from __future__ import annotations

from typing import Any

from airflow_provider_freddy.core.reply import ModelResponse
from airflow_provider_freddy.core.status import is_known
from airflow_provider_freddy.exceptions import (
    FreddyRateLimitedError,
    FreddyUnavailableError,
    FreddyUnexpectedReplyError,
)
from airflow_provider_freddy.hooks.freddy import FreddyHook

#: How many looks in a row may fail before the wait is given up, each after its own retries.
DEFAULT_TOLERATED_FAILURES = 5

# Trouble that can pass. A wrong key or a missing response does not.
_PASSING = (FreddyUnavailableError, FreddyRateLimitedError, FreddyUnexpectedReplyError)


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
        self._tolerated_failures = tolerated_failures
        self._log = log
        self._unknown_status: str | None = None
        #: Looks that failed in a row.
        self.failures = 0

    def poll(self) -> ModelResponse | None:
        """
        Look once.

        :return: the response, or ``None`` if the look failed in a way that can pass.
        :raises FreddyError: if it failed for good, or once too often in a row.
        """
        try:
            response = self.hook.get_response(self._response_id, organization_id=self._organization_id)
        except _PASSING as error:
            self.failures += 1
            if self.failures > self._tolerated_failures:
                raise
            self._log.warning("Look %d of %d failed: %s", self.failures, self._tolerated_failures + 1, error)
            return None
        self.failures = 0
        if not is_known(response.status) and response.status != self._unknown_status:
            self._unknown_status = response.status
            self._log.warning("Response %s is %r, a status not known here: waiting on.", response.id, response.status)
        return response
