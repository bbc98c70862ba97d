"""The sensors: wait until a response has the status that one waits for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    Context,
    PokeReturnValue,
    conf,
)

from airflow_provider_freddy.core.endpoint import DEFAULT_CONN_ID
from airflow_provider_freddy.core.schedule import DEFAULT_TOLERATED_FAILURES, PollInterval, schedule_for
from airflow_provider_freddy.core.status import CANCELLED, COMPLETED, FINAL_STATUSES, RUNNING_STATUSES
from airflow_provider_freddy.deferrable import DeferrableOperator
from airflow_provider_freddy.exceptions import FreddyInvalidRequestError
from airflow_provider_freddy.hooks.freddy import FreddyHook
from airflow_provider_freddy.links.freddy import FreddyResponseLink, push_link
from airflow_provider_freddy.version_compat import can_end_in_triggerer, can_start_in_triggerer, task_state_store

# What runs a task is imported in the methods that run it: a DAG file imports this module on every parse.
if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import XComArg

    from airflow_provider_freddy.core.reply import ModelResponse
    from airflow_provider_freddy.polling import Poller

OnOtherEnd = Literal["fail", "skip", "succeed"]
_ON_OTHER_END = ("fail", "skip", "succeed")

# In reschedule mode every look is another process; Airflow 3.3+ can keep the count between them.
_FAILURES_KEY = "freddy_failed_polls"


class ResponseStatusSensor(DeferrableOperator, BaseSensorOperator):
    """
    Wait until a response has one of the wanted statuses.

    Works in poke and in reschedule mode, and deferred. When the response ends in another way the wanted status can
    never come any more, and the sensor does not wait for its timeout.

    :param response_id: the response. (templated)
    :param status: the wanted status, or several; ``completed`` by default.
    :param organization_id: the organization that owns it; the connection's by default. (templated)
    :param freddy_conn_id: the Airflow connection. (templated)
    :param on_other_end: what to do when the response ends in another way: ``fail`` (default; not retried, for it
        cannot help), ``skip`` or ``succeed``.
    :param tolerated_failures: how many looks in a row may fail, 5 by default. In reschedule mode below Airflow 3.3,
        where nothing counts them, a failed look is always tolerated until the sensor's own timeout.
    :param deferrable: whether to wait in the triggerer, where it holds no worker; ``[operators] default_deferrable``
        by default.
    :param poll_interval: how often a deferred sensor looks: ``adaptive`` (default: soon at first, then rarer),
        ``thrifty``, or seconds. In poke and reschedule mode it is ``poke_interval``.
    :param start_in_triggerer: whether a deferred sensor may start in the triggerer, without a worker (Airflow 3.3+); on
        by default. It does if its templates use only what a triggerer has at hand, ``params`` and ``dag_run`` for
        example: an XCom has to be read in a worker, and so has one with an ``execution_timeout`` to start there.
    :param end_in_triggerer: whether a deferred sensor that has seen what it waits for may end in the triggerer,
        without a worker (Airflow 3.3+); on by default. A sensor with outlets or with a success callback resumes in a
        worker anyhow, and so does one that fails. So does it where a listener of a plugin may
        want to see the task succeed.
    """

    template_fields: Sequence[str] = ("response_id", "organization_id", "freddy_conn_id")
    operator_extra_links = (FreddyResponseLink(),)
    ui_color = "#e4f0f8"

    def __init__(
        self,
        *,
        response_id: str | Mapping[str, Any] | XComArg,
        status: str | Iterable[str] = COMPLETED,
        organization_id: str | None = None,
        freddy_conn_id: str = DEFAULT_CONN_ID,
        on_other_end: OnOtherEnd = "fail",
        tolerated_failures: int = DEFAULT_TOLERATED_FAILURES,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: PollInterval = "adaptive",
        start_in_triggerer: bool = True,
        end_in_triggerer: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.response_id = response_id
        self.status = _checked_statuses(status)
        self.organization_id = organization_id
        self.freddy_conn_id = freddy_conn_id
        if on_other_end not in _ON_OTHER_END:
            raise ValueError(f"on_other_end must be one of {', '.join(_ON_OTHER_END)}, not {on_other_end!r}.")
        self.on_other_end = on_other_end
        self.tolerated_failures = tolerated_failures
        self.deferrable = deferrable
        schedule_for(poll_interval)
        self.poll_interval = poll_interval
        self.end_in_triggerer = end_in_triggerer
        self._poller: Poller | None = None
        if deferrable and start_in_triggerer:
            self._start_in_triggerer()

    def execute(self, context: Context) -> Any:
        """
        Wait, in the worker or in the triggerer.

        :param context: the context of the task.
        :return: the response, times in ISO 8601.
        :raises AirflowSensorTimeout: if its ``timeout`` is over.
        :raises FreddyError: as :meth:`poke`.
        """
        if not self.deferrable:
            return super().execute(context)
        from airflow_provider_freddy.deferral import backstop, deadline
        from airflow_provider_freddy.triggers.freddy import ResponseTrigger

        ends = [self.timeout, self.execution_timeout.total_seconds() if self.execution_timeout else self.timeout]
        until = deadline(min(ends))
        response_id = self._checked_response_id()
        push_link(context, self._hook(), response_id, self.organization_id)
        arguments = {**self._trigger_arguments(), "response_id": response_id, "deadline": until}
        trigger = ResponseTrigger(**arguments)
        return self.hand_over(context, trigger, backstop(until), timed_out=ends[0] <= ends[1])

    def _start_in_triggerer(self) -> None:
        if not can_start_in_triggerer(self, ResponseStatusSensor, ResponseCancelledSensor):
            return
        from airflow.triggers.base import StartTriggerArgs

        self.start_from_trigger = True
        self.start_trigger_args = StartTriggerArgs(
            trigger_cls="airflow_provider_freddy.triggers.freddy.ResponseTrigger",
            trigger_kwargs={**self._trigger_arguments(), "push_link": True},
            next_method="execute_complete",
            timeout=timedelta(seconds=self.timeout),
        )

    def _trigger_arguments(self) -> dict[str, Any]:
        ends_here = self.end_in_triggerer and can_end_in_triggerer(self, ResponseStatusSensor, ResponseCancelledSensor)
        return {
            "response_id": self.response_id,
            "organization_id": self.organization_id,
            "freddy_conn_id": self.freddy_conn_id,
            "wanted": self.status,
            "poll_interval": self.poll_interval,
            "tolerated_failures": self.tolerated_failures,
            "end_task_on": self._good_ends() if ends_here else [],
            "xcoms": ["return_value"] if self.do_xcom_push else [],
        }

    def execute_complete(self, context: Context, event: Any = None, timed_out: bool = True) -> Any:
        """
        Take the sensor up again when the trigger has sent its event.

        :param context: the context of the task.
        :param event: the event.
        :param timed_out: whether the deadline of the trigger is that of the sensor's ``timeout``, not of the task's
            ``execution_timeout``.
        :return: the response, times in ISO 8601.
        :raises AirflowSensorTimeout: if its ``timeout`` is over.
        :raises AirflowTaskTimeout: if its ``execution_timeout`` is over.
        :raises FreddyError: as :meth:`poke`.
        """
        from airflow_provider_freddy.core.event import EndReason
        from airflow_provider_freddy.deferral import raise_if_early, read_event

        end = read_event(event)
        if end.reason is EndReason.DEADLINE and timed_out:
            raise AirflowSensorTimeout(end.message)
        raise_if_early(end)
        seen = dict(end.response or {})
        if seen["status"] not in self._good_ends():
            self._refuse_other_end(end.response_id, seen["status"])
        # The event is logged and leaves out what the model wrote.
        if self.do_xcom_push and seen["status"] == COMPLETED:
            return self._hook().get_response(end.response_id, organization_id=self.organization_id).as_dict()
        return seen

    def _good_ends(self) -> list[str]:
        return sorted({*self.status, *(FINAL_STATUSES if self.on_other_end == "succeed" else ())})

    def poke(self, context: Context) -> PokeReturnValue | bool:
        """
        Look once.

        :param context: the context of the task.
        :return: ``False`` to wait on, else the response as the XCom.
        :raises AirflowFailException: if the response has ended in another way.
        :raises AirflowSkipException: the same with ``on_other_end="skip"``.
        :raises FreddyError: if the look failed for good, or once too often in a row.
        """
        response = self._look(context)
        if response is None:
            return False
        if self._poller is not None:
            push_link(context, self._poller.hook, response.id, self.organization_id)
        if response.status in self.status:
            return PokeReturnValue(is_done=True, xcom_value=response.as_dict())
        if not response.is_final:
            return False
        self._refuse_other_end(response.id, response.status)
        return PokeReturnValue(is_done=True, xcom_value=response.as_dict())

    def _look(self, context: Context) -> ModelResponse | None:
        if self._poller is None:
            self._poller = self._make_poller()
        store = task_state_store(context) if self.reschedule else None
        key = f"{_FAILURES_KEY}_{context['ti'].try_number}"
        if store is not None:
            self._poller.failures = int(store.get(key) or 0)
        elif self.reschedule:
            self._poller.failures = 0
        before = self._poller.failures
        response = self._poller.poll()
        if store is not None and self._poller.failures != before:
            store.set(key, self._poller.failures)
        return response

    def _hook(self) -> FreddyHook:
        return FreddyHook(self.freddy_conn_id)

    def _response_id(self) -> Any:
        given = self.response_id
        return given["id"] if isinstance(given, Mapping) and "id" in given else given

    def _checked_response_id(self) -> str:
        from airflow_provider_freddy.core.identifier import check_identifier

        try:
            return check_identifier(self._response_id(), "response id")
        except ValueError as error:
            raise FreddyInvalidRequestError(f"{error} Nothing was sent to Freddy.") from None

    def _make_poller(self) -> Poller:
        from airflow_provider_freddy.polling import Poller

        return Poller(self._hook(), self._response_id(), self.organization_id, self.tolerated_failures, self.log)

    def _refuse_other_end(self, response_id: str, status: str) -> None:
        message = (
            f"Response {response_id} has ended as {status!r} and can never be "
            f"{' or '.join(repr(wanted) for wanted in self.status)} any more. It no longer runs."
        )
        if self.on_other_end == "skip":
            raise AirflowSkipException(message)
        if self.on_other_end == "fail":
            raise AirflowFailException(message)
        self.log.info("%s", message)


class ResponseCancelledSensor(ResponseStatusSensor):
    """
    Wait until a response is cancelled: the check that what should have stopped has stopped.

    :param response_id: the response. (templated)
    :param kwargs: everything else as in :class:`ResponseStatusSensor`, but for ``status``.
    """

    def __init__(self, *, response_id: str | Mapping[str, Any] | XComArg, **kwargs: Any) -> None:
        if "status" in kwargs:
            raise ValueError("ResponseCancelledSensor waits for 'cancelled'; ResponseStatusSensor takes a status.")
        super().__init__(response_id=response_id, status=CANCELLED, **kwargs)


def _checked_statuses(status: str | Iterable[str]) -> list[str]:
    statuses = [status] if isinstance(status, str) else list(status)
    known = FINAL_STATUSES | RUNNING_STATUSES
    if not statuses or (unknown := set(statuses) - known):
        wrong = ", ".join(sorted(map(str, unknown))) if statuses else "none"
        raise ValueError(f"status must be one or more of {', '.join(sorted(known))}, not {wrong}.")
    return statuses
