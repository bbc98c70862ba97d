"""The operators: start a response and see it through, and cancel responses."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from airflow.providers.common.compat.sdk import BaseOperator, Context

from airflow_provider_freddy import record, stored_record
from airflow_provider_freddy.arming import FAILURE_BUDGET, cancel_started
from airflow_provider_freddy.bulk import CancelTarget, cancel_all
from airflow_provider_freddy.connection import DEFAULT_CONN_ID
from airflow_provider_freddy.core.reply import ModelResponse
from airflow_provider_freddy.core.retry import check_seconds
from airflow_provider_freddy.core.status import COMPLETED
from airflow_provider_freddy.exceptions import (
    FreddyError,
    FreddyInvalidRequestError,
    FreddyNotFoundError,
    FreddyResponseEndedError,
    FreddyTaskKilledError,
)
from airflow_provider_freddy.hooks.freddy import FreddyHook
from airflow_provider_freddy.links.freddy import FreddyResponseLink, push_link
from airflow_provider_freddy.polling import DEFAULT_TOLERATED_FAILURES, Poller
from airflow_provider_freddy.record import TaskTry

_HOOK_ARGUMENTS = {
    "inputs", "model", "organization_id", "background", "budget", "cancel_on_failure", "task_metadata"
}  # fmt: skip


class CreateResponseOperator(BaseOperator):
    """
    Start a model response and, by default, wait for its end.

    Whatever interrupts the wait cancels the response: an exception, ``execution_timeout``, a task that is marked or
    cleared, a worker that shuts down. XComs: ``response_id`` as soon as there is one, ``status`` and ``usage`` at the
    end.

    :param inputs: text, or the list of messages as the API takes it. (templated)
    :param model: the model; the API's default if not given. (templated)
    :param organization_id: the organization that pays; the connection's by default. (templated)
    :param freddy_conn_id: the Airflow connection. (templated)
    :param parameters: further fields of the request, as the API names them: ``instructions``, ``temperature``,
        ``tools``, ``metadata`` and so on. (templated)
    :param wait_for_completion: whether to wait for the end; if not, the running response is handed on and the task
        succeeds at once.
    :param poll_interval: seconds between two looks, 5 by default.
    :param tolerated_failures: how many looks in a row may fail, 5 by default.
    """

    template_fields: Sequence[str] = ("inputs", "model", "organization_id", "freddy_conn_id", "parameters")
    template_fields_renderers = {"inputs": "json", "parameters": "json"}  # ruff: ignore[mutable-class-default]
    operator_extra_links = (FreddyResponseLink(),)
    ui_color = "#e8e4f8"

    def __init__(
        self,
        *,
        inputs: str | Sequence[Mapping[str, Any]],
        model: str | None = None,
        organization_id: str | None = None,
        freddy_conn_id: str = DEFAULT_CONN_ID,
        parameters: Mapping[str, Any] | None = None,
        wait_for_completion: bool = True,
        poll_interval: float = 5.0,
        tolerated_failures: int = DEFAULT_TOLERATED_FAILURES,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.inputs = inputs
        self.model = model
        self.organization_id = organization_id
        self.freddy_conn_id = freddy_conn_id
        self.parameters = parameters
        self.wait_for_completion = wait_for_completion
        self.poll_interval = check_seconds(poll_interval, "poll_interval")
        self.tolerated_failures = tolerated_failures
        self._this_try: TaskTry | None = None
        self._killed = False
        self._waiting = False

    def execute(self, context: Context) -> dict[str, Any]:
        """
        Start the response, wait for its end, and return it.

        :param context: the context of the task.
        :return: the response, times in ISO 8601.
        :raises FreddyResponseEndedError: if it failed or was cancelled by somebody else.
        :raises FreddyTaskKilledError: if Airflow told the task to stop meanwhile.
        :raises FreddyError: one of its other classes, if the API cannot be reached or refuses.
        """
        this_try = self._this_try = TaskTry.of(context)
        _check_parameters(self.parameters)
        hook = FreddyHook(self.freddy_conn_id)
        try:
            response = hook.create_response(
                self.inputs, model=self.model, organization_id=self.organization_id, **(self.parameters or {})
            )
            self._raise_if_killed()
            context["ti"].xcom_push(key="response_id", value=response.id)
            push_link(context, hook, response.id, self.organization_id)
            if not self.wait_for_completion:
                return response.as_dict()
            response = self._wait(hook, response)
        except BaseException:
            cancel_started(this_try, FAILURE_BUDGET)
            raise
        context["ti"].xcom_push(key="status", value=response.status)
        context["ti"].xcom_push(key="usage", value=dict(response.usage or {}))
        if response.status != COMPLETED:
            raise _ended_error(response)
        return response.as_dict()

    def on_kill(self) -> None:
        """
        End the wait at once. The response is cancelled before this is called, see ``arming.KillHook``.

        Airflow calls it in the process of the task, from a signal handler or after ``execution_timeout``.

        :raises FreddyTaskKilledError: if the task is waiting, so that it stops waiting for a cancelled response.
        """
        self._killed = True
        if self._this_try is not None:
            record.close(self._this_try)
        if self._waiting:
            self._raise_if_killed()

    def _raise_if_killed(self) -> None:
        if self._killed:
            raise FreddyTaskKilledError("Airflow told the task to stop while its Freddy response was running.")

    def _wait(self, hook: FreddyHook, response: ModelResponse) -> ModelResponse:
        poller = Poller(hook, response.id, hook.organization(self.organization_id), self.tolerated_failures, self.log)
        # From here to the end of the wait on_kill may raise: no question to Airflow is under way.
        self._waiting = True
        try:
            self._raise_if_killed()
            while not response.is_final:
                time.sleep(self.poll_interval)
                # Also asked here: a logging handler may have swallowed what on_kill raised.
                self._raise_if_killed()
                response = poller.poll() or response
        finally:
            self._waiting = False
        return response


def _check_parameters(parameters: Mapping[str, Any] | None) -> None:
    """Keep apart the fields of the request and the arguments of the hook."""
    if wrong := _HOOK_ARGUMENTS & (parameters or {}).keys():
        raise FreddyInvalidRequestError(
            f"{', '.join(sorted(wrong))} cannot be given in parameters. Nothing was sent to Freddy."
        )


def _ended_error(response: ModelResponse) -> FreddyResponseEndedError:
    error = response.error or {}
    details = ": ".join(str(error[name]) for name in ("code", "message") if error.get(name))
    return FreddyResponseEndedError(
        f"Response {response.id} ended as {response.status!r}{f' ({details})' if details else ''}. It no longer runs.",
        response.id,
        response.status,
    )


class CancelResponseOperator(BaseOperator):
    """
    Cancel responses: one, many, or everything that the run has started.

    A response that had already ended is no error. All are tried before the task fails. With its default it makes a
    teardown task, or a last task with any trigger rule, that leaves nothing of the run behind.

    :param response_id: an id, what ``CreateResponseOperator`` returned, or a list of these; ``"*"``, the default, is
        every response that tasks of this run have recorded. (templated)
    :param organization_id: the organization that owns them; the connection's by default. A recorded response brings
        its own. (templated)
    :param freddy_conn_id: the Airflow connection. A recorded response brings its own. (templated)
    :param ignore_missing: whether a response that the organization does not have (404) is no error.
    :param budget: seconds for all of them together, 60 by default.
    """

    template_fields: Sequence[str] = ("response_id", "organization_id", "freddy_conn_id")
    operator_extra_links = (FreddyResponseLink(),)
    ui_color = "#f8e4e4"

    #: Stands for every response that the run has recorded. Not ``None``: that is what an XCom which nobody pushed
    #: resolves to, and such a mistake must not cancel a whole run.
    EVERY_RESPONSE_OF_RUN = "*"

    def __init__(
        self,
        *,
        response_id: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = EVERY_RESPONSE_OF_RUN,
        organization_id: str | None = None,
        freddy_conn_id: str = DEFAULT_CONN_ID,
        ignore_missing: bool = False,
        budget: float = 60.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.response_id = response_id
        self.organization_id = organization_id
        self.freddy_conn_id = freddy_conn_id
        self.ignore_missing = ignore_missing
        self.budget = check_seconds(budget, "budget")

    def execute(self, context: Context) -> dict[str, dict[str, Any]]:
        """
        Cancel them all.

        :param context: the context of the task.
        :return: for every response id its ``outcome`` (``cancelled``, ``already_final``, or ``missing`` where that
            is ignored), final ``status`` and ``cancelled_at``. If the task fails, the XCom ``outcomes`` has those
            that did not.
        :raises FreddyError: the error of the one that failed, or one that names all that failed.
        """
        targets = self._targets(context)
        results: dict[str, dict[str, Any]] = {}
        errors: dict[str, Exception] = {}
        for response_id, outcome in cancel_all(targets, self.budget).items():
            if isinstance(outcome, FreddyNotFoundError) and self.ignore_missing:
                results[response_id] = {"outcome": "missing", "status": None, "cancelled_at": None}
            elif isinstance(outcome, Exception):
                errors[response_id] = outcome
            else:
                results[response_id] = outcome.as_dict()
                self.log.info("Freddy response %s", outcome)
        if len(targets) == 1:
            push_link(context, targets[0].hook, targets[0].response_id, targets[0].organization_id)
        if errors:
            context["ti"].xcom_push(key="outcomes", value=results)
            raise _all_in_one(errors, len(targets))
        self.log.info("None of %d Freddy responses runs any longer.", len(targets))
        return results

    def _targets(self, context: Context) -> list[CancelTarget]:
        if self.response_id == self.EVERY_RESPONSE_OF_RUN:
            return _targets_of_run(context)
        hook = FreddyHook(self.freddy_conn_id)
        return [CancelTarget(one, hook, self.organization_id) for one in _response_ids(self.response_id)]


def _targets_of_run(context: Context) -> list[CancelTarget]:
    entries = stored_record.recorded_by_run(context, context["dag"].task_ids)
    hooks = {conn_id: FreddyHook(conn_id) for conn_id in {entry.freddy_conn_id for entry in entries}}
    return [CancelTarget(entry.response_id, hooks[entry.freddy_conn_id], entry.organization_id) for entry in entries]


def _response_ids(given: Any) -> list[str]:
    """Return the ids in what a user, a template or an XCom gives, each once and in order."""
    items = list(given) if isinstance(given, Sequence | set) and not isinstance(given, str) else [given]
    ids = [item["id"] if isinstance(item, Mapping) and "id" in item else item for item in items]
    for one in ids:
        if not isinstance(one, str):
            raise FreddyInvalidRequestError(
                f"response_id must be an id, a response or a list of these, not {type(one).__name__}. "
                "If it comes from an XCom, the task that should push it has not."
            )
    return list(dict.fromkeys(ids))


def _all_in_one(errors: Mapping[str, Exception], number: int) -> Exception:
    """Return one error that names all, of their common class where they have one."""
    if len(errors) == 1:
        return next(iter(errors.values()))
    classes = {type(error) for error in errors.values()}
    error_class = classes.pop() if len(classes) == 1 else FreddyError
    if not issubclass(error_class, FreddyError):
        error_class = FreddyError
    lines = "".join(f"\n  {response_id}: {error}" for response_id, error in errors.items())
    return error_class(f"{len(errors)} of {number} Freddy responses were not cancelled:{lines}")
