from __future__ import annotations

import threading
import time

import pytest

from airflow_provider_freddy.testing import FakeFreddy

CANNOT_CANCEL = "Response cannot be cancelled. Only responses with status 'processing' can be cancelled."


def error(kind, code, message, **param):
    return {"error": {"message": message, "type": kind, "code": code, **param}}


def test_create_in_the_background(fake_freddy, client):
    reply = client.post_create(model="some-model", temperature=0.5)
    body = reply.json()
    assert reply.status_code == 200
    assert body == {"id": body["id"], "status": "queued", "created_at": int(fake_freddy.responses[0].created_at)}
    assert body["id"].startswith("resp_")
    assert fake_freddy.response(body["id"]).parameters == {
        "model": "some-model",
        "temperature": 0.5,
        "background": True,
    }


def test_create_in_the_foreground_waits_for_the_end(client):
    began = time.monotonic()
    body = client.post_create(background=False, metadata={"fake_duration": 0.2}).json()
    assert time.monotonic() - began >= 0.2
    assert body["status"] == "completed"


def test_create_with_the_older_form_of_inputs(client):
    assert client.create(inputs=[{"role": "user", "texts": [{"text": "Hello"}]}, {"texts": [{"text": "Hi"}]}])


@pytest.mark.parametrize(
    ("change", "location"),
    [
        ({"organization_id": None}, ["body", "organization_id"]),
        ({"inputs": None}, ["body", "inputs"]),
        ({"inputs": []}, ["body", "inputs"]),
        ({"inputs": ["Hello"]}, ["body", "inputs", 0]),
        ({"inputs": [{"role": "robot", "content": "Hello"}]}, ["body", "inputs", 0]),
        ({"inputs": [{"role": "user"}]}, ["body", "inputs", 0]),
        ({"inputs": [{"texts": []}]}, ["body", "inputs", 0]),
        ({"metadata": ["none"]}, ["body", "metadata"]),
        ({"metadata": {"fake_duration": "long"}}, ["body", "metadata"]),
    ],
)
def test_create_with_a_body_that_is_invalid(fake_freddy, client, change, location):
    reply = client.post_create(**change)
    assert reply.status_code == 422
    assert reply.json()["detail"][0]["loc"] == location
    assert fake_freddy.responses == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]"])
def test_create_with_a_body_that_is_no_object(fake_freddy, client, body):
    reply = client.post(f"{fake_freddy.url}/v1/model/response", data=body, timeout=5)
    assert reply.status_code == 422
    assert "detail" in reply.json()


def test_the_status_vocabulary(client):
    queued = client.retrieve(client.create(metadata={"fake_queued_for": 30})).json()
    assert (queued["status"], queued["startedAt"]) == ("processing", None)
    response_id = client.create(model="m")
    body = client.retrieve(response_id).json()
    assert set(body) == {
        "id", "status", "createdAt", "startedAt", "completedAt", "progress", "output", "error", "usage", "model",
        "thread",
    }  # fmt: skip
    assert body["status"] == "processing"
    assert isinstance(body["startedAt"], int)
    assert set(body["progress"]) == {"percentage", "stage", "stepsCompleted", "totalSteps"}
    assert set(body["usage"]) == {"input_tokens", "output_tokens", "total_tokens"}
    assert (body["model"], body["thread"], body["output"], body["error"]) == ("m", None, None, None)
    assert set(client.cancel(response_id).json()) == {"id", "object", "status", "cancelledAt", "message"}


def test_the_background_vocabulary(new_client):
    with FakeFreddy(vocabulary="background") as freddy:
        client = new_client(freddy)
        assert client.retrieve(client.create(metadata={"fake_queued_for": 30})).json()["status"] == "queued"
        response_id = client.create()
        body = client.retrieve(response_id).json()
        assert body["status"] == "in_progress"
        assert {"created_at", "started_at", "completed_at"} < set(body)
        assert {"steps_completed", "total_steps"} < set(body["progress"])
        assert not [name for name in body if name != name.lower()]
        assert isinstance(client.cancel(response_id).json()["cancelled_at"], int)


def test_a_completed_and_a_failed_response(client):
    completed = client.retrieve(client.create(metadata={"fake_duration": 0})).json()
    failed = client.retrieve(client.create(metadata={"fake_duration": 0, "fake_outcome": "failed"})).json()
    assert (completed["status"], completed["error"], completed["progress"]) == ("completed", None, None)
    assert isinstance(completed["output"], list)
    assert isinstance(completed["completedAt"], int)
    assert (failed["status"], failed["output"]) == ("failed", None)
    assert set(failed["error"]) == {"message", "code", "type"}


def test_cancel(fake_freddy, client):
    response_id = client.create()
    body = client.cancel(response_id).json()
    assert body == {
        "id": response_id,
        "object": "response",
        "status": "cancelled",
        "cancelledAt": int(fake_freddy.response(response_id).ended_at),
        "message": "Response cancelled successfully",
    }
    assert client.retrieve(response_id).json()["status"] == "cancelled"
    assert fake_freddy.left_running == []


