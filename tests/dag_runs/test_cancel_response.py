"""``CancelResponseOperator`` in Airflow's own task runner, against the fake."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_provider_freddy.hooks.freddy import FreddyHook
from airflow_provider_freddy.testing import FakeFreddy


def start(number: int) -> list[str]:
    hook = FreddyHook()
    return [hook.create_response("hello").id for _ in range(number)]


def test_it_cancels_one(run_dag: Callable, fake_freddy_connection: FakeFreddy) -> None:
    (response_id,) = start(1)
    run = run_dag("cancel_given", ids=response_id)
    result = run.xcom("cancel")[response_id]
    assert run.state == "success"
    assert (result["outcome"], result["status"]) == ("cancelled", "cancelled")
    assert result["cancelled_at"].endswith("+00:00")
    assert fake_freddy_connection.left_running == []


def test_it_cancels_many_each_once(run_dag: Callable, fake_freddy_connection: FakeFreddy) -> None:
    ids = start(20)
    run = run_dag("cancel_given", ids=[*ids, ids[0]])
    assert list(run.xcom("cancel")) == ids
    assert fake_freddy_connection.left_running == []
    assert len([request for request in fake_freddy_connection.requests if request.method == "DELETE"]) == 20


def test_one_that_has_ended_is_no_error(run_dag: Callable, fake_freddy_connection: FakeFreddy) -> None:
    (response_id,) = start(1)
    FreddyHook().cancel_response(response_id)
    run = run_dag("cancel_given", ids=response_id)
    assert run.state == "success"
    assert run.xcom("cancel") == {
        response_id: {"outcome": "already_final", "status": "cancelled", "cancelled_at": None}
    }


def test_all_are_tried_before_it_fails(run_dag: Callable, fake_freddy_connection: FakeFreddy) -> None:
    ids = start(2)
    run = run_dag("cancel_given", ids=[ids[0], "resp_missing", "../x", ids[1]])
    assert run.tasks == {"cancel": "failed"}
    assert fake_freddy_connection.left_running == []
    assert set(run.xcom("cancel", "outcomes")) == set(ids)
    assert "2 of 4 Freddy responses were not cancelled" in run.log
    assert "There is no response resp_missing to cancel" in run.log


def test_a_missing_one_can_be_ignored(run_dag: Callable, fake_freddy_connection: FakeFreddy) -> None:
    (response_id,) = start(1)
    run = run_dag("cancel_ignoring_missing", ids=["resp_missing", response_id])
    assert run.state == "success"
    assert run.xcom("cancel")["resp_missing"]["outcome"] == "missing"
    assert fake_freddy_connection.left_running == []


def test_an_empty_list_is_nothing_to_do(run_dag: Callable, fake_freddy_connection: FakeFreddy) -> None:
    run = run_dag("cancel_given", ids=[])
    assert run.state == "success"
    assert fake_freddy_connection.requests == []


@pytest.mark.parametrize("ids", [None, "", "None", 7, "['resp_1', 'resp_2'", {"status": "queued"}])
def test_what_is_no_id_is_refused_before_anything_is_sent(
    run_dag: Callable, fake_freddy_connection: FakeFreddy, ids: object
) -> None:
    run = run_dag("cancel_given", ids=ids)
    assert run.tasks == {"cancel": "failed"}
    assert fake_freddy_connection.requests == []


def test_an_xcom_that_nobody_pushed_does_not_cancel_the_run(
    run_dag: Callable, fake_freddy_connection: FakeFreddy
) -> None:
    run = run_dag("cancel_what_nobody_pushed")
    assert run.tasks["cancel"] == "failed"
    assert fake_freddy_connection.running_count == 1


def test_without_an_id_it_cancels_everything_the_run_has_started(
    run_dag: Callable, fake_freddy_connection: FakeFreddy
) -> None:
    (of_another_run,) = start(1)
    run = run_dag("sweep_the_run")
    assert run.tasks["sweep"] == "success"
    assert len(run.xcom("sweep")) == 3
    assert fake_freddy_connection.left_running == [of_another_run]


def test_it_can_be_mapped_over_responses(run_dag: Callable, fake_freddy_connection: FakeFreddy) -> None:
    run = run_dag("map_the_cancel")
    assert run.state == "success"
    assert len(fake_freddy_connection.responses) == 3
    assert fake_freddy_connection.left_running == []
