"""The extra link of the operators: from a task in Airflow's UI to its response in Freddy."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperatorLink

from airflow_provider_freddy.core.endpoint import LINK_KEY
from airflow_provider_freddy.version_compat import only_this_process_has_run

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, TaskInstanceKey

    from airflow_provider_freddy.record import TaskTry

log = logging.getLogger(__name__)

_pushed: dict[TaskTry, str] = {}


class FreddyResponseLink(BaseOperatorLink):
    """
    The address of the response, from an XCom alone: neither the connection nor its key is needed to show it.

    The connection's ``link_base_url`` says where it points to; the API by default.
    """

    name = "Freddy response"
    xcom_key = LINK_KEY

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """
        Return the address, empty where the task has no response.

        :param operator: not looked at.
        :param ti_key: the task instance; at the end of a task in its own process (Airflow 3) the running one itself.
        """
        from airflow_provider_freddy.record import TaskTry

        this_try = TaskTry.of({"ti": ti_key})
        if this_try in _pushed:
            return _pushed[this_try]
        if only_this_process_has_run(ti_key):
            return ""
        from airflow.providers.common.compat.sdk import XCom

        return str(XCom.get_value(ti_key=ti_key, key=LINK_KEY) or "")


def push_link(context: Mapping[str, Any], hook: Any, response_id: str, organization_id: str | None = None) -> None:
    """
    Have the task's page show a link to a response. Never raises: the task's work does not depend on it.

    :param context: the context of the running task.
    :param hook: the hook that the response is handled with.
    :param response_id: the response.
    :param organization_id: the organization that owns it; the connection's by default.
    """
    from airflow_provider_freddy.record import TaskTry

    try:
        link = hook.settings.link(response_id, hook.organization(organization_id))
        if _pushed.get(TaskTry.of(context)) != link:
            context["ti"].xcom_push(key=LINK_KEY, value=link)
            _pushed[TaskTry.of(context)] = link
    except Exception as error:
        log.warning("The task's page has no link to Freddy response %s: %s", response_id, error)
