"""Tasks wait in the triggerer of a real Airflow; how else that can end is in ``tests/kill_matrix``."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_provider_freddy.hooks.freddy import FreddyHook

pytestmark = [pytest.mark.live, pytest.mark.timeout(240)]


def deferred(run, task_id: str = "ask") -> None:
    run.airflow.wait_for_task(run.dag_id, run.run_id, task_id, state="deferred")


@pytest.mark.parametrize(("dag_id", "resumes"), [("deferred", False), ("deferred_resumes", True)])
def test_a_deferred_task_whose_response_completes_succeeds(start: Callable, dag_id: str, resumes: bool) -> None:
    run = start(dag_id, duration=3)
    deferred(run)
    assert run.wait_for_end() == "success"
    (response,) = run.responses()
    xcoms = run.airflow.xcoms(run.dag_id, run.run_id, "ask")
    assert xcoms["return_value"]["status"] == xcoms["status"] == "completed"
    assert xcoms["return_value"]["output"]
    assert xcoms["response_id"] == xcoms["return_value"]["id"] == response.id
    assert xcoms["usage"]["total_tokens"] > 0
    log = run.airflow.task_log(run.dag_id, run.run_id, "ask")
    assert f"Response {response.id} is completed" in log
    # What the model wrote is in no log.
    assert str(xcoms["return_value"]["output"]) not in log
    assert ("Freddy GET" in log) == resumes


@pytest.mark.parametrize("dag_id", ["deferred", "deferred_resumes"])
def test_the_page_of_a_deferred_task_links_to_its_response(start: Callable, dag_id: str) -> None:
    run = start(dag_id, duration=3)

    def links() -> dict[str, str | None]:
        return run.airflow.extra_links(dag_id, run.run_id, "ask")

    deferred(run)
    (response,) = run.responses()
    link = f"{run.freddy.url}/v1/model/response/{response.id}?organizationId=org_fake"
    assert links() == {"Freddy response": link}
    assert run.wait_for_end() == "success"
    assert links() == {"Freddy response": link}


def test_a_deferred_task_whose_response_fails_fails_with_its_error(start: Callable) -> None:
    run = start("deferred", duration=3, outcome="failed")
    assert run.wait_for_end() == "failed"
    assert "FreddyResponseEndedError" in run.airflow.task_log(run.dag_id, run.run_id, "ask")


def test_a_sensor_waits_in_the_triggerer(start: Callable) -> None:
    run = start("watched", duration=3)
    assert run.wait_for_end() == "success"
    assert run.airflow.xcoms(run.dag_id, run.run_id, "wait")["return_value"]["status"] == "completed"


def test_a_cancel_is_waited_for_in_the_triggerer(start: Callable) -> None:
    run = start("watched_and_cancelled")
    assert run.wait_for_end() == "success"
    (response,) = run.responses()
    assert run.airflow.xcoms(run.dag_id, run.run_id, "cancel")["return_value"][response.id]["outcome"] == "cancelled"
    assert run.airflow.xcoms(run.dag_id, run.run_id, "wait")["return_value"]["status"] == "cancelled"


def test_a_sensor_whose_id_is_at_hand_starts_in_the_triggerer(start: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    handed_on = start("operator_hands_on").wait_for_response()
    run = start("watched_from_the_start", response_id=handed_on.id)
    # Nobody cancels it within the 6 s of this sensor.
    run.airflow.wait_for_task(run.dag_id, run.run_id, "wait_in_vain", state="failed")
    assert "AirflowSensorTimeout" in run.airflow.task_log(run.dag_id, run.run_id, "wait_in_vain")
    assert run.task_state("wait") == "deferred"
    shown = run.airflow.extra_links(run.dag_id, run.run_id, "wait")["Freddy response"]
    assert handed_on.id in shown
    monkeypatch.setenv("AIRFLOW_CONN_FREDDY_DEFAULT", run.freddy.connection_json())
    FreddyHook().cancel_response(handed_on.id)
    assert run.wait_for_end() == "failed"
    log = run.airflow.task_log(run.dag_id, run.run_id, "wait")
    assert f"Response {handed_on.id} is cancelled" in log
    assert "can never be 'completed' any more" in log
