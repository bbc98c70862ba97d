"""What an operator that starts a response brings with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_freddy.callbacks import with_ours
from airflow_provider_freddy.deferrable import DeferrableOperator
from airflow_provider_freddy.version_compat import XCOMS_IN_DAG_PROCESSOR

if TYPE_CHECKING:
    from airflow.sdk.definitions.mappedoperator import OperatorPartial

# Where the DAG processor cannot read what was started, they could only say so.
_CALLBACKS = ("on_failure_callback", "on_retry_callback") if XCOMS_IN_DAG_PROCESSOR else ()


class StartsResponse(DeferrableOperator):
    """
    Has ``cancel_response_on_failure`` among its callbacks, after what the author has set.

    What a running task arms is lost with its worker. Airflow then calls the callbacks in the DAG processor, which has
    only what stands in the DAG file. Not on 3.0, where it cannot read there what the task has started.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for name in _CALLBACKS:
            setattr(self, name, with_ours(getattr(self, name)))

    @classmethod
    def partial(cls, **kwargs: Any) -> OperatorPartial:
        """
        Do the same for a mapped operator, which is not constructed before it runs.

        :param kwargs: as Airflow takes them.
        """
        partial: OperatorPartial = super().partial(**kwargs)
        for name in _CALLBACKS:
            partial.kwargs[name] = with_ours(partial.kwargs.get(name))
        return partial
