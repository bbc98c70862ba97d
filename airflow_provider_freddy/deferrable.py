"""What the operators and sensors that can wait in the triggerer are made from."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.common.compat.sdk import BaseOperator, Context

from airflow_provider_freddy.version_compat import with_try, without_try

if TYPE_CHECKING:
    from airflow.triggers.base import BaseTrigger


class DeferrableOperator(BaseOperator):
    """Every try begins anew, also where Airflow would resume it with the end of an earlier one."""

    def hand_over(self, context: Context, trigger: BaseTrigger, timeout: timedelta | None, **kwargs: Any) -> NoReturn:
        """
        Defer the task to a trigger, and be resumed in ``execute_complete``.

        :param context: the context of the task.
        :param trigger: the trigger.
        :param timeout: Airflow's own time limit.
        :param kwargs: further arguments of ``execute_complete``.
        """
        arguments = with_try(context, kwargs)
        self.defer(trigger=trigger, method_name="execute_complete", kwargs=arguments, timeout=timeout)
        raise AssertionError("A deferral comes back as a new process.")

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """
        Resume a task that was deferred in this try; one that was deferred in an earlier one begins anew.

        :param next_method: as Airflow gives it.
        :param next_kwargs: as Airflow gives it.
        :param context: the context of the task.
        """
        kwargs, of_this_try = without_try(context, next_kwargs)
        if not of_this_try:
            return self.execute(context)
        return super().resume_execution(next_method, kwargs, context)