@pytest.mark.parametrize("vocabulary", ["status", "background"])
def test_a_queued_response_cannot_be_cancelled(new_client, vocabulary):
    with FakeFreddy(queued_for=30, vocabulary=vocabulary) as freddy:
        client = new_client(freddy)
        reply = client.cancel(client.create())
        assert reply.status_code == 400
        assert reply.json() == error("invalid_request_error", "invalid_status", CANNOT_CANCEL, param="response_id")
        assert freddy.running_count == 1


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic abc"}, {"X-API-Key": ""}]
)
@pytest.mark.parametrize("call", ["retrieve", "cancel", "post_create"])
def test_a_key_that_is_wrong_or_missing(client, call, headers):
    del client.headers["Authorization"]
    client.headers.update(headers)
    reply = getattr(client, call)(*([] if call == "post_create" else ["resp_1"]))
    assert reply.status_code == 401
    assert reply.json() == error("authentication_error", "invalid_api_key", "Invalid API key provided")


@pytest.mark.parametrize(
    ("header", "scheme"), [("Authorization", "bearer"), ("X-API-Key", "x-api-key"), ("api-key", "api-key")]
)
def test_every_way_to_authenticate(fake_freddy, client, header, scheme):
    del client.headers["Authorization"]
    client.headers[header] = ("Bearer " if scheme == "bearer" else "") + fake_freddy.api_key
    client.create()
    assert fake_freddy.requests[0].auth_scheme == scheme


def test_another_organization(client):
    denied = error("permission_error", "insufficient_permissions", "Organization access denied", param="organizationId")
    response_id = client.create()
    for reply in (
        client.retrieve(response_id, organizationId="org_other"),
        client.cancel(response_id, organizationId="org_other"),
        client.post_create(organization_id="org_other"),
    ):
        assert reply.status_code == 403
        assert reply.json() == denied


def test_no_organization(client):
    response_id = client.create()
    for reply in (client.retrieve(response_id, other="x"), client.cancel(response_id, other="x")):
        assert reply.status_code == 422
        assert reply.json()["detail"][0]["loc"] == ["query", "organizationId"]


def test_an_unknown_response(client):
    for reply in (client.retrieve("resp_none"), client.cancel("resp_none")):
        assert reply.status_code == 404
        assert reply.json() == error("not_found_error", "response_not_found", "Response not found")


def test_an_unknown_path(fake_freddy, client):
    for method, path in (("GET", "/v2"), ("PUT", "/v1/model/response"), ("POST", "/v1/model/response/resp_1")):
        reply = client.request(method, fake_freddy.url + path, timeout=5)
        assert (reply.status_code, reply.json()) == (404, {"detail": "Not Found"})


@pytest.mark.parametrize("metadata", [{"fake_duration": 0}, {"fake_duration": "0", "fake_outcome": "failed"}])
def test_a_final_response_cannot_be_cancelled(client, metadata):
    reply = client.cancel(client.create(metadata=metadata))
    assert reply.status_code == 409
    assert reply.json() == error(
        "invalid_request_error", "response_already_finalized", "Response already completed or cancelled"
    )


def test_a_cancelled_response_cannot_be_cancelled_again(client):
    response_id = client.create()
    assert [client.cancel(response_id).status_code for _ in range(2)] == [200, 409]


def test_every_reply_has_the_headers_for_support(fake_freddy, client):
    replies = [client.post_create(), client.retrieve("resp_none"), client.get(f"{fake_freddy.url}/v2", timeout=5)]
    for reply, request in zip(replies, fake_freddy.requests, strict=True):
        assert reply.headers["x-request-id"] == request.request_id
        assert int(reply.headers["freddy-processing-ms"]) >= 0
        assert reply.headers["freddy-api-version"]
        assert reply.headers["aitronos-organization"] == fake_freddy.organization_id
        for part in ("limit", "remaining", "reset"):
            assert int(reply.headers[f"x-ratelimit-{part}-requests"]) > 0


def test_a_life_is_asked_for_in_metadata_or_beforehand_or_is_the_default(new_client):
    with FakeFreddy(duration=0, outcome="failed") as freddy:
        client = new_client(freddy)
        freddy.next_response(outcome="completed")
        freddy.next_response(duration=30, outcome="completed")
        for metadata in ({}, {"fake_duration": 0, "fake_outcome": "failed"}, {}):
            client.create(metadata=metadata)
        assert [response.status for response in freddy.responses] == ["completed", "failed", "failed"]
        freddy.next_response(duration=30)
        client.create()
        assert freddy.running_count == 1
        with pytest.raises(ValueError, match="outcome"):
            freddy.next_response(outcome="cancelled")


def test_latency(new_client):
    with FakeFreddy(latency=0.1) as freddy:
        reply = new_client(freddy).retrieve("resp_none")
        assert int(reply.headers["freddy-processing-ms"]) >= 100


def test_a_rotated_key(fake_freddy, client):
    fake_freddy.rotate_key("ak_new")
    assert client.post_create().status_code == 401
    client.headers["Authorization"] = "Bearer ak_new"
    assert client.post_create().status_code == 200
    assert fake_freddy.api_key == "ak_new"


def test_a_cancel_ends_a_create_in_the_foreground(fake_freddy, client, new_client):
    replies = []
    caller = threading.Thread(target=lambda: replies.append(client.post_create(background=False)))
    caller.start()
    fake_freddy.wait_for(lambda: fake_freddy.left_running, timeout=5)
    new_client(fake_freddy).cancel(fake_freddy.left_running[0])
    caller.join(5)
    assert replies[0].json()["status"] == "cancelled"


def test_an_unknown_vocabulary():
    with pytest.raises(ValueError, match="vocabulary"):
        FakeFreddy(vocabulary="other")
