from __future__ import annotations

import asyncio
import time

import pytest
import requests
from starlette.requests import Request

from airflow_provider_freddy.testing.control import Control
from airflow_provider_freddy.testing.faults import Faults
from airflow_provider_freddy.testing.journal import Journal
from airflow_provider_freddy.testing.lifecycle import Plan

BODY = {"organization_id": "org_fake", "inputs": ["Hi"], "metadata": {"dag_id": "d"}, "model": "m"}


def control(freddy, method, path, **options):
    with requests.Session() as session:
        session.trust_env = False
        return session.request(method, f"{freddy.url}/_fake/{path}", timeout=5, **options)


def test_a_response_on_record():
    now = [1000.0]
    journal = Journal(clock=lambda: now[0])
    journal.created("resp_1", Plan(duration=10, queued_for=2), BODY)
    now[0] += 7
    record = journal.response("resp_1")
    assert (record.status, record.started_at, record.ended_at, record.ran_seconds) == ("processing", 1002, None, 5)
    assert (record.organization_id, record.inputs, record.metadata) == ("org_fake", ["Hi"], {"dag_id": "d"})
    assert record.parameters == {"model": "m"}
    assert (record.ended_by, record.cancelled_by_client) == (None, None)
    assert journal.left_running() == ["resp_1"]
    now[0] += 100
    record = journal.response("resp_1")
    assert (record.status, record.ended_at, record.ran_seconds) == ("completed", 1012, 10)
    assert record.ended_by == "completed"
    assert journal.left_running() == []


def test_a_cancel_on_record(fake_freddy, client):
    response_id = client.create()
    client.headers["User-Agent"] = "some-worker/1"
    reply = client.cancel(response_id)
    client.cancel(response_id)
    record = fake_freddy.response(response_id)
    assert record.status == "cancelled"
    assert record.ended_by == reply.headers["x-request-id"]
    assert record.cancelled_by_client == "some-worker/1"
    assert 0 <= record.ran_seconds < 5


def test_a_queued_response_is_left_running(fake_freddy, client):
    response_id = client.create(metadata={"fake_queued_for": 60})
    assert fake_freddy.left_running == [response_id]
    assert fake_freddy.running_count == 1
    assert fake_freddy.response(response_id).ran_seconds == 0


def test_no_such_response(fake_freddy):
    with pytest.raises(KeyError):
        fake_freddy.response("resp_none")


def test_a_request_on_record(fake_freddy, client):
    began = time.time()
    client.headers["X-Trace"] = "trace-1"
    response_id = client.create()
    client.retrieve(response_id)
    created, retrieved = fake_freddy.requests
    assert (created.method, created.path, created.response_id) == ("POST", "/v1/model/response", response_id)
    assert (retrieved.method, retrieved.status, retrieved.response_id) == ("GET", 200, response_id)
    assert began <= created.at <= retrieved.at <= time.time()
    assert retrieved.query == {"organizationId": fake_freddy.organization_id}
    assert retrieved.headers["x-trace"] == "trace-1"
    assert retrieved.user_agent.startswith("python-requests")
    assert created.request_id != retrieved.request_id


def test_connections_are_told_apart(fake_freddy, client, new_client):
    client.create()
    client.create()
    new_client(fake_freddy).create()
    assert fake_freddy.connections == 2
    first, second, third = [request.client for request in fake_freddy.requests]
    assert first == second != third


def test_no_key_in_the_journal(fake_freddy, client):
    keys = [fake_freddy.api_key, "ak_second", "ak_wrong"]
    for _ in range(2):
        key = fake_freddy.api_key
        client.headers.update({"Authorization": f"Bearer {key}", "X-API-Key": key, "User-Agent": f"agent {key}"})
        client.headers["X-Copy"] = key
        response_id = client.create(metadata={"key": key, key: [key]}, inputs=[{"role": "user", "content": key}])
        client.retrieve(key, organizationId=key)
        client.cancel(response_id)
        fake_freddy.rotate_key("ak_second")
    client.headers.update({"Authorization": "Bearer ak_wrong", "api-key": "ak_wrong"})
    client.retrieve("resp_1")
    journal = repr(fake_freddy.requests) + repr(fake_freddy.responses) + control(fake_freddy, "GET", "journal").text
    assert not [key for key in keys if key in journal]


def test_reset(fake_freddy, client):
    client.create()
    fake_freddy.fault("hang", times=None)
    fake_freddy.next_response(duration=0)
    fake_freddy.reset()
    assert (fake_freddy.responses, fake_freddy.requests, fake_freddy.connections) == ([], [], 0)
    client.create()
    assert fake_freddy.running_count == 1


def test_wait_for(fake_freddy, client):
    response_id = client.create(metadata={"fake_duration": 0.1})
    fake_freddy.wait_for(lambda: not fake_freddy.left_running, timeout=5)
    assert fake_freddy.response(response_id).status == "completed"
    response_id = client.create()
    with pytest.raises(TimeoutError, match=response_id):
        fake_freddy.wait_for(lambda: not fake_freddy.left_running, timeout=0.05)


def test_the_journal_for_other_processes(fake_freddy, client):
    response_id = client.create()
    journal = control(fake_freddy, "GET", "journal").json()
    assert [response["id"] for response in journal["responses"]] == [response_id]
    assert journal["responses"][0]["ended_by"] is None
    assert [request["method"] for request in journal["requests"]] == ["POST"]
    assert (journal["left_running"], journal["connections"]) == ([response_id], 2)
    assert control(fake_freddy, "GET", "left_running").json() == {"left_running": [response_id]}
    assert len(fake_freddy.requests) == 1


def test_faults_from_other_processes(fake_freddy, client):
    fault = {"kind": "status", "status": 503, "times": None}
    assert control(fake_freddy, "POST", "faults", json=fault).status_code == 204
    assert client.post_create().status_code == 503
    assert control(fake_freddy, "DELETE", "faults").status_code == 204
    assert client.post_create().status_code == 200
    for body in ({"kind": "explode"}, {}, {"kind": "status", "status": "x"}, []):
        assert control(fake_freddy, "POST", "faults", json=body).status_code == 422


def test_reset_from_other_processes(fake_freddy, client):
    client.create()
    assert control(fake_freddy, "POST", "reset").status_code == 204
    assert fake_freddy.responses == []


def test_the_journal_is_not_for_other_machines():
    for route in Control(Journal(), Faults(), lambda: None).routes():
        request = Request({"type": "http", "method": "GET", "headers": [], "client": ("192.0.2.7", 1)})
        assert asyncio.run(route.endpoint(request)).status_code == 403
