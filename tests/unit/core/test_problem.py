from __future__ import annotations

import pickle

import pytest

from airflow_provider_freddy.core.problem import Problem, ProblemKind, kind_of_error_reply, shorten
from airflow_provider_freddy.core.request import ApiRequest

REQUEST = ApiRequest("DELETE", "/v1/model/response/resp_1", {"organizationId": "org_1"}, {"inputs": "the secret plan"})


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, None, ProblemKind.INVALID_REQUEST),
        (400, "invalid_status", ProblemKind.NOT_CANCELLABLE_YET),
        (422, "invalid_status", ProblemKind.INVALID_REQUEST),
        (401, "invalid_api_key", ProblemKind.CREDENTIALS),
        (403, "invalid_status", ProblemKind.PERMISSION),
        (404, "response_not_found", ProblemKind.NOT_FOUND),
        # A proxy has no code.
        (404, None, ProblemKind.UNEXPECTED_REPLY),
        (409, None, ProblemKind.UNEXPECTED_REPLY),
        (405, None, ProblemKind.INVALID_REQUEST),
        (408, None, ProblemKind.UNAVAILABLE),
        (409, "response_already_finalized", ProblemKind.ALREADY_FINAL),
        (422, None, ProblemKind.INVALID_REQUEST),
        (425, None, ProblemKind.UNAVAILABLE),
        (429, None, ProblemKind.RATE_LIMITED),
        (499, None, ProblemKind.INVALID_REQUEST),
        (500, None, ProblemKind.UNAVAILABLE),
        (503, "invalid_status", ProblemKind.UNAVAILABLE),
        (599, None, ProblemKind.UNAVAILABLE),
        (302, None, ProblemKind.UNEXPECTED_REPLY),
        (304, None, ProblemKind.UNEXPECTED_REPLY),
        (101, None, ProblemKind.UNEXPECTED_REPLY),
    ],
)
def test_an_error_reply_is_sorted_by_what_a_caller_can_do(status, code, kind):
    assert kind_of_error_reply(status, code) is kind


def test_a_problem_names_all_that_support_asks_for():
    problem = Problem(ProblemKind.NOT_FOUND, REQUEST, "Response not found", 404, "response_not_found", "req_1")
    assert str(problem) == (
        "DELETE /v1/model/response/resp_1: HTTP 404 (code response_not_found, request id req_1): Response not found"
    )


def test_a_problem_without_a_reply_says_so():
    assert "no reply" in str(Problem(ProblemKind.UNAVAILABLE, REQUEST, "No connection."))


def test_a_prompt_is_in_no_text_of_a_problem():
    problem = Problem(ProblemKind.UNAVAILABLE, REQUEST, "No connection.")
    assert "secret" not in repr(problem) + str(problem)


def test_a_problem_survives_pickling():
    problem = Problem(ProblemKind.RATE_LIMITED, REQUEST, "Slow down", 429, retry_after=1.5, maybe_processed=True)
    assert pickle.loads(pickle.dumps(problem)) == problem


def test_more_can_be_said_without_losing_what_was_said():
    problem = Problem(ProblemKind.UNAVAILABLE, REQUEST, "Broken.", 503, "c", "req_1", 2.0, True)
    said = problem.because("It may still run.", ProblemKind.CANCEL_NOT_CONFIRMED)
    assert said.message == "It may still run. Broken."
    assert said.kind is ProblemKind.CANCEL_NOT_CONFIRMED
    assert (said.http_status, said.code, said.request_id, said.retry_after) == (503, "c", "req_1", 2.0)
    assert problem.because("x").kind is ProblemKind.UNAVAILABLE


@pytest.mark.parametrize("text", ["", "short", "a\n\n b\t\r\nc", "x" * 5_000_000, "\ud800" * 1000, " " * 1000])
def test_what_somebody_else_wrote_becomes_one_short_line_that_any_log_can_take(text):
    line = shorten(text)
    assert len(line) <= 300
    assert not set(line) & set("\n\r\t")
    line.encode()


def test_a_long_message_is_cut_and_one_that_fits_is_not():
    assert shorten("x" * 300) == "x" * 300
    assert shorten("x" * 301) == "x" * 297 + "..."


@pytest.mark.parametrize("field", ["code", "request_id"])
def test_a_code_or_request_id_cannot_fill_or_forge_the_log(field):
    problem = Problem(ProblemKind.NOT_FOUND, REQUEST, "m", 404, **{field: "x\nERROR forged " + "y" * 100_000})
    assert len(str(problem)) < 1000
    assert "\n" not in str(problem)
