from __future__ import annotations

import json
import socket
import time

import pytest
import requests

from airflow_provider_freddy.testing import FakeFreddy


def raw_reply(freddy, method="GET"):
    """Send one request over a plain socket and return every byte until the other end closes."""
    host, port = freddy.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(
            f"{method} /v1/model/response/resp_1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
        )
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_a_status(fake_freddy, client):
    fake_freddy.fault("status", status=503, retry_after=2)
    reply = client.post_create()
    assert reply.status_code == 503
    assert set(reply.json()["error"]) == {"message", "type", "code"}
    assert reply.headers["retry-after"] == "2"
    assert reply.headers["x-request-id"]
    assert fake_freddy.responses == []
    assert client.post_create().status_code == 200


def test_a_status_of_the_contract_has_its_error(fake_freddy, client):
    fake_freddy.fault("status", status=409)
    assert client.cancel("resp_1").json()["error"]["code"] == "response_already_finalized"


@pytest.mark.parametrize(
    ("options", "status", "text"),
    [
        ({"status": 429, "retry_after": "Wed, 21 Oct 2026 07:28:00 GMT"}, 429, None),
        ({"status": 500, "body": "<html>"}, 500, "<html>"),
        ({"status": 500, "body": ""}, 500, ""),
        ({"status": 200, "body": []}, 200, "[]"),
        ({"status": 204}, 204, ""),
    ],
)
def test_a_status_with_a_body_of_its_own(fake_freddy, client, options, status, text):
    fake_freddy.fault("status", **options)
    reply = client.retrieve("resp_1")
    assert reply.status_code == status
    assert reply.headers.get("retry-after") == options.get("retry_after")
    assert text is None or reply.text == text


def test_a_status_with_a_code_and_a_message(fake_freddy, client):
    fake_freddy.fault("status", status=400, code="odd", message="Strange")
    body = client.retrieve("resp_1").json()["error"]
    assert (body["code"], body["message"]) == ("odd", "Strange")


@pytest.mark.parametrize("kind", ["drop_before", "drop_after"])
def test_a_dropped_connection_sends_not_one_byte(fake_freddy, kind):
    fake_freddy.fault(kind)
    assert raw_reply(fake_freddy) == b""
    fake_freddy.wait_for(lambda: fake_freddy.requests[0].duration_ms is not None, timeout=5)
    assert fake_freddy.requests[0].status is None


@pytest.mark.parametrize(("kind", "running"), [("drop_before", 1), ("drop_after", 0)])
def test_a_dropped_cancel(fake_freddy, client, kind, running):
    response_id = client.create()
    fake_freddy.fault(kind, method="DELETE")
    with pytest.raises(requests.ConnectionError):
        client.cancel(response_id)
    assert fake_freddy.running_count == running
    assert client.cancel(response_id).status_code == (200 if running else 409)


def test_a_dropped_connection_with_tls(new_client):
    with FakeFreddy(tls=True) as freddy:
        freddy.fault("drop_after")
        with pytest.raises(requests.ConnectionError):
            new_client(freddy).post_create()
        assert freddy.running_count == 1


@pytest.mark.parametrize(("after", "running"), [(False, 0), (True, 1)])
def test_a_delay_before_or_after_the_work(fake_freddy, client, after, running):
    fake_freddy.fault("delay", seconds=0.8, after=after)
    url = f"{fake_freddy.url}/v1/model/response"
    body = {
        "organization_id": fake_freddy.organization_id,
        "inputs": [{"role": "user", "content": "Hi"}],
        "background": True,
    }
    with pytest.raises(requests.ReadTimeout):
        client.post(url, json=body, timeout=0.1)
    assert fake_freddy.running_count == running
    # Nobody waits for the reply any more, but the work gets done.
    fake_freddy.wait_for(lambda: fake_freddy.running_count == 1, timeout=5)


def test_a_delayed_reply_arrives(fake_freddy, client):
    fake_freddy.fault("delay", seconds=0.1)
    began = time.monotonic()
    assert client.post_create().status_code == 200
    assert time.monotonic() - began >= 0.1


@pytest.mark.parametrize("body", ["html", "empty", "not_json", "truncated", "huge"])
def test_garbage_that_is_not_json(fake_freddy, client, body):
    fake_freddy.fault("garbage", body=body)
    reply = client.post_create()
    assert reply.status_code == 200
    with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
        json.loads(reply.content)
    assert (len(reply.content) > 5_000_000) == (body == "huge")
    assert fake_freddy.running_count == 1


def test_garbage_that_is_json(fake_freddy, client):
    fake_freddy.fault("garbage", body="wrong_shape", status=502, work=False)
    reply = client.post_create()
    assert reply.status_code == 502
    assert not isinstance(reply.json()["status"], str)
    assert fake_freddy.responses == []


def test_a_request_that_hangs(fake_freddy, client):
    fake_freddy.fault("hang")
    with pytest.raises(requests.ReadTimeout):
        client.get(f"{fake_freddy.url}/v1/model/response/resp_1", timeout=0.1)
    client.close()
    fake_freddy.wait_for(lambda: fake_freddy.requests[0].duration_ms is not None, timeout=5)
    assert fake_freddy.requests[0].status is None


def test_faults_wait_for_their_requests_in_order(fake_freddy, client):
    response_id = client.create()
    fake_freddy.fault("status", method="delete", response_id=response_id, status=500)
    fake_freddy.fault("status", method="GET", status=501, times=2)
    fake_freddy.fault("status", status=502)
    assert client.cancel("resp_other").status_code == 502
    assert [client.retrieve(response_id).status_code for _ in range(3)] == [501, 501, 200]
    assert [client.cancel(response_id).status_code for _ in range(2)] == [500, 200]


def test_faults_for_ever_until_cleared(fake_freddy, client):
    fake_freddy.fault("status", status=500, times=None)
    assert {client.post_create().status_code for _ in range(5)} == {500}
    fake_freddy.clear_faults()
    assert client.post_create().status_code == 200


@pytest.mark.parametrize(
    ("kind", "options", "error", "says"),
    [
        ("explode", {}, ValueError, "drop_before"),
        ("status", {}, TypeError, "missing"),
        ("status", {"status": 99}, ValueError, "99"),
        ("hang", {"seconds": 1}, TypeError, "seconds"),
        ("delay", {"seconds": -1}, ValueError, "-1"),
        ("garbage", {"body": "other"}, ValueError, "wrong_shape"),
        ("hang", {"times": 0}, ValueError, "times"),
    ],
)
def test_a_fault_that_makes_no_sense(fake_freddy, kind, options, error, says):
    with pytest.raises(error, match=says):
        fake_freddy.fault(kind, **options)
