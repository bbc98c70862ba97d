"""``CreateResponseOperator`` in Airflow's own task runner, against the fake."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from airflow_provider_freddy.testing import FakeFreddy
from tests.airflow_versions import not_on_airflow


def test_it_waits_for_the_end_and_hands_on_the_response(run_dag: Callable, fake_freddy_connection: FakeFreddy) -> None:
    fake_freddy_connection.next_response(duration=0.3)
    run = run_dag("create_and_wait")
    (response,) = fake_freddy_connection.responses
    assert run.state == "success"
    assert run.xcom("ask", "response_id") == response.id
    assert run.xcom("ask", "status") == "completed"
    assert run.xcom("ask", "usage")["total_tokens"] > 0
    assert run.xcom("ask")["id"] == response.id
    assert run.xcom("ask")["output"]


@not_on_airflow("3.0", because="its dag.test() loses what a task is deferred with; on a running one it works")
def test_the_retry_of_a_deferred_task_starts_a_response_of_its_own(
    run_dag: Callable, fake_freddy_connection: FakeFreddy
) -> None:
    fake_freddy_connection.next_response(duration=300)
    fake_freddy_connection.next_response(duration=0.3)
    code = "insufficient_permissions"
    fake_freddy_connection.fault("status", status=403, method="GET", times=1, code=code)
    run = run_dag("create_deferred_with_a_retry")
    assert run.state == "success", run.log
    assert [response.status for response in fake_freddy_connection.responses] == ["cancelled", "completed"]


def test_it_records_what_it_started_without_a_secret(run_dag: Callable, fake_freddy_connection: FakeFreddy) -> None:
    run = run_dag("create_and_hand_on")
    (response,) = fake_freddy_connection.responses
    (entry,) = run.xcom("ask", "freddy_responses")
    assert entry == {
        "response_id": response.id,
        "organization_id": "org_fake",
        "freddy_conn_id": "freddy_default",
        "dag_id": "create_and_hand_on",
        "run_id": entry["run_id"],
        "task_id": "ask",
        "map_index": -1,
        "try_number": 1,
        "cancel_on_failure": True,
    }
    assert fake_freddy_connection.api_key not in repr(run.xcoms)


def test_without_waiting_the_running_response_is_handed_on(
    run_dag: Callable, fake_freddy_connection: FakeFreddy
) -> None:
    run = run_dag("create_and_hand_on")
    (response,) = fake_freddy_connection.responses
    assert run.state == "success"
    assert fake_freddy_connection.left_running == [response.id]
    assert run.xcom("ask")["id"] == response.id
    assert response.metadata["run"] in run.xcom("ask", "freddy_responses")[0]["run_id"]
    assert response.inputs[0]["content"] == f"hello {response.metadata['run']}"


def test_a_stray_response_can_be_traced_to_its_task(run_dag: Callable, fake_freddy_connection: FakeFreddy) -> None:
    run = run_dag("create_and_hand_on")
    (entry,) = run.xcom("ask", "freddy_responses")
    assert fake_freddy_connection.responses[0].metadata == {
        "run": entry["run_id"],
        "airflow_dag_id": "create_and_hand_on",
        "airflow_run_id": entry["run_id"],
        "airflow_task_id": "ask",
        "airflow_map_index": "-1",
        "airflow_try_number": "1",
    }


def test_a_failed_response_fails_the_task_with_the_error_of_the_api(
    run_dag: Callable, fake_freddy_connection: FakeFreddy
) -> None:
    fake_freddy_connection.next_response(duration=0.2, outcome="failed")
    run = run_dag("create_and_wait")
    (response,) = fake_freddy_connection.responses
    assert run.tasks == {"ask": "failed"}
    assert f"Response {response.id} ended as 'failed' (" in run.log
    assert not [request for request in fake_freddy_connection.requests if request.method == "DELETE"]


def test_a_response_that_somebody_cancels_fails_the_task(run_dag: Callable, fake_freddy_connection: FakeFreddy) -> None:
    def cancel_by_hand() -> None:
        import requests

        fake_freddy_connection.wait_for(lambda: fake_freddy_connection.left_running, timeout=30)
        requests.delete(
            f"{fake_freddy_connection.url}/v1/model/response/{fake_freddy_connection.left_running[0]}",
            params={"organizationId": fake_freddy_connection.organization_id},
            headers={"X-API-Key": fake_freddy_connection.api_key},
            timeout=5,
        )

    thread = threading.Thread(target=cancel_by_hand)
    thread.start()
    run = run_dag("create_and_wait")
    thread.join()
    assert run.tasks == {"ask": "failed"}
    assert "ended as 'cancelled'" in run.log


def test_some_failed_looks_in_a_row_are_tolerated(run_dag: Callable, fake_freddy_connection: FakeFreddy) -> None:
    fake_freddy_connection.next_response(duration=0.5)
    fake_freddy_connection.fault("garbage", method="GET", body="html", times=2)
    run = run_dag("create_and_wait")
    assert run.state == "success"
    assert "Freddy answers again after 2 failed looks" in run.log


def test_one_failed_look_too_many_fails_the_task_and_cancels(
    run_dag: Callable, fake_freddy_connection: FakeFreddy
) -> None:
    fake_freddy_connection.fault("garbage", method="GET", body="html", times=3)
    run = run_dag("create_and_wait")
    assert run.tasks == {"ask": "failed"}
    assert fake_freddy_connection.left_running == []


@not_on_airflow("3.0", because="the operator brings none there")
@pytest.mark.parametrize("dag_id", ["create_and_wait", "create_with_timeout"])
def test_the_callback_that_it_brings_says_one_line_and_cancels_nothing_twice(
    run_dag: Callable, fake_freddy_connection: FakeFreddy, dag_id: str
) -> None:
    if dag_id == "create_and_wait":
        fake_freddy_connection.fault("garbage", method="GET", body="html", times=3)
    run = run_dag(dag_id)
    (response,) = fake_freddy_connection.responses
    assert [request.method for request in fake_freddy_connection.requests].count("DELETE") == 1
    (line,) = [line for line in run.log.splitlines() if "Freddy callback for" in line]
    assert "ask" in line
    assert f"try 1: {response.id} cancelled at" in line
    assert "ERROR" not in line


def test_it_brings_nothing_that_is_called_when_all_is_well(
    run_dag: Callable, fake_freddy_connection: FakeFreddy
) -> None:
    fake_freddy_connection.next_response(duration=0.2)
    run = run_dag("create_and_wait")
    assert run.state == "success"
    assert "Freddy callback" not in run.log


def test_freddy_is_not_told_of_the_task_if_that_is_not_wanted(
    run_dag: Callable, fake_freddy_connection: FakeFreddy
) -> None:
    run = run_dag("create_without_metadata")
    assert run.state == "success"
    (response,) = fake_freddy_connection.responses
    assert not response.metadata


def test_execution_timeout_cancels(run_dag: Callable, fake_freddy_connection: FakeFreddy) -> None:
    run = run_dag("create_with_timeout")
    assert run.tasks == {"ask": "failed"}
    assert len(fake_freddy_connection.responses) == 1
    assert fake_freddy_connection.left_running == []
    assert "AirflowTaskTimeout" in run.log


def test_execution_timeout_while_the_create_is_under_way_cancels_too(
    run_dag: Callable, fake_freddy_connection: FakeFreddy
) -> None:
    # The response exists, its id is still on the way when the time is up.
    fake_freddy_connection.fault("delay", method="POST", seconds=2, after=True)
    run = run_dag("create_with_timeout")
    assert run.tasks == {"ask": "failed"}
    assert len(fake_freddy_connection.responses) == 1
    assert fake_freddy_connection.left_running == []


def test_a_cancel_that_is_impossible_is_told_to_the_reader_of_the_log(
    run_dag: Callable, fake_freddy_connection: FakeFreddy
) -> None:
    def revoke_key() -> None:
        fake_freddy_connection.wait_for(lambda: fake_freddy_connection.left_running, timeout=30)
        fake_freddy_connection.rotate_key("ak_another")

    thread = threading.Thread(target=revoke_key)
    thread.start()
    run = run_dag("create_and_wait")
    thread.join()
    (response_id,) = fake_freddy_connection.left_running
    assert run.tasks == {"ask": "failed"}
    assert f"Response {response_id} MAY STILL RUN AND COST MONEY" in run.log
    assert fake_freddy_connection.api_key not in run.log


@pytest.mark.parametrize("conf", [{"inputs": ""}, {"organization_id": "../x"}])
def test_bad_input_fails_before_anything_is_sent(
    run_dag: Callable, fake_freddy_connection: FakeFreddy, conf: dict
) -> None:
    run = run_dag("create_and_wait", **conf)
    assert run.tasks == {"ask": "failed"}
    assert "Nothing was sent to Freddy" in run.log
    assert fake_freddy_connection.requests == []
