from __future__ import annotations

import json
import sys
import time

import pendulum
import pytest

from airflow_provider_freddy.core.problem import Problem, ProblemKind
from airflow_provider_freddy.core.reply import HttpReply, ModelResponse, read_reply
from airflow_provider_freddy.core.request import ApiRequest

GET = ApiRequest("GET", "/v1/model/response/resp_1")
POST = ApiRequest("POST", "/v1/model/response")
SECRET = "the secret plan"


def read(body, status=200, *, request=GET, response_id="resp_1", headers=None, truncated=False):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    reply = HttpReply(status, {"x-request-id": "req_1", **(headers or {})}, raw, truncated)
    return read_reply(request, reply, response_id=response_id)


def shown(body):
    """Name the test of a body; one with a backslash in its name could not be asked for by name."""
    return repr(body)[:30].replace("\\", "/")


def test_a_full_reply_is_read_into_typed_fields():
    body = {
        "id": "resp_1",
        "status": "completed",
        "createdAt": 1735689600,
        "startedAt": 1735689601,
        "completedAt": 1735689610,
        "progress": {"percentage": 100},
        "output": [{"type": "message"}],
        "error": None,
        "usage": {"total_tokens": 3},
        "model": "m",
        "thread": {"id": "thr_1"},
    }
    response = read(body)
    assert response == ModelResponse(
        id="resp_1",
        status="completed",
        created_at=pendulum.datetime(2025, 1, 1, 0, 0, 0),
        started_at=pendulum.datetime(2025, 1, 1, 0, 0, 1),
        completed_at=pendulum.datetime(2025, 1, 1, 0, 0, 10),
        progress={"percentage": 100},
        output=[{"type": "message"}],
        usage={"total_tokens": 3},
        model="m",
        thread={"id": "thr_1"},
        request_id="req_1",
    )
    assert response.is_final
    assert response.created_at.timezone_name == "UTC"


@pytest.mark.parametrize("field", ["created", "started", "completed", "cancelled"])
@pytest.mark.parametrize("spelling", ["{}At", "{}_at"])
def test_times_are_read_in_both_spellings(field, spelling):
    response = read({"id": "resp_1", "status": "x", spelling.format(field): 1735689610})
    moment = getattr(response, f"{field}_at")
    assert isinstance(moment, pendulum.DateTime)
    assert moment == pendulum.datetime(2025, 1, 1, 0, 0, 10, tz="UTC")
    assert moment.utcoffset().total_seconds() == 0


def test_a_spelling_that_is_null_does_not_hide_the_other():
    assert read({"id": "resp_1", "status": "x", "createdAt": None, "created_at": 1}).created_at is not None


@pytest.mark.parametrize(
    "value", ["null", "true", '"2025-01-01"', "[]", "{}", "NaN", "Infinity", "-Infinity", "1e300", "9" * 400, "-1e18"]
)
def test_a_time_that_makes_no_sense_is_none_and_no_error(value):
    body = f'{{"id": "resp_1", "status": "x", "createdAt": {value}}}'.encode()
    assert read(body).created_at is None


@pytest.mark.parametrize("value", [None, "text", 5, [], True])
def test_optional_fields_of_another_type_are_none(value):
    optional = ["progress", "error", "usage", "thread"]
    response = read({"id": "resp_1", "status": "x", **dict.fromkeys(optional, value)})
    assert [getattr(response, name) for name in optional] == [None] * 4
    assert read({"id": "resp_1", "status": "x", "model": [value]}).model is None


def test_a_cancel_reply_need_not_repeat_the_id():
    assert read({"status": "cancelled"}).id == "resp_1"


def test_what_the_model_wrote_is_not_in_the_representation():
    assert SECRET not in repr(read({"id": "resp_1", "status": "completed", "output": SECRET}))


def test_as_dict_holds_what_json_can_hold():
    response = read({"id": "resp_1", "status": "completed", "createdAt": 0, "output": [1]})
    found = json.loads(json.dumps(response.as_dict()))
    assert found["created_at"] == "1970-01-01T00:00:00+00:00"
    assert (found["id"], found["status"], found["output"], found["completed_at"]) == ("resp_1", "completed", [1], None)


