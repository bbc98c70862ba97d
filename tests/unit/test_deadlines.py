"""What a missed deadline cancels: what the run has recorded, and nothing else."""

from __future__ import annotations

import asyncio
from dataclasses import asdict

import pytest

from airflow_provider_freddy import deadlines
from airflow_provider_freddy.deadlines import cancel_responses_of_run
from airflow_provider_freddy.hooks.freddy import FreddyHook
from airflow_provider_freddy.record import RecordedResponse

CONTEXT = {"dag_run": {"dag_id": "dag", "dag_run_id": "run"}, "deadline": {"id": "1"}}


class Run:
    """What Airflow would say of a run."""

    def __init__(self) -> None:
        self.states: dict[str, str | None] = {}
        self.xcoms: dict[tuple[str, int], list[dict]] = {}
        self.asked: list[tuple[str, int]] = []

    def has_started(self, task_id, map_index=-1, *, state="running", run_id="run", cancel_on_failure=True) -> str:
        response_id = FreddyHook().create_response("hello").id
        self.states[task_id if map_index < 0 else f"{task_id}_{map_index}"] = state
        entry = RecordedResponse(
            response_id, "org_fake", "freddy_default", "dag", run_id, task_id, map_index, 1, cancel_on_failure
        )
        self.xcoms.setdefault((task_id, map_index), []).append(asdict(entry))
        return response_id

    def read_xcom_of(self, dag_id, run_id, task_id, map_index, key):
        assert (dag_id, run_id, key) == ("dag", "run", "freddy_responses")
        self.asked.append((task_id, map_index))
        return self.xcoms.get((task_id, map_index))


@pytest.fixture
def run(monkeypatch, fake_freddy_connection) -> Run:
    monkeypatch.setattr("airflow_provider_freddy.hooks.shared_client.LINGER_SECONDS", 0.0)
    run = Run()
    monkeypatch.setattr(deadlines, "states_of_run", lambda dag_id, run_id: {run_id: run.states})
    monkeypatch.setattr(deadlines, "read_xcom_of", run.read_xcom_of)
    return run


@pytest.fixture
def fake_freddy_connection(fake_freddy, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_FREDDY_DEFAULT", fake_freddy.connection_json())
    return fake_freddy


def miss_deadline(**kwargs) -> str:
    async def call() -> str:
        try:
            return await cancel_responses_of_run(context=CONTEXT, **kwargs)
        finally:
            # Let the session be closed, which is otherwise kept for the next trigger.
            await asyncio.sleep(0.05)

    return asyncio.run(call())


def test_all_that_the_run_has_started_is_cancelled(run, fake_freddy, caplog):
    caplog.set_level("INFO")
    started = [
        run.has_started("ask"),
        run.has_started("ask_2"),
        run.has_started("mapped", 0),
        run.has_started("mapped", 1, state="deferred"),
        run.has_started("done", state="success"),
    ]
    words = miss_deadline()
    # Anything else ends the triggerer.
    assert type(words) is str
    assert words == caplog.messages[-1]
    assert fake_freddy.left_running == []
    assert all(f"{response_id} cancelled at" in caplog.messages[-1] for response_id in started)


def test_only_the_tasks_that_are_named(run, fake_freddy):
    ask, other = run.has_started("ask"), run.has_started("other")
    words = miss_deadline(task_ids="ask")
    assert ask in words
    assert other not in words
    assert fake_freddy.left_running == [other]


def test_what_is_another_runs_is_left_alone(run, fake_freddy):
    others = run.has_started("ask", run_id="another")
    assert miss_deadline().endswith("it has recorded no response")
    assert fake_freddy.left_running == [others]


def test_what_is_to_outlive_its_task_is_left_alone_unless_it_is_named(run, fake_freddy, caplog):
    caplog.set_level("INFO")
    kept = run.has_started("ask", cancel_on_failure=False)
    assert f"{kept} is left running, as asked for" in miss_deadline()
    assert fake_freddy.left_running == [kept]
    assert caplog.records[-1].levelname == "INFO"
    miss_deadline(task_ids=["ask"])
    assert fake_freddy.left_running == []


def test_airflow_is_not_asked_for_what_has_not_begun(run):
    run.states.update(waiting=None, gone="removed", blocked="upstream_failed")
    miss_deadline()
    assert run.asked == []


def test_the_last_line_names_what_may_still_run(run, fake_freddy, caplog):
    running, cancelled = run.has_started("ask"), run.has_started("other")
    fake_freddy.fault("status", status=503, method="DELETE", response_id=running, times=None)
    miss_deadline(budget=1)
    assert fake_freddy.left_running == [running]
    assert f"Response {running} MAY STILL RUN AND COST MONEY" in caplog.messages[-1]
    assert f"{cancelled} cancelled at" in caplog.messages[-1]
    assert caplog.records[-1].levelname == "ERROR"


def test_what_stands_in_the_way_of_the_connection_is_said(run, fake_freddy, monkeypatch, caplog):
    running = run.has_started("ask")
    monkeypatch.delenv("AIRFLOW_CONN_FREDDY_DEFAULT")
    miss_deadline(budget=2)
    assert fake_freddy.left_running == [running]
    assert f"Response {running} MAY STILL RUN AND COST MONEY" in caplog.messages[-1]
    assert "freddy_default" in caplog.messages[-1]


def test_a_run_that_cannot_be_read_is_said_to_cost_money(run, monkeypatch, caplog):
    monkeypatch.setattr(deadlines, "states_of_run", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        miss_deadline()
    assert "MAY STILL RUN AND COST MONEY" in caplog.messages[-1]


def test_a_budget_that_makes_no_sense_is_refused(run):
    with pytest.raises(ValueError, match="budget"):
        miss_deadline(budget=0)
