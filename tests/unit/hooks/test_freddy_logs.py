"""What the hook writes into the task's log: enough to follow it, and nothing that is a secret."""

from __future__ import annotations

import logging
import re

import pytest

from airflow_provider_freddy.exceptions import FreddyError

PROMPT = "the secret plan"
OUTPUT = "A fake answer."


def lines(log, level=logging.INFO):
    """Return what the hook itself has logged; Airflow 2.11 adds a line for every look-up of a connection."""
    return [
        record.getMessage()
        for record in log.records
        if record.levelno >= level and record.name == "freddy_hook_under_test"
    ]


def test_every_call_is_one_line_with_outcome_request_id_and_time(hook_log, hook, fake_freddy):
    response_id = hook.create_response(PROMPT).id
    hook.get_response(response_id)
    hook.cancel_response(response_id)
    found = lines(hook_log)
    assert len(found) == 3
    expected = [("POST", "queued"), ("GET", "processing"), ("DELETE", "cancelled")]
    for line, request, (method, status) in zip(found, fake_freddy.requests, expected, strict=True):
        assert line.startswith(f"Freddy {method} /v1/model/response")
        for part in ("200", response_id, status, request.request_id):
            assert part in line
        assert re.search(r"\d+ ms$", line)


def test_every_failed_attempt_is_one_line_with_what_the_server_said(hook_log, hook, fake_freddy):
    fake_freddy.fault("status", method="GET", status=503, times=2)
    fake_freddy.fault("drop_before", method="GET")
    with pytest.raises(FreddyError):
        hook.get_response("resp_nobody")
    found = lines(hook_log)
    assert [part in line for part, line in zip(["503", "503", "no reply", "404"], found, strict=True)] == [True] * 4
    for line, request in zip(found, fake_freddy.requests, strict=True):
        assert line.startswith("Freddy GET /v1/model/response/resp_nobody: ")
        assert re.search(r"\d+ ms$", line)
        assert request.status is None or request.request_id in line
    assert "internal_error" in found[0]


def test_a_status_is_news_only_when_it_changes(hook_log, hook, fake_freddy):
    fake_freddy.next_response(duration=0.2)
    response_id = hook.create_response(PROMPT).id
    for _ in range(5):
        hook.get_response(response_id)
    fake_freddy.wait_for(lambda: not fake_freddy.left_running, 5)
    for _ in range(5):
        hook.get_response(response_id)
    looks = [line for line in lines(hook_log) if "GET" in line]
    assert ["processing" in looks[0], "completed" in looks[1]] == [True, True]
    assert len(looks) == 2
    assert len([line for line in lines(hook_log, logging.DEBUG) if line.startswith("Freddy GET")]) == 10


def test_the_status_of_each_response_is_news_of_its_own(hook_log, hook):
    ids = [hook.create_response(PROMPT).id for _ in range(3)]
    for response_id in ids * 2:
        hook.get_response(response_id)
    assert len([line for line in lines(hook_log) if "GET" in line]) == 3


def test_a_failed_look_between_two_is_always_told(hook_log, hook, fake_freddy):
    response_id = hook.create_response(PROMPT).id
    hook.get_response(response_id)
    fake_freddy.fault("status", method="GET", status=500, times=3)
    hook.get_response(response_id)
    assert len([line for line in lines(hook_log) if "HTTP 500" in line]) == 3


@pytest.mark.parametrize("scheme", ["bearer", "x-api-key", "api-key"])
def test_neither_key_nor_prompt_nor_output_is_in_any_line_of_any_level(hook_log, new_hook, fake_freddy, scheme):
    hook = new_hook(fake_freddy, extra={"auth_scheme": scheme, "headers": {"X-Gateway": "gateway_secret"}})
    fake_freddy.next_response(duration=0)
    assert OUTPUT in str(hook.get_response(hook.create_response(PROMPT, instructions=PROMPT).id).output)
    hook.cancel_response(hook.create_response(PROMPT).id)
    for body in ("html", "not_json", "truncated", "wrong_shape"):
        fake_freddy.fault("garbage", method="GET", body=body)
        with pytest.raises(FreddyError):
            hook.get_response("resp_1")
    detail = {"detail": [{"type": "x", "loc": ["body"], "msg": "No", "input": PROMPT}]}
    fake_freddy.fault("status", status=422, body=detail)
    with pytest.raises(FreddyError):
        hook.create_response(PROMPT)
    fake_freddy.fault("status", status=401, message=f"Invalid API key: {fake_freddy.api_key}")
    with pytest.raises(FreddyError):
        hook.create_response(PROMPT)
    fake_freddy.fault("status", status=200, body=f'{{"id": "resp_1", "status": "completed", "output": "{OUTPUT}')
    with pytest.raises(FreddyError):
        hook.get_response("resp_1")
    text = "\n".join(lines(hook_log, logging.DEBUG)) + hook_log.text
    assert "Freddy POST" in text
    for secret in (fake_freddy.api_key, "gateway_secret", PROMPT, OUTPUT):
        assert secret not in text


def test_a_test_of_the_connection_shows_no_key(hook_log, new_hook, fake_freddy):
    hook = new_hook(fake_freddy, password="ak_wrong_key_of_mine")
    hook.test_connection()
    assert lines(hook_log, logging.DEBUG)
    assert "ak_wrong_key_of_mine" not in hook_log.text


def test_a_server_cannot_forge_lines(hook_log, hook, fake_freddy):
    fake_freddy.fault("status", status=404, message="x\nFreddy DELETE forged", code="y\nforged")
    with pytest.raises(FreddyError):
        hook.get_response("resp_1")
    fake_freddy.fault("status", status=200, body={"id": "resp_1", "status": "z\nforged" + "x" * 100_000})
    hook.get_response("resp_1")
    for line in lines(hook_log, logging.DEBUG):
        assert "\n" not in line
        assert len(line) < 1000


def test_the_line_is_written_by_airflows_own_logger_too(hook, capfd, fake_freddy):
    hook.create_response(PROMPT)
    hook.log.info("Freddy %s", "works")
    output = capfd.readouterr()
    assert fake_freddy.api_key not in output.out + output.err
    assert PROMPT not in output.out + output.err
