"""The notifier where no task runs: in the DAG processor, and in a triggerer's event loop."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_freddy.hooks.freddy import FreddyHook
from airflow_provider_freddy.notifications.freddy import CancelResponseNotifier
from airflow_provider_freddy.testing import FakeFreddy
from tests.airflow_versions import needs_airflow, not_on_airflow
from tests.unit.test_rules import Ti, entry, started_elsewhere

awaited_notifiers = needs_airflow("3.1", "before, a notifier cannot be awaited")
pytestmark = pytest.mark.usefixtures("fake_freddy_connection")


def test_as_the_callback_of_a_dag_it_renders_without_a_task(fake_freddy_connection: FakeFreddy) -> None:
    response_id = FreddyHook().create_response("hello").id
    notifier = CancelResponseNotifier(response_id=["{{ the_id }}"])
    notifier({"dag": DAG("d", schedule=None), "run_id": "r", "reason": "task_failure", "the_id": response_id})
    assert fake_freddy_connection.left_running == []
    assert notifier.response_id == ["{{ the_id }}"]


@not_on_airflow("3.0", because="it does not let a callback in the DAG processor read XComs")
def test_without_an_id_it_cancels_what_the_try_of_its_context_has_started(fake_freddy_connection: FakeFreddy) -> None:
    mine, other = started_elsewhere(2)
    ti = Ti()
    ti.xcoms = [[entry(mine, ti), entry(other, ti, try_number=2)]]
    CancelResponseNotifier()({"dag": DAG("d", schedule=None), "ti": ti})
    assert fake_freddy_connection.left_running == [other]


@not_on_airflow("3.0", because="it does not let a callback in the DAG processor read XComs")
@pytest.mark.parametrize("given_as", [str, list, iter])
def test_with_tasks_it_cancels_what_they_have_started(fake_freddy_connection: FakeFreddy, given_as: Any) -> None:
    mine, theirs = started_elsewhere(2)
    ti = Ti()
    ti.xcoms = [[entry(theirs, ti, task_id="u", map_index=1, cancel_on_failure=False)]]
    notifier = CancelResponseNotifier(task_ids=given_as("u"))
    notifier({"dag": DAG("d", schedule=None), "ti": ti})
    assert fake_freddy_connection.left_running == [mine]
    assert list(notifier.task_ids) == ["u"], "the next call has nothing left to cancel"


def test_connection_and_organization_are_those_it_was_given(
    fake_freddy_connection: FakeFreddy, monkeypatch: pytest.MonkeyPatch
) -> None:
    (response_id,) = started_elsewhere()
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", fake_freddy_connection.connection_json())
    monkeypatch.delenv("AIRFLOW_CONN_FREDDY_DEFAULT")
    notifier = CancelResponseNotifier(
        response_id=response_id, freddy_conn_id="{{ conn_id }}", organization_id="{{ organization }}"
    )
    notifier({"dag": DAG("d", schedule=None), "conn_id": "other", "organization": "org_given"})
    assert fake_freddy_connection.requests[-1].query["organizationId"] == "org_given"


def test_a_template_that_cannot_be_rendered_is_told_and_nothing_is_raised(caplog: pytest.LogCaptureFixture) -> None:
    CancelResponseNotifier(response_id="{{ no_such_thing.id }}")({"dag": DAG("d", schedule=None)})
    line = caplog.records[-1].getMessage()
    assert line.startswith("Freddy notifier: what it should have cancelled MAY STILL RUN AND COST MONEY. Undefined")
    assert "'no_such_thing' is undefined" in line


def test_what_a_template_renders_to_is_not_rendered_again(fake_freddy_connection: FakeFreddy) -> None:
    response_id = FreddyHook().create_response("hello").id
    context = {"dag": DAG("d", schedule=None), "run_id": "r", "value": "{{ the_id }}", "the_id": response_id}
    CancelResponseNotifier(response_id="{{ value }}")(context)
    assert fake_freddy_connection.left_running == [response_id]


async def awaited(**arguments: Any) -> None:
    """Await it as a triggerer does, and see that its event loop goes on meanwhile."""
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    ticking = asyncio.ensure_future(tick())
    await CancelResponseNotifier(**arguments)
    ticking.cancel()
    assert ticks > 5


@awaited_notifiers
def test_awaited_it_cancels_without_holding_up_the_loop(fake_freddy_connection: FakeFreddy) -> None:
    response_id = FreddyHook().create_response("hello").id
    fake_freddy_connection.fault("delay", method="DELETE", seconds=0.5)
    context = {"dag_run": {"conf": {"id": response_id}}}
    asyncio.run(awaited(response_id="{{ dag_run.conf['id'] }}", context=context))
    assert fake_freddy_connection.left_running == []


@awaited_notifiers
@pytest.mark.parametrize("arguments", [{"response_id": "r", "freddy_conn_id": "gone"}, {}])
def test_awaited_it_never_raises(arguments: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    asyncio.run(awaiting(**arguments))
    assert "MAY STILL RUN AND COST MONEY" in caplog.text
    assert "NoneType" not in caplog.text


@awaited_notifiers
def test_awaited_it_asks_for_its_connection_where_a_triggerer_answers(
    fake_freddy_connection: FakeFreddy, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def run_in_thread(function: Any) -> Any:
        asked.append(function)
        function()
        return asyncio.sleep(0)

    monkeypatch.setattr("airflow_provider_freddy.notifications.freddy.run_in_thread", run_in_thread)
    (response_id,) = started_elsewhere()
    asyncio.run(awaiting(response_id=response_id))
    assert [function.__name__ for function in asked] == ["resolve"]
    assert fake_freddy_connection.left_running == []


async def awaiting(**arguments: Any) -> None:
    await CancelResponseNotifier(**arguments)


def test_arguments_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="budget"):
        CancelResponseNotifier(budget=0)


@needs_airflow("3.2", "before, it has not both kinds of callbacks for deadlines")
def test_airflow_takes_it_for_the_callback_of_a_deadline() -> None:
    from airflow.sdk import AsyncCallback, SyncCallback

    for kind in (AsyncCallback, SyncCallback):
        callback = kind(CancelResponseNotifier, kwargs={"response_id": "{{ dag_run.conf['id'] }}"})
        assert callback.path == "airflow_provider_freddy.notifications.freddy.CancelResponseNotifier"
