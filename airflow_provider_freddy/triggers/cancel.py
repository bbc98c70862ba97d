"""The trigger that cancels, and waits until it is seen to have worked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack
from typing import Any

from airflow.triggers.base import BaseTrigger, TaskSuccessEvent, TriggerEvent

from airflow_provider_freddy.core.cancel import CancelResult
from airflow_provider_freddy.core.problem import Problem, ProblemKind
from airflow_provider_freddy.hooks.bulk_cancel import Crowd
from airflow_provider_freddy.hooks.costs import say_what_it_costs
from airflow_provider_freddy.hooks.shared_client import CANCELS_AT_ONCE, SharedClient, shared_client
from airflow_provider_freddy.version_compat import has_listeners, push_xcom_from_trigger


class CancelResponsesTrigger(BaseTrigger):
    """
    Cancel responses, and wait until each is seen to have ended. Holds no secret.

    :param targets: for every response its id, its organization, and the Airflow connection.
    :param deadline: when to give up, seconds since 1970.
    :param accept: the kinds of problem that are none here.
    :param end_task: whether the trigger ends the task by itself when nothing has failed.
    :param push_outcomes: whether it then pushes the outcomes as the task's return value.
    """

    def __init__(
        self,
        targets: Sequence[Sequence[Any]],
        deadline: float | None = None,
        accept: Sequence[str] = (),
        end_task: bool = False,
        push_outcomes: bool = True,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.targets = [list(target) for target in targets]
        self.deadline = deadline
        self.accept = list(accept)
        self.end_task = end_task
        self.push_outcomes = push_outcomes

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return class and arguments, from which any triggerer builds the trigger anew."""
        names = ("targets", "deadline", "accept", "end_task", "push_outcomes")
        return (
            "airflow_provider_freddy.triggers.cancel.CancelResponsesTrigger",
            {name: getattr(self, name) for name in names},
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Cancel all, and yield one event with the outcomes, or the end of the task."""
        outcomes: dict[str, dict[str, Any]] = {}
        owners = {response_id: (organization, conn_id) for response_id, organization, conn_id in self.targets}
        with ExitStack() as stack:
            clients = {
                conn_id: stack.enter_context(shared_client(conn_id))
                for conn_id in {conn_id for _, conn_id in owners.values()}
            }

            async def cancel(response_id: str) -> dict[str, Any]:
                organization, conn_id = owners[response_id]
                return await self._cancel(clients[conn_id], response_id, organization)

            async for batch in Crowd(cancel, owners, CANCELS_AT_ONCE).outcomes():
                outcomes.update(batch)
        failed = any("error" in outcome for outcome in outcomes.values())
        self.log.info("%d Freddy responses cancelled or ended%s.", len(outcomes), ", some NOT" if failed else "")
        ends_here = self.end_task and not failed and not await asyncio.to_thread(has_listeners)
        if ends_here and await self._pushed(outcomes):
            yield TaskSuccessEvent()
        else:
            yield TriggerEvent({"outcomes": outcomes})  # type: ignore[no-untyped-call]

    async def _pushed(self, outcomes: dict[str, dict[str, Any]]) -> bool:
        """Push what the task would have returned, if that is wanted; if it does not work, the task has to."""
        try:
            if self.push_outcomes:
                await push_xcom_from_trigger(self.task_instance, "return_value", outcomes)
        except Exception as error:
            self.log.warning("The task resumes in a worker, its XCom could not be pushed from here: %r", error)
            return False
        return True

    async def _cancel(self, client: SharedClient, response_id: str, organization_id: str | None) -> dict[str, Any]:
        left = max(1.0, self.deadline - time.time()) if self.deadline is not None else 60.0
        try:
            outcome = await client.cancel(response_id, organization_id, left, verify=True)
        except Exception as error:
            return {"error": f"Response {response_id} MAY STILL RUN AND COST MONEY. {error}", "kind": None}
        if isinstance(outcome, CancelResult):
            return outcome.as_dict()
        if outcome.kind is ProblemKind.NOT_FOUND and outcome.kind in self.accept:
            return {"outcome": "missing", "status": None, "cancelled_at": None}
        return _error(say_what_it_costs(outcome, response_id))


def _error(problem: Problem) -> dict[str, Any]:
    return {"error": f"Freddy {problem}", "kind": problem.kind.value}
