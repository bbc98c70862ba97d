from __future__ import annotations

import asyncio
import logging
from types import SimpleNamespace

import pytest

from airflow_provider_freddy.core.event import WaitEnd
from airflow_provider_freddy.testing import FakeFreddy
from airflow_provider_freddy.triggers import still_wanted
from tests.unit.hooks.conftest import KEY


@pytest.fixture
def fake_freddy():
    with FakeFreddy(api_key=KEY) as freddy:
        yield freddy


@pytest.fixture
def trigger_log(caplog):
    """Give all records of the triggers' log."""
    caplog.set_level(logging.DEBUG, "airflow_provider_freddy.triggers.freddy")
    return caplog


@pytest.fixture
def start(hook):
    """Start responses; the connection is there afterwards."""

    def start(**life):
        return hook.create_response("Hello", metadata={f"fake_{name}": value for name, value in life.items()}).id

    yield start
    hook.close()


@pytest.fixture
def airflow(monkeypatch):
    """Stand in for what Airflow answers a trigger that asks for its task."""
    answers = SimpleNamespace(states={"task": "deferred"}, recorded=[], questions=0, error=None)

    def states_of_run(dag_id, run_id):
        answers.questions += 1
        if answers.error:
            raise answers.error
        return {run_id: dict(answers.states)}

    def read_xcom_of(dag_id, run_id, task_id, map_index, key):
        where = {"dag_id": dag_id, "run_id": run_id, "task_id": task_id, "map_index": map_index}
        who = {"organization_id": "org_fake", "freddy_conn_id": "freddy_default", "try_number": 1}
        return [{"response_id": recorded, "cancel_on_failure": True, **who, **where} for recorded in answers.recorded]

    monkeypatch.setattr(still_wanted, "states_of_run", states_of_run)
    monkeypatch.setattr(still_wanted, "read_xcom_of", read_xcom_of)
    return answers


def task_instance(map_index=-1):
    return SimpleNamespace(dag_id="dag", run_id="run", task_id="task", map_index=map_index)


async def events_of(trigger):
    return [event async for event in trigger.run()]


async def end_of(trigger):
    """Run a trigger to its one event, and read it."""
    (event,) = await events_of(trigger)
    return WaitEnd.read(event.payload)


def run(trigger):
    return asyncio.run(end_of(trigger))


def sent(freddy, method="GET"):
    return [request for request in freddy.requests if request.method == method]
