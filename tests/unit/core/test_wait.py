"""What every look means for the wait, and what is said about it."""

from __future__ import annotations

import logging

import pytest

from airflow_provider_freddy.core.problem import Problem, ProblemKind
from airflow_provider_freddy.core.reply import ModelResponse
from airflow_provider_freddy.core.request import ApiRequest
from airflow_provider_freddy.core.wait import PASSING, StatusWait

log = logging.getLogger("wait_under_test")
OTHERS = [kind for kind in ProblemKind if kind not in PASSING]


def problem(kind=ProblemKind.UNAVAILABLE):
    return Problem(kind, ApiRequest("GET", "/x"), "Words")


def response(status):
    return ModelResponse("resp_1", status)


@pytest.fixture
def said(caplog):
    caplog.set_level(logging.DEBUG)
    return caplog


def wait(**options):
    return StatusWait("resp_1", log, **options)


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
def test_a_final_status_ends_every_wait(status):
    assert wait(wanted=["in_progress"]).judge(response(status)) == response(status)


def test_a_wanted_status_ends_the_wait_and_others_do_not():
    waiting = wait(wanted=["in_progress"])
    assert waiting.judge(response("queued")) is None
    assert waiting.judge(response("in_progress")) == response("in_progress")


@pytest.mark.parametrize("kind", sorted(PASSING))
@pytest.mark.parametrize("tolerated", [0, 1, 5])
def test_so_many_failed_looks_in_a_row_are_tolerated_and_not_one_more(kind, tolerated):
    waiting = wait(tolerated_failures=tolerated)
    for _ in range(3):
        assert [waiting.judge(problem(kind)) for _ in range(tolerated)] == [None] * tolerated
        assert waiting.judge(response("processing")) is None
    assert [waiting.judge(problem(kind)) for _ in range(tolerated + 1)][-1] == problem(kind)


@pytest.mark.parametrize("kind", OTHERS)
def test_trouble_that_cannot_pass_ends_the_wait_at_once(kind):
    assert wait(tolerated_failures=100).judge(problem(kind)) == problem(kind)


def test_a_look_is_news_unless_it_finds_what_the_last_one_has_found():
    waiting = wait()
    assert waiting.is_news(response("queued"))
    waiting.judge(response("queued"))
    assert not waiting.is_news(response("queued"))
    assert waiting.is_news(response("in_progress"))
    assert waiting.is_news(problem())
    waiting.judge(problem())
    assert waiting.is_news(response("queued")), "it ends the failures in a row"


def test_one_line_per_change_of_status_and_none_per_look(said):
    waiting = wait()
    for status in ["queued"] * 50 + ["in_progress"] * 50 + ["completed"]:
        waiting.judge(response(status))
    assert [record.getMessage() for record in said.records] == [
        "Response resp_1 is queued.",
        "Response resp_1 is in_progress.",
        "Response resp_1 is completed.",
    ]


def test_one_line_when_looks_fail_and_one_when_they_work_again(said):
    waiting = wait(tolerated_failures=10)
    for answer in [response("queued"), *[problem()] * 5, response("queued")]:
        waiting.judge(answer)
    failed = "A look at response resp_1 failed, up to 10 in a row are tolerated: Freddy GET /x: no reply: Words"
    assert [(record.levelname, record.getMessage()) for record in said.records] == [
        ("INFO", "Response resp_1 is queued."),
        ("WARNING", failed),
        ("INFO", "Freddy answers again after 5 failed looks."),
    ]


def test_the_first_look_that_fails_is_told_at_once(said):
    wait().judge(problem())
    assert [record.levelname for record in said.records] == ["WARNING"]


def test_a_status_that_is_not_known_is_said_once_and_waited_for(said):
    waiting = wait()
    assert [waiting.judge(response("paused")) for _ in range(5)] == [None] * 5
    (line,) = said.records
    assert line.levelname == "WARNING"
    assert line.getMessage() == "Response resp_1 is 'paused', a status not known here: waiting on."


def test_who_tells_the_status_by_other_means_is_not_told_twice(said):
    wait(tell_status=False).judge(response("queued"))
    assert said.records == []
