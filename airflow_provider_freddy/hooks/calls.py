"""
What the hook's calls do; the hook itself only declares them.

A DAG file imports the hook on every parse. All that a call needs is imported here, when the first call is made; so it
is there, too, when a signal handler has to cancel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from airflow_provider_freddy import metrics, record
from airflow_provider_freddy.core.cancel import CancelResult, cancel_steps
from airflow_provider_freddy.core.identifier import check_identifier
from airflow_provider_freddy.core.problem import Problem
from airflow_provider_freddy.core.reply import ModelResponse
from airflow_provider_freddy.core.request import create_response_request, get_response_request
from airflow_provider_freddy.core.retry import Budget
from airflow_provider_freddy.exceptions import FreddyInvalidRequestError, error_for
from airflow_provider_freddy.hooks.connection_check import check_request, describe_check
from airflow_provider_freddy.hooks.costs import say_what_it_costs, warn_of_lost_reply
from airflow_provider_freddy.hooks.earlier_tries import cancel_earlier_tries
from airflow_provider_freddy.hooks.renewal import with_valid_key
from airflow_provider_freddy.hooks.taking_charge import publish, refuse_after_end, take_charge
from airflow_provider_freddy.hooks.tracking import track
from airflow_provider_freddy.record import TaskTry
from airflow_provider_freddy.watchdog import client as watchdog

if TYPE_CHECKING:
    from airflow_provider_freddy.hooks.bulk_cancel import Outcome
    from airflow_provider_freddy.hooks.freddy import FreddyHook

P = ParamSpec("P")
R = TypeVar("R")


def organization_of(hook: FreddyHook, organization_id: str | None) -> str:
    """Return the checked organization of a call: the one given, or the connection's."""
    found = organization_id if organization_id is not None else hook.settings.organization_id
    if found is None:
        raise FreddyInvalidRequestError(
            f"No organization id: pass organization_id, or set it on the Airflow connection "
            f"{hook.freddy_conn_id!r}. Nothing was sent to Freddy."
        )
    return _checked(check_identifier, found, "organization id")


def create(
    hook: FreddyHook,
    inputs: Any,
    *,
    model: str | None,
    organization_id: str | None,
    background: bool,
    budget: float,
    cancel_on_failure: bool,
    task_metadata: bool,
    parameters: Mapping[str, Any],
) -> ModelResponse:
    """Start a response, recorded and armed; see :meth:`FreddyHook.create_response`."""
    organization = hook.organization(organization_id)
    context = record.running_task_context()
    parameters = dict(parameters)
    if context is not None and task_metadata:
        parameters["metadata"] = TaskTry.of(context).add_to_metadata(parameters.get("metadata"))
    request = _checked(
        create_response_request,
        inputs,
        organization_id=organization,
        model=model,
        background=background,
        parameters=parameters,
    )
    _checked(Budget, budget)
    if cancel_on_failure and context is not None:
        watchdog.start()
    cancel_earlier_tries(hook)
    limit = Budget(budget)
    answer = with_valid_key(
        hook,
        lambda: hook.exchange.ask(
            request,
            limit,
            on_response=lambda response: take_charge(hook, context, response, organization, cancel_on_failure),
            before_attempt=lambda: refuse_after_end(context),
        ),
    )
    if isinstance(answer, Problem):
        raise error_for(warn_of_lost_reply(answer, context))
    metrics.count(metrics.CREATED)
    if context is not None and not answer.is_final:
        publish(hook, context, answer.id, organization)
    return answer


def take_on(hook: FreddyHook, response_id: str, organization_id: str | None, cancel_on_failure: bool) -> None:
    """Take charge of somebody else's response; see :meth:`FreddyHook.track_response`."""
    _checked(check_identifier, response_id, "response id")
    track(hook, response_id, organization_id, cancel_on_failure)


