"""Cancelling many responses in the triggerer, and waiting until each is seen to have ended."""

from __future__ import annotations

import asyncio
import json
import time

import pytest
from airflow.triggers.base import TaskSuccessEvent

from airflow_provider_freddy.testing import FakeFreddy
from airflow_provider_freddy.triggers import cancel as module
from airflow_provider_freddy.triggers.cancel import CancelResponsesTrigger
from tests.unit.hooks.conftest import KEY
from tests.unit.triggers.conftest import events_of, sent


def targets(*ids, organization=None, conn_id="freddy_default"):
    return [[response_id, organization, conn_id] for response_id in ids]


def outcomes_of(trigger):
    (event,) = asyncio.run(events_of(trigger))
    return event.payload["outcomes"]


def test_a_trigger_is_built_anew_from_what_it_serializes_and_that_holds_no_secret():
    arguments = {
        "targets": targets("resp_1", "resp_2"),
        "deadline": 1800000000.25,
        "accept": ["not_found"],
        "end_task": True,
        "push_outcomes": False,
    }
    path, serialized = CancelResponsesTrigger(**arguments).serialize()
    assert path == f"{CancelResponsesTrigger.__module__}.CancelResponsesTrigger"
    assert serialized == arguments
    assert CancelResponsesTrigger(**json.loads(json.dumps(serialized))).serialize() == (path, serialized)


def test_every_response_has_an_outcome_of_its_own(start, fake_freddy):
    running, done, failed = start(), start(duration=0), start(duration=0, outcome="failed")
    outcomes = outcomes_of(CancelResponsesTrigger(targets(running, done, failed, "resp_unknown")))
    assert [outcomes[one]["outcome"] for one in (running, done, failed)] == ["cancelled", *["already_final"] * 2]
    assert outcomes["resp_unknown"]["kind"] == "not_found"
    assert "resp_unknown" in outcomes["resp_unknown"]["error"]
    assert fake_freddy.left_running == []


def test_a_missing_response_is_no_error_where_that_is_accepted(start, fake_freddy):
    outcomes = outcomes_of(CancelResponsesTrigger(targets("resp_unknown"), accept=["not_found"]))
    assert outcomes == {"resp_unknown": {"outcome": "missing", "status": None, "cancelled_at": None}}


def test_a_cancel_counts_when_the_response_is_seen_to_have_ended(start, fake_freddy):
    response_id = start()
    # Accepted, but not done.
    fake_freddy.fault("status", method="DELETE", status=200, body={"id": response_id, "status": "cancelled"})
    assert outcomes_of(CancelResponsesTrigger(targets(response_id)))[response_id]["outcome"] == "cancelled"
    assert fake_freddy.left_running == []
    assert len(sent(fake_freddy, "DELETE")) == 2


def test_a_queued_response_is_cancelled_when_it_can_be(start, fake_freddy):
    response_id = start(queued_for=0.4)
    assert outcomes_of(CancelResponsesTrigger(targets(response_id)))[response_id]["outcome"] == "cancelled"
    assert fake_freddy.left_running == []


def test_at_the_deadline_it_says_what_may_still_run(start):
    response_id = start(queued_for=60)
    begin = time.monotonic()
    outcome = outcomes_of(CancelResponsesTrigger(targets(response_id), deadline=time.time() + 0.5))[response_id]
    assert time.monotonic() - begin < 10
    assert outcome["kind"] == "cancel_not_confirmed"
    assert f"Response {response_id} MAY STILL RUN AND COST MONEY" in outcome["error"]


@pytest.mark.parametrize(("status", "kind"), [(401, "credentials"), (403, "permission"), (500, "unavailable")])
def test_what_stands_in_the_way_is_named(start, fake_freddy, status, kind):
    response_id = start()
    fake_freddy.fault("status", method="DELETE", status=status, message="Some words", times=None)
    trigger = CancelResponsesTrigger(targets(response_id), deadline=time.time() + 0.3)
    outcome = outcomes_of(trigger)[response_id]
    assert outcome["kind"] == kind
    for part in ("MAY STILL RUN AND COST MONEY", "Some words", f"HTTP {status}"):
        assert part in outcome["error"]
    assert KEY not in outcome["error"]


def test_a_connection_that_does_not_exist_is_named(quiet_environment):
    outcome = outcomes_of(CancelResponsesTrigger(targets("resp_1", conn_id="nowhere")))["resp_1"]
    assert "nowhere" in outcome["error"]
    assert "MAY STILL RUN" in outcome["error"]


def test_responses_of_two_connections_are_cancelled_where_they_are(new_hook, start, fake_freddy):
    with FakeFreddy(api_key=KEY) as other:
        theirs = new_hook(other, conn_id="freddy_other").create_response("Hello").id
        mine = start()
        outcomes = outcomes_of(CancelResponsesTrigger([*targets(mine), *targets(theirs, conn_id="freddy_other")]))
        assert {outcome["outcome"] for outcome in outcomes.values()} == {"cancelled"}
        assert [*fake_freddy.left_running, *other.left_running] == []


def test_many_go_over_a_bounded_number_of_connections(start, fake_freddy):
    ids = [start() for _ in range(200)]
    before = fake_freddy.connections
    outcomes = outcomes_of(CancelResponsesTrigger(targets(*ids)))
    assert len(outcomes) == 200
    assert fake_freddy.left_running == []
    assert fake_freddy.connections - before <= 32


@pytest.mark.parametrize("push", [False, True])
def test_the_task_ends_from_the_trigger_when_nothing_has_failed(start, monkeypatch, push):
    pushed = []

    async def push_xcom(_task_instance, key, value):
        await asyncio.sleep(0)
        pushed.append((key, list(value)))

    monkeypatch.setattr(module, "push_xcom_from_trigger", push_xcom)
    response_id = start()
    (event,) = asyncio.run(events_of(CancelResponsesTrigger(targets(response_id), end_task=True, push_outcomes=push)))
    assert isinstance(event, TaskSuccessEvent)
    assert pushed == ([("return_value", [response_id])] if push else [])


def test_the_task_resumes_when_something_has_failed_or_its_xcom_cannot_be_pushed(start, monkeypatch):
    async def push_xcom(*_):
        await asyncio.sleep(0)
        raise RuntimeError("the supervisor is away")

    monkeypatch.setattr(module, "push_xcom_from_trigger", push_xcom)
    assert "error" in outcomes_of(CancelResponsesTrigger(targets("resp_unknown"), end_task=True))["resp_unknown"]
    response_id = start()
    outcomes = outcomes_of(CancelResponsesTrigger(targets(response_id), end_task=True))
    assert outcomes[response_id]["outcome"] == "cancelled"
