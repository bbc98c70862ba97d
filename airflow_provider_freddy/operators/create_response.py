"""The operator that starts a response and sees it through."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from airflow.providers.common.compat.sdk import AirflowFailException, Context, TaskDeferred, conf

from airflow_provider_freddy.core.endpoint import DEFAULT_CONN_ID
from airflow_provider_freddy.core.schedule import DEFAULT_TOLERATED_FAILURES, PollInterval, schedule_for
from airflow_provider_freddy.core.status import COMPLETED
from airflow_provider_freddy.exceptions import (
    FreddyInvalidRequestError,
    FreddyResponseEndedError,
    FreddyTaskKilledError,
)
from airflow_provider_freddy.hooks.freddy import FreddyHook
from airflow_provider_freddy.links.freddy import FreddyResponseLink, push_link
from airflow_provider_freddy.operators.starts_response import StartsResponse
from airflow_provider_freddy.version_compat import can_end_in_triggerer, state_of_running_task

if TYPE_CHECKING:
    from airflow_provider_freddy.core.reply import ModelResponse
    from airflow_provider_freddy.record import TaskTry

# What runs a task is imported in the methods that run it: a DAG file imports this module on every parse.

_HOOK_ARGUMENTS = {
    "inputs", "model", "organization_id", "background", "budget", "cancel_on_failure", "task_metadata"
}  # fmt: skip


class CreateResponseOperator(StartsResponse):
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
    :param deferrable: whether to wait in the triggerer, where it holds no worker; ``[operators] default_deferrable``
        by default.
    :param poll_interval: ``adaptive`` (default: soon at first, then rarer), ``thrifty``, or seconds between two looks.
    :param tolerated_failures: how many looks in a row may fail, 5 by default.
    :param task_metadata: whether Freddy is told in ``metadata`` which DAG, run, task, map index and try has started the
        response; on by default.
    :param on_retry: what becomes of a response that still runs when its task fails with a retry left: ``cancel``
        (default), or ``resume``: the next try waits for it and does not pay for a second one (Airflow 3.3+). After a
        clear, a kill or ``execution_timeout`` it is cancelled in any case. Between the tries nothing of the task runs
        that could cancel it: see what the guarantees say of it.
    :param end_in_triggerer: whether a deferred task whose response has completed may end in the triggerer, without a
        worker (Airflow 3.3+); on by default. A task with outlets or with a success callback resumes in a worker
        anyhow, and so does one that fails. So does it where a listener of a plugin may
        want to see the task succeed.
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
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: PollInterval = "adaptive",
        tolerated_failures: int = DEFAULT_TOLERATED_FAILURES,
        task_metadata: bool = True,
        on_retry: Literal["cancel", "resume"] = "cancel",
        end_in_triggerer: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.inputs = inputs
        self.model = model
        self.organization_id = organization_id
        self.freddy_conn_id = freddy_conn_id
        self.parameters = parameters
        self.wait_for_completion = wait_for_completion
        self.deferrable = deferrable
        schedule_for(poll_interval)
        self.poll_interval = poll_interval
        self.tolerated_failures = tolerated_failures
        self.task_metadata = task_metadata
        if on_retry not in {"cancel", "resume"}:
            raise ValueError(f"on_retry must be 'cancel' or 'resume', not {on_retry!r}.")
        self.on_retry = on_retry
        self.end_in_triggerer = end_in_triggerer
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
        from airflow_provider_freddy.deferral import deadline

        until = deadline(self.execution_timeout.total_seconds() if self.execution_timeout else None)
        _check_parameters(self.parameters)
        hook = FreddyHook(self.freddy_conn_id)
        with self._cancelled_on_failure(context):
            response = self._taken_over(hook, context) or hook.create_response(
                self.inputs,
                model=self.model,
                organization_id=self.organization_id,
                task_metadata=self.task_metadata,
                **(self.parameters or {}),
            )
            self._raise_if_killed()
            context["ti"].xcom_push(key="response_id", value=response.id)
            push_link(context, hook, response.id, self.organization_id)
            if not self.wait_for_completion:
                return response.as_dict()
            if self.deferrable and not response.is_final:
                self._defer(context, response.id, hook.organization(self.organization_id), until)
            response = self._wait(hook, response)
        return self._finish(context, response)

    def execute_complete(
        self, context: Context, event: Any = None, response_id: str | None = None, until: float | None = None
    ) -> dict[str, Any]:
        """
        Take the task up again when the trigger has sent its event.

        :param context: the context of the task.
        :param event: the event.
        :param response_id: the response that this try waits for.
        :param until: its deadline, seconds since 1970.
        :return: the response, times in ISO 8601.
        :raises FreddyResponseEndedError: if the response failed or was cancelled by somebody else.
        :raises AirflowTaskTimeout: if ``execution_timeout`` was over; the response was cancelled then.
        :raises FreddyError: one of its other classes, if the API could not be reached or refused.
        """
        from airflow_provider_freddy.deferral import raise_if_early, read_event

        end = read_event(event)
        if response_id is not None and end.response_id != response_id:
            # SQLite gives the id of a deleted trigger to the next one: this is the event of an earlier try's.
            self.log.warning("An event about response %s came: waiting on for %s.", end.response_id, response_id)
            self._defer(context, response_id, FreddyHook(self.freddy_conn_id).organization(self.organization_id), until)
        raise_if_early(end)
        # The event is logged and leaves out what the model wrote.
        response = FreddyHook(self.freddy_conn_id).get_response(end.response_id, organization_id=self.organization_id)
        return self._finish(context, response)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """
        Resume a deferred task; if it fails now, whyever, its response is cancelled.

        Airflow calls it for a trigger that failed or timed out too, where ``execute_complete`` is not called.

        :param next_method: as Airflow gives it.
        :param next_kwargs: as Airflow gives it.
        :param context: the context of the task.
        """
        from airflow_provider_freddy.deferral import take_up

        take_up(context, (next_kwargs or {}).get("event"))
        with self._cancelled_on_failure(context):
            return super().resume_execution(next_method, next_kwargs, context)

    def on_kill(self) -> None:
        """
        End the wait at once. The response is cancelled before this is called, see ``arming.KillHook``.

        Airflow calls it in the process of the task, from a signal handler or after ``execution_timeout``.

        :raises FreddyTaskKilledError: if the task is waiting, so that it stops waiting for a cancelled response.
        """
        from airflow_provider_freddy import record

        self._killed = True
        if self._this_try is not None:
            record.close(self._this_try)
        if self._waiting:
            self._raise_if_killed()

    def _taken_over(self, hook: FreddyHook, context: Context) -> ModelResponse | None:
        if self.on_retry != "resume" or not self.wait_for_completion:
            return None
        from airflow_provider_freddy.hooks.earlier_tries import take_over

        return take_over(hook, context)

    @contextmanager
    def _cancelled_on_failure(self, context: Context) -> Generator[None]:
        """Cancel what this try has started if it fails, unless the next one is to take it over."""
        from airflow_provider_freddy.arming import FAILURE_BUDGET, cancel_started
        from airflow_provider_freddy.record import TaskTry

        this_try = self._this_try = TaskTry.of(context)
        try:
            yield
        except TaskDeferred:
            raise
        except BaseException as error:
            if not self._left_to_retry(context, error):
                cancel_started(this_try, FAILURE_BUDGET)
            raise

    def _left_to_retry(self, context: Context, error: BaseException) -> bool:
        """Leave the response to the next try; if there is none, the failure callback cancels it after all."""
        from airflow_provider_freddy import record, stored_record
        from airflow_provider_freddy.record import TaskTry

        ends_it = self._killed or not isinstance(error, Exception) or isinstance(error, AirflowFailException)
        if self.on_retry != "resume" or ends_it:
            return False
        this_try = TaskTry.of(context)
        running = [entry for entry in record.started_by(this_try) if entry.ending is None]
        try:
            if len(running) != 1 or not stored_record.keep_for_retry(context, running[0].record.response_id):
                return False
        except Exception as store_error:
            self.log.warning("The response cannot be left to the next try: %r", store_error)
            return False
        record.keep(this_try, running[0].record.response_id)
        return True

    def _raise_if_killed(self) -> None:
        if self._killed:
            raise FreddyTaskKilledError("Airflow told the task to stop while its Freddy response was running.")

    def _defer(self, context: Context, response_id: str, organization_id: str, until: float | None) -> None:
        from airflow_provider_freddy.deferral import backstop
        from airflow_provider_freddy.triggers.freddy import ResponseTrigger

        # A task that was marked in these seconds is refused the deferral, and nothing would be called for it.
        if (state := state_of_running_task(context)) not in {"running", None}:
            raise FreddyTaskKilledError(f"The task was {state!r} before it could be deferred.")
        self._raise_if_killed()
        from_trigger = self.end_in_triggerer and can_end_in_triggerer(self, CreateResponseOperator)
        trigger = ResponseTrigger(
            response_id=response_id,
            organization_id=organization_id,
            freddy_conn_id=self.freddy_conn_id,
            poll_interval=self.poll_interval,
            tolerated_failures=self.tolerated_failures,
            started_at=time.time(),
            deadline=until,
            cancel=True,
            keep_when_given_up=self.on_retry == "resume" and context["ti"].try_number <= context["ti"].max_tries,
            end_task_on=[COMPLETED] if from_trigger else [],
            xcoms=["status", "usage", *(["return_value"] if self.do_xcom_push else [])],
        )
        self.hand_over(context, trigger, backstop(until), response_id=response_id, until=until)

    def _wait(self, hook: FreddyHook, response: ModelResponse) -> ModelResponse:
        from airflow_provider_freddy.polling import Poller

        poller = Poller(hook, response.id, hook.organization(self.organization_id), self.tolerated_failures, self.log)
        schedule, start = schedule_for(self.poll_interval), time.monotonic()
        delay = schedule.first_delay(0)
        # From here to the end of the wait on_kill may raise: no question to Airflow is under way.
        self._waiting = True
        try:
            self._raise_if_killed()
            while not response.is_final:
                time.sleep(delay)
                # Also asked here: a logging handler may have swallowed what on_kill raised.
                self._raise_if_killed()
                response = poller.poll() or response
                age = time.monotonic() - start
                delay = schedule.next_delay(age, poller.failures, response.progress_percentage)
        finally:
            self._waiting = False
        return response

    def _finish(self, context: Context, response: ModelResponse) -> dict[str, Any]:
        context["ti"].xcom_push(key="status", value=response.status)
        context["ti"].xcom_push(key="usage", value=dict(response.usage or {}))
        if response.status != COMPLETED:
            raise _ended_error(response)
        return response.as_dict()


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
