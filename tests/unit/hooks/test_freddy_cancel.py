"""The cancel against a server that refuses, loses, garbles and delays; in both vocabularies."""

from __future__ import annotations

import pytest

from airflow_provider_freddy.core.cancel import CancelOutcome
from airflow_provider_freddy.exceptions import (
    FreddyCancelNotConfirmedError,
    FreddyCredentialsError,
    FreddyNotFoundError,
    FreddyPermissionError,
    FreddyUnavailableError,
    FreddyUnexpectedReplyError,
)
from airflow_provider_freddy.testing import FakeFreddy
from tests.unit.hooks.conftest import KEY

MAY_RUN = "MAY STILL RUN AND COST MONEY"


@pytest.fixture(params=["status", "background"])
def freddy(request):
    with FakeFreddy(api_key=KEY, vocabulary=request.param) as freddy:
        yield freddy


@pytest.fixture
def hook(freddy, new_hook):
    return new_hook(freddy)


def methods(freddy):
    return [request.method for request in freddy.requests]


@pytest.mark.parametrize("outcome", ["completed", "failed"])
def test_a_response_that_had_ended_is_no_error_and_its_end_is_told(freddy, hook, outcome):
    freddy.next_response(duration=0, outcome=outcome)
    result = hook.cancel_response(hook.create_response("Hello").id)
    assert (result.outcome, result.status, result.cancelled_at) == (CancelOutcome.ALREADY_FINAL, outcome, None)
    assert methods(freddy) == ["POST", "DELETE", "GET"]


def test_a_second_cancel_is_no_error(freddy, hook):
    response_id = hook.create_response("Hello").id
    hook.cancel_response(response_id)
    result = hook.cancel_response(response_id)
    assert (result.outcome, result.status) == (CancelOutcome.ALREADY_FINAL, "cancelled")
    assert result.request_id == freddy.requests[-2].request_id


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("status", {"status": 500}),
        ("status", {"status": 404}),
        ("status", {"status": 200, "body": []}),
        ("garbage", {"body": "html"}),
        ("drop_before", {}),
    ],
)
def test_a_409_stands_when_the_status_cannot_be_told(freddy, hook, kind, options):
    freddy.next_response(duration=0)
    response_id = hook.create_response("Hello").id
    freddy.fault(kind, method="GET", times=None, **options)
    result = hook.cancel_response(response_id, budget=0.5)
    assert (result.outcome, result.status) == (CancelOutcome.ALREADY_FINAL, None)


def test_nobody_asks_for_a_status_that_is_not_wanted(freddy, hook):
    freddy.next_response(duration=0)
    result = hook.cancel_response(hook.create_response("Hello").id, tell_status=False)
    assert (result.outcome, result.status) == (CancelOutcome.ALREADY_FINAL, None)
    assert methods(freddy) == ["POST", "DELETE"]


def test_a_queued_response_is_cancelled_as_soon_as_it_can_be(freddy, hook):
    freddy.next_response(queued_for=0.3)
    response_id = hook.create_response("Hello").id
    result = hook.cancel_response(response_id, budget=10)
    assert result.outcome is CancelOutcome.CANCELLED
    record = freddy.response(response_id)
    assert record.ended_by == result.request_id
    # The waits between two tries are what it may run for at most.
    assert record.ran_seconds < 2.5
    assert 3 <= methods(freddy).count("DELETE") < 30


def test_a_queued_response_that_ends_before_it_can_be_cancelled_is_no_error(freddy, hook):
    freddy.next_response(duration=0, queued_for=0.2, outcome="failed")
    result = hook.cancel_response(hook.create_response("Hello").id, budget=10)
    assert (result.outcome, result.status) == (CancelOutcome.ALREADY_FINAL, "failed")


def test_a_response_that_stays_queued_is_told_as_one_that_may_still_cost_money(freddy, hook):
    freddy.next_response(queued_for=60)
    response_id = hook.create_response("Hello").id
    with pytest.raises(FreddyCancelNotConfirmedError, match=MAY_RUN) as caught:
        hook.cancel_response(response_id, budget=0.5)
    message = str(caught.value)
    for part in (response_id, "DELETE", "400", "invalid_status", "0.5 s", caught.value.request_id):
        assert part in message
    assert caught.value.http_status == 400
    assert freddy.left_running == [response_id]


