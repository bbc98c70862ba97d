"""The cancel protocol driven by hand: every answer that the API can give, without any I/O."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pendulum
import pytest

from airflow_provider_freddy.core.cancel import CancelOutcome, CancelResult, Wait, cancel_steps
from airflow_provider_freddy.core.problem import Problem, ProblemKind
from airflow_provider_freddy.core.reply import ModelResponse
from airflow_provider_freddy.core.request import ApiRequest, cancel_response_request

AT = pendulum.datetime(2025, 1, 1, tz="UTC")
CANCELLED = ModelResponse("resp_1", "cancelled", cancelled_at=AT, request_id="req_c")
REQUEST = ApiRequest("DELETE", "/v1/model/response/resp_1")
YET = Problem(ProblemKind.NOT_CANCELLABLE_YET, REQUEST, "Only processing.", 400, "invalid_status", "req_y")
FINAL = Problem(ProblemKind.ALREADY_FINAL, REQUEST, "Already.", 409, "response_already_finalized", "req_f")
ODD = Problem(ProblemKind.UNEXPECTED_REPLY, REQUEST, "HTML.", 200, maybe_processed=True)
DOWN = Problem(ProblemKind.UNAVAILABLE, REQUEST, "Down.", 503)


class FakeBudget:
    """A budget that only the waits of the protocol use up."""

    def __init__(self, seconds):
        self.seconds = self.remaining = seconds


def seen(status):
    return ModelResponse("resp_1", status, request_id="req_s")


def drive(answers, *, seconds=60.0, **options):
    """Feed the answers to what is asked for; return what was asked for and the result."""
    budget = FakeBudget(seconds)
    steps = cancel_steps("resp_1", organization_id="org_1", budget=budget, **{"tell_status": True, **options})
    asked, answers, answer = [], iter(answers), None
    while True:
        try:
            step = steps.send(answer)
        except StopIteration as end:
            assert budget.remaining >= 0, "waited for longer than the budget"
            return asked, end.value
        asked.append("wait" if isinstance(step, Wait) else step.method)
        if isinstance(step, Wait):
            assert step.seconds > 0
            budget.remaining -= step.seconds
            answer = None
        else:
            assert step.path.endswith("/resp_1")
            assert step.params == {"organizationId": "org_1"}
            answer = next(answers)


def test_one_request_is_enough_when_the_api_cancels():
    asked, result = drive([CANCELLED])
    assert asked == ["DELETE"]
    assert result == CancelResult("resp_1", CancelOutcome.CANCELLED, "cancelled", AT, "req_c")


def test_a_cancel_to_be_verified_counts_when_a_look_agrees():
    asked, result = drive([CANCELLED, seen("cancelled")], verify=True)
    assert asked == ["DELETE", "GET"]
    assert result == CancelResult("resp_1", CancelOutcome.CANCELLED, "cancelled", AT, "req_c")


@pytest.mark.parametrize("look", [seen("processing"), DOWN])
def test_a_cancel_to_be_verified_is_sent_again_while_no_look_agrees(look):
    asked, result = drive([CANCELLED, look, CANCELLED, seen("cancelled")], verify=True)
    assert asked == ["DELETE", "GET", "wait", "DELETE", "GET"]
    assert result.outcome is CancelOutcome.CANCELLED


def test_a_response_that_has_completed_in_spite_of_its_cancel_was_not_cancelled():
    _, result = drive([CANCELLED, seen("completed")], verify=True)
    assert result == CancelResult("resp_1", CancelOutcome.ALREADY_FINAL, "completed", None, "req_s")


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
def test_a_response_that_had_ended_is_looked_at_for_its_end(status):
    asked, result = drive([FINAL, seen(status)])
    assert asked == ["DELETE", "GET"]
    assert result == CancelResult("resp_1", CancelOutcome.ALREADY_FINAL, status, None, "req_f")


def test_a_cancel_by_somebody_else_keeps_its_time():
    _, result = drive([FINAL, CANCELLED])
    assert (result.outcome, result.cancelled_at) == (CancelOutcome.ALREADY_FINAL, AT)


def test_nobody_looks_when_the_status_is_not_wanted():
    asked, result = drive([FINAL], tell_status=False)
    assert asked == ["DELETE"]
    assert result == CancelResult("resp_1", CancelOutcome.ALREADY_FINAL, request_id="req_f")


def test_nobody_looks_when_the_time_is_spent():
    asked, result = drive([FINAL], seconds=0)
    assert asked == ["DELETE"]
    assert result.outcome is CancelOutcome.ALREADY_FINAL


@pytest.mark.parametrize("look", [DOWN, ODD, replace(DOWN, kind=ProblemKind.NOT_FOUND)])
def test_the_word_of_the_409_stands_when_the_look_does_not_tell(look):
    _, result = drive([FINAL, look])
    assert result == CancelResult("resp_1", CancelOutcome.ALREADY_FINAL, request_id="req_f")


def test_a_409_that_the_status_contradicts_is_not_the_end():
    asked, result = drive([FINAL, seen("processing"), CANCELLED])
    assert asked == ["DELETE", "GET", "wait", "DELETE"]
    assert result.outcome is CancelOutcome.CANCELLED


@pytest.mark.parametrize("status", ["queued", "processing", "in_progress", "some_future_status"])
def test_a_response_that_cannot_be_cancelled_yet_is_tried_again_until_it_can(status):
    asked, result = drive([YET, seen(status), YET, seen(status), CANCELLED])
    assert asked == ["DELETE", "GET", "wait", "DELETE", "GET", "wait", "DELETE"]
    assert result.outcome is CancelOutcome.CANCELLED


@pytest.mark.parametrize("refusal", [YET, ODD, seen("processing"), seen("completed")])
@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
def test_a_response_that_has_ended_meanwhile_is_no_error(refusal, status):
    asked, result = drive([refusal, seen(status)])
    assert asked == ["DELETE", "GET"]
    assert (result.outcome, result.status) == (CancelOutcome.ALREADY_FINAL, status)


@pytest.mark.parametrize("look", [DOWN, ODD, YET])
def test_a_look_that_fails_does_not_end_the_cancel(look):
    asked, result = drive([YET, look, CANCELLED])
    assert asked == ["DELETE", "GET", "wait", "DELETE"]
    assert result.outcome is CancelOutcome.CANCELLED


@pytest.mark.parametrize("kind", sorted(set(ProblemKind) - {YET.kind, FINAL.kind, ODD.kind}))
def test_a_problem_that_time_does_not_mend_ends_the_cancel_at_once(kind):
    problem = replace(DOWN, kind=kind)
    assert drive([problem]) == (["DELETE"], problem)
    assert drive([YET, seen("queued"), problem])[1] == problem


@pytest.mark.parametrize(
    ("refusal", "look"),
    [(YET, seen("queued")), (YET, DOWN), (seen("processing"), seen("processing")), (ODD, seen("in_progress"))],
)
@pytest.mark.parametrize("seconds", [0.0, 0.1, 3.0, 60.0])
def test_a_cancel_that_never_takes_ends_with_the_budget_and_says_what_is_known(refusal, look, seconds):
    asked, problem = drive(itertools.cycle([refusal, look]), seconds=seconds)
    assert asked[:2] == ["DELETE", "GET"]
    assert problem.kind is ProblemKind.CANCEL_NOT_CONFIRMED
    assert problem.http_status == (refusal.http_status if isinstance(refusal, Problem) else 200)
    assert (look.status if isinstance(look, ModelResponse) else "Down.") in problem.message


@pytest.mark.parametrize(
    ("refusal", "look", "status", "last_words"),
    [
        (YET, seen("queued"), "still 'queued'", "Only processing."),
        (seen("processing"), DOWN, f"not to be told ({DOWN})", "The API accepted the cancel."),
    ],
)
def test_a_cancel_that_is_not_confirmed_tells_status_and_last_answer(refusal, look, status, last_words):
    _, problem = drive([refusal, look], seconds=0.2)
    assert problem == Problem(
        ProblemKind.CANCEL_NOT_CONFIRMED,
        cancel_response_request("resp_1", organization_id="org_1"),
        f"Not cancelled within 0.2 s, its status is {status}. Last answer: {last_words}",
        getattr(refusal, "http_status", 200),
        getattr(refusal, "code", None),
        refusal.request_id,
    )


def test_the_waits_grow_but_stay_short_enough_to_catch_the_moment():
    steps = cancel_steps("resp_1", organization_id="org_1", budget=FakeBudget(1e9), tell_status=True)
    waits, answers, answer = [], itertools.cycle([YET, seen("queued")]), None
    while len(waits) < 30:
        step = steps.send(answer)
        if isinstance(step, Wait):
            waits.append(step.seconds)
        answer = None if isinstance(step, Wait) else next(answers)
    assert waits[0] <= 0.25
    assert waits[1] <= 0.375
    assert max(waits) <= 2.0
    assert min(waits[-10:]) >= 1.6


def test_garbage_on_every_side_is_told_as_garbage():
    _, problem = drive([ODD, ODD], seconds=0)
    assert problem == ODD


@pytest.mark.parametrize(("response_id", "organization_id"), [("../x", "org_1"), ("resp_1", ""), (None, "org_1")])
def test_an_id_that_is_none_is_refused_before_the_first_step(response_id, organization_id):
    steps = cancel_steps(response_id, organization_id=organization_id, budget=FakeBudget(1), tell_status=True)
    with pytest.raises(ValueError, match="id"):
        next(steps)


def test_a_result_as_values_for_an_xcom_and_in_words():
    cancelled = CancelResult("resp_1", CancelOutcome.CANCELLED, "cancelled", AT, "req_c")
    assert cancelled.as_dict() == {
        "outcome": "cancelled",
        "status": "cancelled",
        "cancelled_at": "2025-01-01T00:00:00+00:00",
    }
    assert type(cancelled.as_dict()["outcome"]) is str
    assert str(cancelled) == "resp_1 cancelled at 2025-01-01T00:00:00+00:00: costs nothing more"
    assert str(replace(cancelled, cancelled_at=None)) == "resp_1 cancelled: costs nothing more"
    unknown = CancelResult("resp_1", CancelOutcome.ALREADY_FINAL)
    assert unknown.as_dict() == {"outcome": "already_final", "status": None, "cancelled_at": None}
    assert str(unknown) == "resp_1 had already ended (final status not known): costs nothing more"
    assert str(replace(unknown, status="completed")) == "resp_1 had already ended (completed): costs nothing more"
