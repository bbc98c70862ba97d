"""Tasks wait in the triggerer of a real Airflow, and whatever happens there, the count left running is 0."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

import pytest

from airflow_provider_freddy.hooks.freddy import FreddyHook

pytestmark = [pytest.mark.live, pytest.mark.timeout(240)]


def deferred(run, task_id: str = "ask") -> None:
    run.airflow.wait_for_task(run.dag_id, run.run_id, task_id, state="deferred")


def polls(run, response_id: str) -> int:
    return len([request for request in run.freddy.requests if request.method == "GET" and response_id in request.path])


def wait_for_poll(run, response_id: str, timeout: float = 60) -> None:
    before = polls(run, response_id)
    run.freddy.wait_for(lambda: polls(run, response_id) > before, timeout)


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


def test_execution_timeout_holds_while_deferred(start: Callable) -> None:
    run = start("deferred_with_timeout")
    response = run.wait_for_response()
    assert run.wait_until_cancelled(response.id, timeout=30) < 12
    assert run.wait_for_end() == "failed"
    log = run.airflow.task_log(run.dag_id, run.run_id, "ask")
    assert "AirflowTaskTimeout" in log
    assert f"{response.id} cancelled at" in log


@pytest.mark.parametrize("deed", ["failed", "success", "skipped"])
def test_a_deferred_task_that_is_marked_cancels(start: Callable, deed: str) -> None:
    run = start("deferred")
    response = run.wait_for_response()
    deferred(run)
    wait_for_poll(run, response.id)
    run.airflow.mark(run.dag_id, run.run_id, "ask", deed)
    run.wait_until_cancelled(response.id, timeout=15)
    assert run.task_state() == deed


def test_a_deferred_task_that_is_cleared_cancels_and_spares_the_next_try(start: Callable) -> None:
    run = start("deferred")
    first = run.wait_for_response()
    deferred(run)
    wait_for_poll(run, first.id)
    run.airflow.clear(run.dag_id, run.run_id, "ask")
    run.wait_until_cancelled(first.id, timeout=30)
    assert run.wait_for_end() == "success"
    assert [response.status for response in run.responses(2)] == ["completed"]


def test_a_run_that_is_marked_failed_cancels(start: Callable) -> None:
    run = start("deferred")
    response = run.wait_for_response()
    deferred(run)
    run.airflow.mark_run(run.dag_id, run.run_id, "failed")
    run.wait_until_cancelled(response.id, timeout=15)


def test_a_run_that_takes_too_long_cancels(start: Callable) -> None:
    run = start("deferred_in_short_run")
    response = run.wait_for_response()
    run.wait_until_cancelled(response.id, timeout=30)
    assert run.wait_for_end() == "failed"


def test_a_trigger_that_breaks_cancels(start: Callable) -> None:
    run = start("deferred_with_broken_trigger")
    response = run.wait_for_response()
    run.wait_until_cancelled(response.id, timeout=30)
    assert run.wait_for_end() == "failed"


def test_a_task_that_is_marked_just_before_its_deferral_cancels(start: Callable) -> None:
    run = start("slow_to_defer")
    response = run.wait_for_response()
    time.sleep(2)
    run.airflow.mark(run.dag_id, run.run_id, "ask", "failed")
    run.wait_until_cancelled(response.id, timeout=15)


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGKILL])
def test_a_triggerer_that_restarts_cancels_nothing(start: Callable, sig: signal.Signals) -> None:
    run = start("deferred", duration=40)
    response = run.wait_for_response()
    deferred(run)
    wait_for_poll(run, response.id)
    if sig is signal.SIGKILL:
        run.airflow.kill_process("triggerer", sig, with_descendants=True)
    else:
        run.airflow.stop_process("triggerer")
    run.airflow.start_process("triggerer")
    wait_for_poll(run, response.id)
    assert run.wait_for_end() == "success"
    assert [response.status for response in run.responses()] == ["completed"]


@pytest.mark.parametrize("deed", ["mark", "clear"])
def test_what_happens_while_no_triggerer_runs_is_made_up_for(start: Callable, deed: str) -> None:
    run = start("deferred")
    response = run.wait_for_response()
    deferred(run)
    wait_for_poll(run, response.id)
    run.airflow.stop_process("triggerer")
    if deed == "mark":
        run.airflow.mark(run.dag_id, run.run_id, "ask", "failed")
        run.airflow.start_process("triggerer")
    else:
        run.airflow.clear(run.dag_id, run.run_id, "ask")
        run.wait_for_response(try_number=2)
        run.airflow.start_process("triggerer")
    run.wait_until_cancelled(response.id, timeout=30)
    run.wait_for_end()
    assert [response.status for response in run.responses(2)] == (["completed"] if deed == "clear" else [])


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
    monkeypatch.setenv("AIRFLOW_CONN_FREDDY_DEFAULT", run.freddy.connection_json())
    FreddyHook().cancel_response(handed_on.id)
    assert run.wait_for_end() == "failed"
    log = run.airflow.task_log(run.dag_id, run.run_id, "wait")
    assert f"Response {handed_on.id} is cancelled" in log
    assert "can never be 'completed' any more" in log