@pytest.mark.parametrize(
    "body",
    [
        *[b"", b"  \n", b"<html>x</html>", b"upstream connect error", b'{"id": "resp_', b"\xff\xfe\x00", b"\x00" * 50],
        *[b"[]", b"null", b"true", b"5", b'"text"', b"NaN", b"[" * 100_000, b'{"a":' * 100_000],
        *[b"{}", b'{"id": "resp_1"}', b'{"id": 42, "status": "x"}', b'{"id": "", "status": "x"}'],
        *[b'{"id": "resp_1", "status": ""}', b'{"id": "resp_1", "status": ["x"]}', b'{"id": null, "status": "x"}'],
    ],
    ids=shown,
)
def test_a_success_with_a_body_that_is_no_response_is_an_unexpected_reply(body):
    problem = read(body)
    assert isinstance(problem, Problem)
    assert problem.kind is ProblemKind.UNEXPECTED_REPLY
    assert (problem.http_status, problem.request_id) == (200, "req_1")
    # The work may have been done: a create must not be sent again.
    assert problem.maybe_processed
    assert len(str(problem)) < 600


def test_a_body_that_was_too_long_is_not_read():
    problem = read({"id": "resp_1", "status": "completed"}, truncated=True)
    assert problem.kind is ProblemKind.UNEXPECTED_REPLY
    assert "4 MiB" in problem.message


def test_a_reply_about_another_response_is_not_taken_for_ours():
    problem = read({"id": "resp_2", "status": "cancelled"})
    assert problem.kind is ProblemKind.UNEXPECTED_REPLY
    assert "resp_2" in problem.message


@pytest.mark.parametrize("found_id", ["../x", "a/b", "a?b", "", "None", "x" * 10_000, "a\nb"])
def test_a_create_that_returns_an_id_which_nobody_could_cancel_by_is_not_a_success(found_id):
    problem = read({"id": found_id, "status": "queued"}, request=POST, response_id=None)
    assert isinstance(problem, Problem)
    assert problem.kind is ProblemKind.UNEXPECTED_REPLY
    assert problem.maybe_processed


@pytest.mark.parametrize(
    "body",
    [
        b'{"id": "resp_1", "status": "completed", "output": "' + SECRET.encode(),
        b'[{"output": "' + SECRET.encode(),
        b'  {"output": "' + SECRET.encode() + b'"} trailing',
    ],
)
def test_json_that_breaks_off_is_not_quoted_because_it_may_hold_what_the_model_wrote(body):
    assert SECRET not in str(read(body))


def test_an_error_of_the_contract_is_read():
    error = {"message": "Response not found", "type": "not_found_error", "code": "response_not_found"}
    problem = read({"error": error}, 404, headers={"retry-after": "3"})
    assert problem == Problem(
        ProblemKind.NOT_FOUND, GET, "Response not found", 404, "response_not_found", "req_1", retry_after=3.0
    )


@pytest.mark.parametrize("status", [None, 5, [], {}])
def test_a_create_that_tells_no_status_has_started_something_that_is_queued(status):
    answer = read({"id": "resp_1", "status": status}, request=POST, response_id=None)
    assert answer == ModelResponse("resp_1", "queued", request_id="req_1")
    assert read({"id": "resp_1", "status": "running"}, request=POST, response_id=None).status == "running"
    problem = read({"id": "resp_1", "status": status})
    assert problem.kind is ProblemKind.UNEXPECTED_REPLY
    assert problem.request == GET
    assert "a JSON body without id and status" in problem.message


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"id": "resp_2", "status": "queued"}, "a body about another response, 'resp_2'"),
        ({"id": "../resp", "status": "queued"}, "an id by which nothing can be cancelled, '../resp'"),
    ],
)
def test_an_id_that_is_not_the_one_or_none_is_told_with_what_was_asked(body, words):
    problem = read(body, response_id="resp_1" if body["id"] == "resp_2" else None)
    assert problem.request == GET
    assert words in problem.message


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b" <html>Welcome</html>", "an HTML page: <html>Welcome</html>"),
        (b"nope", "a body that is not JSON: nope"),
        (b" ", "an empty body"),
        (b"[1]", "JSON that is list where an object belongs"),
        (b"{}", "a JSON body without id and status"),
    ],
)
def test_what_came_instead_of_a_response_is_named(body, words):
    assert read(body).message == f"Expected a model response, got {words}."