def get(hook: FreddyHook, response_id: str, organization_id: str | None, budget: float) -> ModelResponse:
    """Look at a response; see :meth:`FreddyHook.get_response`."""
    organization = hook.organization(organization_id)
    request = _checked(get_response_request, response_id, organization_id=organization)
    limit = _checked(Budget, budget)
    answer = with_valid_key(hook, lambda: hook.exchange.ask(request, limit, response_id=response_id))
    if isinstance(answer, Problem):
        raise error_for(answer.because(f"The status of response {response_id} is not known."))
    if answer.is_final:
        _note_ending(response_id, f"{response_id} had ended by itself ({answer.status})")
    return answer


def cancel(
    hook: FreddyHook,
    response_id: str,
    *,
    organization_id: str | None,
    budget: float,
    tell_status: bool,
    verify: bool,
) -> CancelResult:
    """Cancel a response; see :meth:`FreddyHook.cancel_response`."""
    organization = hook.organization(organization_id)
    _checked(check_identifier, response_id, "response id")
    limit = _checked(Budget, budget)

    def follow() -> CancelResult | Problem:
        steps = cancel_steps(
            response_id, organization_id=organization, budget=limit, tell_status=tell_status, verify=verify
        )
        return hook.exchange.follow(steps, limit, response_id)

    outcome = with_valid_key(hook, follow)
    metrics.count_cancel(outcome, limit.seconds - limit.remaining)
    if isinstance(outcome, Problem):
        raise error_for(say_what_it_costs(outcome, response_id))
    _note_ending(response_id, str(outcome))
    return outcome


def cancel_many(
    hook: FreddyHook,
    response_ids: Iterable[str],
    *,
    organization_id: str | None,
    budget: float,
    tell_status: bool,
    verify: bool,
    concurrency: int,
) -> Iterator[tuple[str, Outcome]]:
    """Cancel a great many responses; see :meth:`FreddyHook.cancel_responses`."""
    from airflow_provider_freddy.hooks.bulk_cancel import cancel_streamed, in_a_loop_of_its_own

    organization = hook.organization(organization_id)
    if concurrency < 1:
        raise FreddyInvalidRequestError("The concurrency must be 1 or more. Nothing was sent to Freddy.")
    batches = cancel_streamed(
        hook.settings,
        response_ids,
        organization,
        budget=_checked(Budget, budget),
        tell_status=tell_status,
        verify=verify,
        concurrency=concurrency,
    )
    return _note_endings(hook, in_a_loop_of_its_own(batches))


def check(hook: FreddyHook) -> tuple[bool, str]:
    """Test the connection; see :meth:`FreddyHook.test_connection`."""
    try:
        organization = hook.settings.organization_id
        # The one attempt has half of it.
        answer = hook.exchange.ask(check_request(organization), Budget(20), attempts=1)
        return describe_check(answer, hook.settings)
    except Exception as error:
        # Airflow's Test button makes an id up for what it tests; whoever presses it knows which connection that is.
        return False, str(error).replace(f"Airflow connection {hook.freddy_conn_id!r}", "connection")


def _note_endings(hook: FreddyHook, outcomes: Iterator[tuple[str, Outcome]]) -> Iterator[tuple[str, Outcome]]:
    from airflow_provider_freddy.hooks.bulk_cancel import Progress

    progress = Progress(hook.log)
    for response_id, outcome in outcomes:
        progress.note(outcome)
        metrics.count_cancel(outcome)
        if isinstance(outcome, CancelResult):
            _note_ending(response_id, str(outcome))
        yield response_id, outcome
    progress.end()


def _note_ending(response_id: str, ending: str) -> None:
    record.note_ending(response_id, ending)
    watchdog.release(response_id)


def _checked(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call a function of the core; what it says about a bad value becomes an error of the provider."""
    try:
        return function(*args, **kwargs)
    except ValueError as error:
        raise FreddyInvalidRequestError(f"{error} Nothing was sent to Freddy.") from None
