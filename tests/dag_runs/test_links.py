"""The extra link "Freddy response", pushed by Airflow's own task runner and read as its UI reads it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_freddy.links import freddy as links
from airflow_provider_freddy.links.freddy import LINK_KEY, FreddyResponseLink, push_link
from airflow_provider_freddy.testing import FakeFreddy
from tests.airflow_versions import dag_bag, dag_from_dict, dag_to_dict
from tests.dag_runs.conftest import RunResult


def link(freddy: FakeFreddy, response_id: str) -> str:
    return f"{freddy.url}/v1/model/response/{response_id}?organizationId=org_fake"


def shown_by_airflow(dag_id: str, run: RunResult, task_id: str, map_index: int = -1) -> str:
    """Return what the API server shows: it has the serialized DAG and the XComs, and nothing of the provider."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session

    dag = dag_from_dict(json.loads(json.dumps(dag_to_dict(dag_bag().dags[dag_id]))))
    # What the process of the task knows, and that of the API server does not.
    links._pushed.clear()
    with create_session() as session:
        ti = (
            session.query(TaskInstance)
            .filter_by(dag_id=dag_id, run_id=run.run_id, task_id=task_id, map_index=map_index)
            .one()
        )
        return dag.get_task(task_id).get_extra_links(ti, "Freddy response")


@pytest.mark.parametrize("dag_id", ["create_and_hand_on", "create_with_timeout"])
def test_the_page_of_a_task_leads_to_its_response(
    run_dag: Callable, fake_freddy_connection: FakeFreddy, monkeypatch: pytest.MonkeyPatch, dag_id: str
) -> None:
    run = run_dag(dag_id)
    (response,) = fake_freddy_connection.responses
    # From the XCom alone: the API server has no connection.
    monkeypatch.delenv("AIRFLOW_CONN_FREDDY_DEFAULT")
    assert shown_by_airflow(dag_id, run, "ask") == link(fake_freddy_connection, response.id)


def test_every_mapped_task_has_its_own(run_dag: Callable, fake_freddy_connection: FakeFreddy) -> None:
    run = run_dag("map_the_cancel")
    for task_id in ("ask", "cancel"):
        for index in range(3):
            response_id = run.xcom("ask", "response_id", index)
            assert shown_by_airflow("map_the_cancel", run, task_id, index) == link(fake_freddy_connection, response_id)


def test_the_connection_says_where_it_leads(
    run_dag: Callable, fake_freddy_connection: FakeFreddy, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = json.loads(fake_freddy_connection.connection_json())
    connection["extra"]["link_base_url"] = "https://example.com/{organization_id}/{response_id}"
    monkeypatch.setenv("AIRFLOW_CONN_FREDDY_DEFAULT", json.dumps(connection))
    run = run_dag("create_and_hand_on")
    (response,) = fake_freddy_connection.responses
    assert run.xcom("ask", LINK_KEY) == f"https://example.com/org_fake/{response.id}"


def test_a_sensor_shows_what_it_waited_for(run_dag: Callable, fake_freddy_connection: FakeFreddy) -> None:
    from airflow_provider_freddy.hooks.freddy import FreddyHook

    fake_freddy_connection.next_response(duration=0.3)
    response = FreddyHook().create_response("hello")
    run = run_dag("wait_until_completed", response_id=response.id)
    assert run.xcom("wait", LINK_KEY) == link(fake_freddy_connection, response.id)


def test_a_task_that_started_nothing_has_none(run_dag: Callable, fake_freddy_connection: FakeFreddy) -> None:
    run = run_dag("create_and_wait", inputs="")
    assert not shown_by_airflow("create_and_wait", run, "ask")
    assert "Failed to push an xcom" not in run.log
    assert "XCom not found" not in run.log


def test_a_cancel_of_many_has_none(run_dag: Callable, fake_freddy_connection: FakeFreddy) -> None:
    run = run_dag("sweep_the_run")
    assert not shown_by_airflow("sweep_the_run", run, "sweep")


class Ti:
    dag_id, run_id, task_id, map_index, try_number = "d", "links", "t", -1, 1

    def xcom_push(self, key: str, value: Any) -> None:
        raise OSError("not to be written")


def test_a_link_that_cannot_be_pushed_costs_a_line_in_the_log(
    fake_freddy_connection: FakeFreddy, caplog: pytest.LogCaptureFixture
) -> None:
    from airflow_provider_freddy.hooks.freddy import FreddyHook

    push_link({"ti": Ti()}, FreddyHook(), "resp_1", None)
    assert "has no link to Freddy response resp_1: not to be written" in caplog.text


def test_another_process_reads_it_from_the_xcom(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.providers.common.compat.sdk import XCom

    monkeypatch.setattr(XCom, "get_value", lambda *, ti_key, key: {LINK_KEY: f"link of {ti_key.task_id}"}[key])
    assert FreddyResponseLink().get_link(None, ti_key=Ti()) == "link of t"