def test_the_error_of_a_response_that_has_failed_is_read():
    error = {"code": "model_overloaded", "message": "Too much."}
    assert read({"id": "resp_1", "status": "failed", "error": error}).error == error


@pytest.mark.parametrize(("status", "works"), [(199, False), (200, True), (299, True), (300, False)])
def test_what_counts_as_success(status, works):
    assert isinstance(read({"id": "resp_1", "status": "queued"}, status), ModelResponse) == works


def test_times_are_the_same_whatever_the_time_zone_of_the_machine(monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        answer = read({"id": "resp_1", "status": "queued", "createdAt": 1735689600.25})
    finally:
        monkeypatch.undo()
        time.tzset()
    assert answer.created_at == pendulum.datetime(2025, 1, 1, tz="UTC").add(microseconds=250_000)


def test_when_to_ask_again_may_be_a_date():
    later = pendulum.now("UTC").add(minutes=1).strftime("%a, %d %b %Y %H:%M:%S GMT")
    assert 50 < read(b"", 503, headers={"retry-after": later}).retry_after <= 60


@pytest.mark.parametrize("status", [400, 401, 403, 418, 422, 429, 500, 502, 503, 504, 302])
@pytest.mark.parametrize(
    "body",
    [
        *[b"", b"<html><h1>Bad Gateway</h1></html>", b"nope", b'{"error": ', b"null", b"[1]", b"5", b'"text"', b"{}"],
        *[b'{"error": null}', b'{"error": "text"}', b'{"error": []}', b'{"error": {"message": 5, "code": []}}'],
        *[b'{"error": {"message": "", "code": null}}', b'{"detail": "no"}', b'{"detail": [{}, 5, null]}', b"\xff\xff"],
        *[b'{"detail": null}', b"[" * 50_000, b'{"x": NaN}', b'{"error": {"message": "\\ud800", "code": "\\ud800"}}'],
    ],
    ids=shown,
)
def test_an_error_with_any_body_keeps_its_kind_and_is_one_short_line(status, body):
    problem = read(body, status)
    assert problem.kind is read({}, status).kind
    assert problem.http_status == status
    assert len(str(problem)) < 500
    assert "\n" not in str(problem)
    str(problem).encode()


def test_an_error_body_of_any_depth_is_survived():
    # Somewhere here it becomes too deep to be written, and then too deep to be read.
    for depth in [1, 100, *range(sys.getrecursionlimit() - 200, sys.getrecursionlimit() + 10), 100_000]:
        for body in (b'{"detail": ' + b"[" * depth + b"]" * depth + b"}", b'{"a":' * depth + b"1" + b"}" * depth):
            assert read(body, 422).kind is ProblemKind.INVALID_REQUEST


@pytest.mark.parametrize("status", [404, 409])
def test_a_code_that_is_no_text_is_no_word_of_freddys(status):
    problem = read({"error": {"message": "Words", "code": []}}, status)
    assert (problem.kind, problem.code) == (ProblemKind.UNEXPECTED_REPLY, None)


def test_an_error_of_another_shape_is_shown():
    assert read({"title": "Quota used up"}, 402).message == '{"title": "Quota used up"}'


def test_a_validation_error_tells_field_and_fault_but_not_what_was_sent():
    detail = [
        {"type": "missing", "loc": ["body", "inputs", 0], "msg": "Field required", "input": {"content": SECRET}},
        {
            "type": "value_error",
            "loc": ["body", "model"],
            "msg": "Unknown model",
            "input": SECRET,
            "ctx": {"x": SECRET},
        },
    ]
    problem = read({"detail": detail}, 422, request=POST)
    for part in ("missing", "inputs", "Field required", "value_error", "model", "Unknown model"):
        assert part in str(problem)
    assert SECRET not in str(problem)


@pytest.mark.parametrize(
    ("status", "maybe"), [(400, False), (408, True), (425, False), (429, False), (500, True), (503, True), (504, True)]
)
def test_only_a_server_error_leaves_open_whether_the_work_was_done(status, maybe):
    assert read({}, status, request=POST).maybe_processed is maybe
