"""The trigger: waits for a response in the triggerer, where a wait costs next to nothing."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from airflow.triggers.base import BaseTrigger, TaskSuccessEvent, TriggerEvent

from airflow_provider_freddy.core.cancel import CancelOutcome, CancelResult
from airflow_provider_freddy.core.endpoint import DEFAULT_CONN_ID, LINK_KEY
from airflow_provider_freddy.core.event import EndReason, WaitEnd
from airflow_provider_freddy.core.problem import Problem, ProblemKind
from airflow_provider_freddy.core.reply import ModelResponse
from airflow_provider_freddy.core.schedule import DEFAULT_TOLERATED_FAILURES, PollInterval, schedule_for
from airflow_provider_freddy.core.wait import PASSING, StatusWait
from airflow_provider_freddy.hooks.shared_client import SharedClient, shared_client
from airflow_provider_freddy.hooks.watch import Watch
from airflow_provider_freddy.triggers.still_wanted import still_wanted
from airflow_provider_freddy.version_compat import TRIGGERS_HAVE_KILL_HOOK, has_listeners, push_xcom_from_trigger

#: Seconds for the cancel of a response whose task is gone. Airflow 3.3 cuts ``on_kill`` off after one second; what is
#: shielded from that goes on. Enough for a thousand at once, and for a pause that Freddy has asked for.
KILL_SECONDS = 90.0
#: Seconds to ask Airflow whether the task is gone. A triggerer puts all such questions through one channel, some
#: hundred a second, and all its tasks may move at once: who waits for too short a time cancels what lives on.
ASK_SECONDS = 30.0
#: Seconds for the cancel at the deadline, or when the wait is given up.
CANCEL_SECONDS = 30.0

# A refused key is tolerated for a while: it is being rotated, and the connection will have the new one.
_PASSING = PASSING | {ProblemKind.CREDENTIALS}

# One for all: a trigger's own logger would be a quarter of what a waiting trigger takes.
log = logging.getLogger(__name__)


class ResponseTrigger(BaseTrigger):
    """
    Wait until a response has a wanted status, or a final one.

    It holds no secret: the connection is looked up where it runs, once for all triggers of a connection.

    :param response_id: the response. (templated where the task starts in the triggerer)
    :param organization_id: the organization that owns it; the connection's by default.
    :param freddy_conn_id: the Airflow connection.
    :param wanted: the statuses that end the wait, beside the final ones.
    :param poll_interval: ``adaptive`` (default), ``thrifty``, or seconds.
    :param tolerated_failures: how many looks in a row may fail, 5 by default.
    :param started_at: when the response was started, seconds since 1970; learnt from the first look by default.
    :param deadline: when the wait is over whatever the response does, seconds since 1970; never by default.
    :param cancel: whether the response belongs to the task, so that it is cancelled at the deadline, when the wait is
        given up, and when the task is killed.
    :param keep_when_given_up: whether it is kept all the same when the wait is given up: a retry may take it over.
    :param end_task_on: the statuses with which the trigger ends the task successfully by itself; with all others
        the task resumes in a worker.
    :param xcoms: what it then pushes: ``return_value``, ``status``, ``usage``.
    :param push_link: whether it pushes the link to the response, for a task that no worker has begun.
    """

    def __init__(
        self,
        response_id: str,
        organization_id: str | None = None,
        freddy_conn_id: str = DEFAULT_CONN_ID,
        wanted: Sequence[str] = (),
        poll_interval: PollInterval = "adaptive",
        tolerated_failures: int = DEFAULT_TOLERATED_FAILURES,
        started_at: float | None = None,
        deadline: float | None = None,
        cancel: bool = False,
        keep_when_given_up: bool = False,
        end_task_on: Sequence[str] = (),
        xcoms: Sequence[str] = (),
        push_link: bool = False,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.response_id = response_id
        self.organization_id = organization_id
        self.freddy_conn_id = freddy_conn_id
        self.wanted = tuple(wanted)
        self.poll_interval = poll_interval
        self.tolerated_failures = tolerated_failures
        self.started_at = started_at
        self.deadline = deadline
        self.cancel = cancel
        self.keep_when_given_up = keep_when_given_up
        self.end_task_on = tuple(end_task_on)
        self.xcoms = tuple(xcoms)
        self.push_link = push_link

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return class and arguments, from which any triggerer builds the trigger anew."""
        names = (
            "response_id", "organization_id", "freddy_conn_id", "poll_interval", "tolerated_failures",
            "started_at", "deadline", "cancel", "keep_when_given_up", "push_link",
        )  # fmt: skip
        lists = ("wanted", "end_task_on", "xcoms")
        return "airflow_provider_freddy.triggers.freddy.ResponseTrigger", {
            **{name: getattr(self, name) for name in names},
            # As JSON has them, so that they come back as they were.
            **{name: list(getattr(self, name)) for name in lists},
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and yield one event: the end of the wait, or the end of the task."""
        with shared_client(self.freddy_conn_id) as client:
            try:
                if self.push_link:
                    await self._push_link(client)
                end, response = await self._wait(client)
            except asyncio.CancelledError:
                if not TRIGGERS_HAVE_KILL_HOOK:
                    await self._after_cancellation(keep_on_doubt=True)
                raise
        yield await self._event(end, response)

    async def on_kill(self) -> None:
        """Cancel the response of a task that was marked or cleared (called by Airflow 3.3+)."""
        await self._after_cancellation(keep_on_doubt=False)

    async def _push_link(self, client: SharedClient) -> None:
        """Push what the task's page links to. The wait does not depend on it."""
        try:
            link = await client.link(self.response_id, self.organization_id)
            await push_xcom_from_trigger(self.task_instance, LINK_KEY, link)
        except Exception as error:
            log.info("The task's page has no link to response %s: %r", self.response_id, error)

    # -- the wait ------------------------------------------------------------------------------------------

    def _deadline(self) -> float | None:
        """Return the deadline; a task that starts in the triggerer has only Airflow's own, which Airflow sets here."""
        if self.deadline is not None:
            return self.deadline
        limit = getattr(self, "timeout_after", None)
        return limit.timestamp() if limit is not None else None

    async def _wait(self, client: SharedClient) -> tuple[WaitEnd, ModelResponse | None]:
        wait = StatusWait(
            self.response_id,
            log,
            wanted=self.wanted,
            tolerated_failures=self.tolerated_failures,
            passing=_PASSING,
        )
        schedule = schedule_for(self.poll_interval)
        watch = Watch(wait, self.organization_id, schedule, self.started_at, self._deadline())
        while (answer := await client.poller.news(watch)) is not None:
            verdict = wait.judge(answer)
            if isinstance(verdict, ModelResponse):
                return self._reached(verdict), verdict
            if verdict is not None:
                return await self._given_up(client, verdict), None
            # Not kept for as long as nothing new comes.
            del answer
        return await self._at_deadline(client, wait)

    async def _given_up(self, client: SharedClient, problem: Problem) -> WaitEnd:
        why = f"The status of response {self.response_id} could not be told any more: Freddy {problem}"
        ends_it = self.cancel and not self.keep_when_given_up
        outcome = await self._cancel(client, CANCEL_SECONDS) if ends_it else None
        return self._ended_early(EndReason.GAVE_UP, why, outcome, problem.kind)

    async def _at_deadline(self, client: SharedClient, wait: StatusWait) -> tuple[WaitEnd, ModelResponse | None]:
        outcome = await self._cancel(client, CANCEL_SECONDS) if self.cancel else None
        if outcome is None or (isinstance(outcome, CancelResult) and outcome.outcome is CancelOutcome.ALREADY_FINAL):
            # It may have ended at the last moment, or while no triggerer was there: then it has ended in time.
            answer = await client.look(self.response_id, self.organization_id)
            if isinstance(answer, ModelResponse) and wait.judge(answer) is not None:
                return self._reached(answer), answer
        why = f"The time for response {self.response_id} is over."
        return self._ended_early(EndReason.DEADLINE, why, outcome), None

    def _reached(self, response: ModelResponse) -> WaitEnd:
        return WaitEnd(EndReason.STATUS, self.response_id, _outline(response), settled=response.is_final)

    def _ended_early(
        self,
        reason: EndReason,
        why: str,
        outcome: CancelResult | Problem | Exception | None,
        kind: ProblemKind | None = None,
    ) -> WaitEnd:
        """Say what became of the response: ``None`` if it does not belong to the task, and was not cancelled."""
        if outcome is None:
            what = "It was left alone."
        elif isinstance(outcome, CancelResult):
            what = f"{outcome}."
        else:
            what = f"IT MAY STILL RUN AND COST MONEY. {outcome}"
        settled = isinstance(outcome, CancelResult)
        return WaitEnd(reason, self.response_id, message=f"{why} {what}", settled=settled, kind=kind)

    async def _event(self, end: WaitEnd, response: ModelResponse | None) -> TriggerEvent:
        if response is not None and response.status in self.end_task_on and not await asyncio.to_thread(has_listeners):
            values = {
                "return_value": response.as_dict(),
                "status": response.status,
                "usage": dict(response.usage or {}),
            }
            if await self._pushed({name: values[name] for name in self.xcoms}):
                return TaskSuccessEvent()
        return TriggerEvent(end.as_payload())  # type: ignore[no-untyped-call]

    async def _pushed(self, xcoms: Mapping[str, Any]) -> bool:
        """Push what the task would have pushed; if that does not work, the task has to."""
        try:
            for key, value in xcoms.items():
                await push_xcom_from_trigger(self.task_instance, key, value)
        except Exception as error:
            # dag.test() runs triggers without a task instance; that is nothing to warn of.
            level = logging.WARNING if self.task_instance is not None else logging.DEBUG
            log.log(level, "The task resumes in a worker, its XComs could not be pushed from here: %r", error)
            return False
        return True

    # -- the end of the task -------------------------------------------------------------------------------

    async def _after_cancellation(self, *, keep_on_doubt: bool) -> None:
        """Cancel the response if the task is gone; goes on when Airflow, as it does every second, cancels again."""
        if not self.cancel or self.task_instance is None:
            return
        work = asyncio.ensure_future(self._cancel_if_gone(keep_on_doubt))
        end = time.monotonic() + ASK_SECONDS + KILL_SECONDS + 5
        while not work.done() and time.monotonic() < end:
            try:
                await asyncio.wait({work}, timeout=end - time.monotonic())
            except asyncio.CancelledError:
                continue

    async def _cancel_if_gone(self, keep_on_doubt: bool) -> None:
        try:
            if await asyncio.wait_for(still_wanted(self.task_instance, self.response_id), ASK_SECONDS):
                log.info("The wait for response %s moves to another triggerer.", self.response_id)
                return
        except Exception as error:
            if keep_on_doubt:
                log.info("Response %s is kept, the task could not be asked for: %r", self.response_id, error)
                return
            log.warning("The task of response %s could not be asked for: %r", self.response_id, error)
        with shared_client(self.freddy_conn_id) as client:
            outcome = await self._cancel(client, KILL_SECONDS)
        if isinstance(outcome, CancelResult):
            log.info("The task ends before its Freddy response: %s", outcome)
        else:
            log.error(
                "The task ends before its Freddy response: response %s MAY STILL RUN AND COST MONEY. %s",
                self.response_id,
                outcome,
            )

    async def _cancel(self, client: SharedClient, seconds: float) -> CancelResult | Problem | Exception:
        try:
            return await client.cancel(self.response_id, self.organization_id, seconds)
        except Exception as error:
            return error


def _outline(response: ModelResponse) -> dict[str, Any]:
    """Return the response without what the model wrote: Airflow logs every event of a trigger."""
    return {**response.as_dict(), "output": None}
