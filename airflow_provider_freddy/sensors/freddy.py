"""The sensors: wait until a response has the status that one waits for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSkipException,
    BaseSensorOperator,
    Context,
    PokeReturnValue,
)

from airflow_provider_freddy.connection import DEFAULT_CONN_ID
from airflow_provider_freddy.core.reply import ModelResponse
from airflow_provider_freddy.core.status import CANCELLED, COMPLETED, FINAL_STATUSES, RUNNING_STATUSES
from airflow_provider_freddy.hooks.freddy import FreddyHook
from airflow_provider_freddy.links.freddy import FreddyResponseLink, push_link
from airflow_provider_freddy.polling import DEFAULT_TOLERATED_FAILURES, Poller
from airflow_provider_freddy.version_compat import task_state_store

OnOtherEnd = Literal["fail", "skip", "succeed"]
_ON_OTHER_END = ("fail", "skip", "succeed")

# In reschedule mode every look is another process; Airflow 3.3+ can keep the count between them.
_FAILURES_KEY = "freddy_failed_polls"


class ResponseStatusSensor(BaseSensorOperator):
    """
    Wait until a response has one of the wanted statuses.

    Works in poke and in reschedule mode. When the response ends in another way the wanted status can never come any
    more, and the sensor does not wait for its timeout.

    :param response_id: the response. (templated)
    :param status: the wanted status, or several; ``completed`` by default.
    :param organization_id: the organization that owns it; the connection's by default. (templated)
    :param freddy_conn_id: the Airflow connection. (templated)
    :param on_other_end: what to do when the response ends in another way: ``fail`` (default; not retried, for it
        cannot help), ``skip`` or ``succeed``.
    :param tolerated_failures: how many looks in a row may fail, 5 by default. In reschedule mode below Airflow 3.3,
        where nothing counts them, a failed look is always tolerated until the sensor's own timeout.
    """

    template_fields: Sequence[str] = ("response_id", "organization_id", "freddy_conn_id")
    operator_extra_links = (FreddyResponseLink(),)
    ui_color = "#e4f0f8"

    def __init__(
        self,
        *,
        response_id: str | Mapping[str, Any],
        status: str | Iterable[str] = COMPLETED,
        organization_id: str | None = None,
        freddy_conn_id: str = DEFAULT_CONN_ID,
        on_other_end: OnOtherEnd = "fail",
        tolerated_failures: int = DEFAULT_TOLERATED_FAILURES,
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
        self._poller: Poller | None = None

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
        return self._other_end(response)

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

    def _make_poller(self) -> Poller:
        hook = FreddyHook(self.freddy_conn_id)
        given = self.response_id
        response_id = given["id"] if isinstance(given, Mapping) and "id" in given else given
        return Poller(hook, response_id, self.organization_id, self.tolerated_failures, self.log)  # type: ignore[arg-type]

    def _other_end(self, response: ModelResponse) -> PokeReturnValue:
        message = (
            f"Response {response.id} has ended as {response.status!r} and can never be "
            f"{' or '.join(repr(status) for status in self.status)} any more. It no longer runs."
        )
        if self.on_other_end == "skip":
            raise AirflowSkipException(message)
        if self.on_other_end == "fail":
            raise AirflowFailException(message)
        self.log.info("%s", message)
        return PokeReturnValue(is_done=True, xcom_value=response.as_dict())


class ResponseCancelledSensor(ResponseStatusSensor):
    """
    Wait until a response is cancelled: the check that what should have stopped has stopped.

    :param response_id: the response. (templated)
    :param kwargs: everything else as in :class:`ResponseStatusSensor`, but for ``status``.
    """

    def __init__(self, *, response_id: str | Mapping[str, Any], **kwargs: Any) -> None:
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