def test_a_queued_response_whose_status_cannot_be_told_is_still_cancelled(freddy, hook):
    freddy.next_response(queued_for=0.2)
    response_id = hook.create_response("Hello").id
    freddy.fault("status", method="GET", status=404, times=None)
    assert hook.cancel_response(response_id, budget=10).outcome is CancelOutcome.CANCELLED


@pytest.mark.parametrize("fault", ["drop_after", "garbage"])
def test_a_cancel_whose_reply_is_lost_is_a_success_in_the_end(freddy, hook, fault):
    response_id = hook.create_response("Hello").id
    freddy.fault(fault, method="DELETE", **({"body": "html"} if fault == "garbage" else {}))
    result = hook.cancel_response(response_id)
    assert result.status == "cancelled"
    assert freddy.left_running == []
    assert result.cancelled_at is None or result.cancelled_at.timezone_name == "UTC"


def test_a_lost_reply_means_the_same_request_again_and_then_a_409(freddy, hook):
    response_id = hook.create_response("Hello").id
    freddy.fault("drop_after", method="DELETE")
    result = hook.cancel_response(response_id)
    assert methods(freddy) == ["POST", "DELETE", "DELETE", "GET"]
    assert [request.status for request in freddy.requests] == [200, None, 409, 200]
    assert result.outcome is CancelOutcome.ALREADY_FINAL
    assert result.status == "cancelled"


@pytest.mark.parametrize("body", ["html", "empty", "not_json", "truncated", "wrong_shape", "huge"])
def test_a_garbled_reply_to_a_cancel_is_checked_and_the_cancel_sent_again(freddy, hook, body):
    response_id = hook.create_response("Hello").id
    freddy.fault("garbage", method="DELETE", body=body, work=False)
    result = hook.cancel_response(response_id)
    assert result.outcome is CancelOutcome.CANCELLED
    assert methods(freddy) == ["POST", "DELETE", "GET", "DELETE"]


def test_a_reply_without_a_body_is_no_proof_of_a_cancel(freddy, hook):
    response_id = hook.create_response("Hello").id
    freddy.fault("status", method="DELETE", status=204)
    assert hook.cancel_response(response_id).outcome is CancelOutcome.CANCELLED
    assert freddy.left_running == []


def test_a_cancel_that_is_accepted_but_does_not_take_is_tried_again(freddy, hook):
    response_id = hook.create_response("Hello").id
    body = {"id": response_id, "status": "processing"}
    freddy.fault("status", method="DELETE", status=200, body=body, times=2)
    assert hook.cancel_response(response_id).outcome is CancelOutcome.CANCELLED
    assert methods(freddy).count("DELETE") == 3


def test_a_reply_about_another_response_is_no_proof_of_a_cancel(freddy, hook):
    response_id = hook.create_response("Hello").id
    freddy.fault("status", method="DELETE", status=200, body={"id": "resp_other", "status": "cancelled"})
    hook.cancel_response(response_id)
    assert freddy.left_running == []


def test_garbage_for_ever_ends_with_an_error_that_says_so(freddy, hook):
    response_id = hook.create_response("Hello").id
    freddy.fault("garbage", body="html", work=False, times=None)
    with pytest.raises(FreddyUnexpectedReplyError, match=f"{MAY_RUN}.*HTML"):
        hook.cancel_response(response_id, budget=0.3)


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, FreddyCredentialsError), (403, FreddyPermissionError), (503, FreddyUnavailableError)],
)
def test_an_error_says_that_the_response_may_still_run(freddy, hook, status, error):
    response_id = hook.create_response("Hello").id
    freddy.fault("status", method="DELETE", status=status, times=None)
    with pytest.raises(error, match=MAY_RUN) as caught:
        hook.cancel_response(response_id, budget=0.5)
    assert response_id in str(caught.value)
    assert caught.value.http_status == status


def test_a_response_that_does_not_exist_is_not_said_to_run(hook):
    with pytest.raises(FreddyNotFoundError, match="no response resp_nobody") as caught:
        hook.cancel_response("resp_nobody")
    assert MAY_RUN not in str(caught.value)
