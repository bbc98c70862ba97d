"""A response that somebody else has started, such as the vendor's SDK, made the running task's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_freddy import metrics, record
from airflow_provider_freddy.core.reply import ModelResponse
from airflow_provider_freddy.core.status import PROCESSING
from airflow_provider_freddy.exceptions import FreddyError, FreddyInvalidRequestError
from airflow_provider_freddy.hooks.earlier_tries import cancel_earlier_tries
from airflow_provider_freddy.hooks.taking_charge import BUDGET, publish, take_charge
from airflow_provider_freddy.signals import signals_deferred
from airflow_provider_freddy.watchdog import client as watchdog

if TYPE_CHECKING:
    from airflow_provider_freddy.hooks.freddy import FreddyHook


def track(hook: FreddyHook, response_id: str, organization_id: str | None, cancel_on_failure: bool) -> None:
    """
    Record and arm a response as if the hook had started it in the running task.

    :param hook: the hook to cancel it with.
    :param response_id: the response, checked.
    :param organization_id: the organization that owns it; the connection's by default.
    :param cancel_on_failure: whether the end of its task is its end too.
    :raises FreddyError: if that is impossible; says whether the response may still run.
    """
    context = record.running_task_context()
    if context is None:
        outcome = hook.cancel_response(response_id, organization_id=organization_id, budget=BUDGET)
        raise FreddyInvalidRequestError(
            f"A response is tracked for the task that runs, and none does in this process: {outcome}."
        )
    # Nobody knows of it yet: even the look-up of the connection must not be interrupted.
    with signals_deferred():
        try:
            organization = hook.organization(organization_id)
            hook.resolve()
        except Exception as error:
            raise _not_tracked(response_id, error) from None
        if cancel_on_failure:
            watchdog.start()
        take_charge(hook, context, ModelResponse(response_id, PROCESSING), organization, cancel_on_failure)
    metrics.count(metrics.TRACKED)
    publish(hook, context, response_id, organization)
    cancel_earlier_tries(hook)
    hook.log.info("Freddy response %s belongs to this task: %s", response_id, _meaning(cancel_on_failure))


def _meaning(cancel_on_failure: bool) -> str:
    return "it ends with it, unless the task ends well" if cancel_on_failure else "recorded, and left to its own end"


def _not_tracked(response_id: str, error: Exception) -> FreddyError:
    words = f"Response {response_id} cannot be tracked, and MAY STILL RUN AND COST MONEY. {error}"
    if isinstance(error, FreddyError):
        return type(error)(words, error.problem)
    return FreddyError(words)
