"""
Which failures are worth another try (Airflow 3.3+): what will not pass fails at once, and costs no more tries.

To be given to a task, or to all of a DAG: ``default_args={"retry_policy": FREDDY_RETRY_POLICY, "retries": 5}``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from airflow_provider_freddy.core.pace import MAX_RETRY_AFTER
from airflow_provider_freddy.exceptions import (
    FreddyCredentialsError,
    FreddyInvalidRequestError,
    FreddyPermissionError,
    FreddyRateLimitedError,
    FreddyUnavailableError,
    FreddyUnexpectedReplyError,
)
from airflow_provider_freddy.version_compat import HAS_RETRY_POLICIES

if not HAS_RETRY_POLICIES:
    from airflow.providers.common.compat.sdk import AirflowOptionalProviderFeatureException

    raise AirflowOptionalProviderFeatureException(
        "airflow_provider_freddy.retry_policy needs Airflow 3.3 or newer: earlier ones have no retry policies."
    )

from airflow.providers.common.compat.sdk import ExceptionRetryPolicy, RetryAction, RetryDecision, RetryRule


class FreddyRetryPolicy(ExceptionRetryPolicy):
    """
    The rules for Freddy's errors, and yours after them.

    A wrong key, a missing right and a request that cannot be right fail at once. A rate limit is tried again after the
    time that Freddy asked to wait, an hour at the most; an API that is away or answers garbage, after the task's
    ``retry_delay``; never more often than the task's ``retries`` allow. Everything else is as without a policy.

    :param rules: more rules, for what Freddy's do not match.
    :param default: what to do with errors that no rule matches, Airflow's own logic by default.
    """

    def __init__(self, rules: Iterable[RetryRule] = (), default: RetryAction = RetryAction.DEFAULT) -> None:
        super().__init__([*_rules(), *rules], default)

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Any | None = None
    ) -> RetryDecision:
        """
        Decide what to do about an error.

        :param exception: the error.
        :param try_number: the try that failed, from 1.
        :param max_tries: how many there are at the most.
        :param context: the context of the task.
        :return: whether to try again, when, and why.
        """
        decision = super().evaluate(exception, try_number, max_tries, context)
        if not isinstance(exception, FreddyRateLimitedError) or exception.retry_after is None:
            return decision
        # Airflow cannot even schedule what somebody sends who takes seconds for milliseconds, or for a date.
        delay = timedelta(seconds=min(exception.retry_after, MAX_RETRY_AFTER))
        return replace(decision, retry_delay=delay, reason=f"Freddy asks to wait for {exception.retry_after:g} s")


def _rules() -> list[RetryRule]:
    fail, retry = RetryAction.FAIL, RetryAction.RETRY
    return [
        RetryRule(FreddyCredentialsError, fail, reason="Freddy refuses the API key: mend the Airflow connection"),
        RetryRule(FreddyPermissionError, fail, reason="The key has no access to the organization"),
        RetryRule(FreddyInvalidRequestError, fail, reason="The request cannot be right: another try is the same"),
        RetryRule(FreddyRateLimitedError, retry, reason="Freddy asks to slow down"),
        RetryRule(FreddyUnavailableError, retry, reason="Freddy cannot be reached"),
        RetryRule(FreddyUnexpectedReplyError, retry, reason="What answered is not Freddy, or not well"),
    ]


#: For the ``retry_policy`` of a task or of ``default_args``.
FREDDY_RETRY_POLICY = FreddyRetryPolicy()
