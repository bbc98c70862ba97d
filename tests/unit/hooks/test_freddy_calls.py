"""Create, get and cancel over a real connection to the fake Freddy: arguments, results, and what is never sent."""

from __future__ import annotations

import math

import pendulum
import pytest

from airflow_provider_freddy.core.cancel import CancelOutcome
from airflow_provider_freddy.exceptions import FreddyInvalidRequestError
from airflow_provider_freddy.testing import FakeFreddy
from tests.unit.hooks.conftest import KEY


@pytest.fixture(params=["status", "background"])
def either(request, new_hook):
    """Give a fake of either vocabulary and a hook for it."""
    with FakeFreddy(api_key=KEY, vocabulary=request.param) as freddy:
        yield freddy, new_hook(freddy)


def test_a_response_is_started_with_all_that_was_given(hook, fake_freddy):
    response = hook.create_response(
        "Hello", model="m", temperature=0.5, metadata={"run": "1"}, thread_id=None, disable_rules=False
    )
    (record,) = fake_freddy.responses
    assert record.id == response.id
    assert record.organization_id == fake_freddy.organization_id
    assert record.inputs == [{"role": "user", "content": "Hello"}]
    assert record.metadata == {"run": "1"}
    assert record.parameters == {"model": "m", "background": True, "temperature": 0.5, "disable_rules": False}


def test_a_started_response_comes_back_typed(either):
    _, hook = either
    response = hook.create_response("Hello")
    assert response.status == "queued"
    assert not response.is_final
    assert isinstance(response.created_at, pendulum.DateTime)
    assert response.created_at.utcoffset().total_seconds() == 0
    assert response.request_id


def test_messages_of_the_older_form_are_taken(hook, fake_freddy):
    hook.create_response([{"role": "user", "texts": [{"text": "Hello"}]}])
    assert fake_freddy.responses[0].inputs == [{"role": "user", "texts": [{"text": "Hello"}]}]


def test_a_response_that_is_not_in_the_background_comes_back_finished(hook, fake_freddy):
    fake_freddy.next_response(duration=0.05)
    response = hook.create_response("Hello", background=False)
    assert response.status == "completed"
    assert response.output


def test_a_look_tells_the_status_and_the_progress(either):
    _, hook = either
    response_id = hook.create_response("Hello").id
    response = hook.get_response(response_id)
    assert response.id == response_id
    assert response.status in {"processing", "in_progress"}
    assert response.progress["percentage"] == 0
    assert isinstance(response.started_at, pendulum.DateTime)
    assert response.completed_at is None


@pytest.mark.parametrize("outcome", ["completed", "failed"])
def test_a_look_at_an_ended_response_tells_its_end(either, outcome):
    freddy, hook = either
    freddy.next_response(duration=0, outcome=outcome)
    response = hook.get_response(hook.create_response("Hello").id)
    assert response.status == outcome
    assert response.is_final
    assert isinstance(response.completed_at, pendulum.DateTime)
    assert bool(response.output) == (outcome == "completed")
    assert bool(response.error) == (outcome == "failed")


def test_a_cancel_stops_the_response_and_tells_when(either):
    freddy, hook = either
    response_id = hook.create_response("Hello").id
    before = pendulum.now("UTC").start_of("second")
    result = hook.cancel_response(response_id)
    assert freddy.left_running == []
    assert (result.response_id, result.outcome, result.status) == (response_id, CancelOutcome.CANCELLED, "cancelled")
    assert isinstance(result.cancelled_at, pendulum.DateTime)
    assert result.cancelled_at.timezone_name == "UTC"
    assert before <= result.cancelled_at <= pendulum.now("UTC")
    assert result.request_id == freddy.response(response_id).ended_by


def test_every_call_names_the_organization_and_says_who_asks(hook, fake_freddy):
    response_id = hook.create_response("Hello").id
    hook.get_response(response_id)
    hook.cancel_response(response_id)
    assert [(request.method, request.query) for request in fake_freddy.requests] == [
        ("POST", {}),
        ("GET", {"organizationId": fake_freddy.organization_id}),
        ("DELETE", {"organizationId": fake_freddy.organization_id}),
    ]
    for request in fake_freddy.requests:
        assert request.user_agent.startswith("airflow-provider-freddy/")
        assert "apache-airflow/" in request.user_agent
        assert request.headers["accept"] == "application/json"


def test_a_call_can_name_another_organization(new_hook, fake_freddy):
    hook = new_hook(fake_freddy, extra={"organization_id": "org_of_others"})
    response_id = hook.create_response("Hello", organization_id=fake_freddy.organization_id).id
    hook.get_response(response_id, organization_id=fake_freddy.organization_id)
    hook.cancel_response(response_id, organization_id=fake_freddy.organization_id)
    assert fake_freddy.left_running == []


CALLS = {
    "create": lambda hook, **options: hook.create_response("Hello", **options),
    "get": lambda hook, **options: hook.get_response("resp_1", **options),
    "cancel": lambda hook, **options: hook.cancel_response("resp_1", **options),
}
calls = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


@calls
@pytest.mark.parametrize("organization_id", [None, "", " "])
def test_without_an_organization_nothing_is_sent(new_hook, fake_freddy, call, organization_id):
    hook = new_hook(fake_freddy, extra={"organization_id": organization_id})
    with pytest.raises(FreddyInvalidRequestError, match=r"organization.*Nothing was sent"):
        call(hook)
    assert fake_freddy.requests == []


@calls
@pytest.mark.parametrize("organization_id", ["", "None", "..", "a&b=c", "a/b", "a\n", "x" * 10_000, 5, ["org_1"]])
def test_an_organization_that_is_none_is_not_sent(hook, fake_freddy, call, organization_id):
    with pytest.raises(FreddyInvalidRequestError, match="Nothing was sent"):
        call(hook, organization_id=organization_id)
    assert fake_freddy.requests == []


@calls
@pytest.mark.parametrize("budget", [0, -1, math.nan, math.inf, "5", None, True])
def test_a_budget_that_is_none_is_told_before_anything_is_sent(hook, fake_freddy, call, budget):
    with pytest.raises(FreddyInvalidRequestError, match=r"budget.*Nothing was sent"):
        call(hook, budget=budget)
    assert fake_freddy.requests == []


@pytest.mark.parametrize("method", ["get_response", "cancel_response"])
@pytest.mark.parametrize(
    "response_id",
    [
        *["../x", ".", "..", "", " ", "None", "null", None, 5, "x" * 10_000, "a/b", "a?b", "a#b", "a%2Fb", "%2e%2e"],
        *["\n", "resp_1\n", "résp", "日本", "\ud800", "a b", "a\\b", "['resp_1']", ["resp_1"], b"resp_1", "a\x00b"],
    ],
    ids=lambda value: repr(value)[:20],
)
def test_what_is_no_id_never_reaches_the_server(hook, fake_freddy, method, response_id):
    with pytest.raises(FreddyInvalidRequestError, match=r"response id.*Nothing was sent") as caught:
        getattr(hook, method)(response_id)
    assert len(str(caught.value)) < 400
    assert fake_freddy.requests == []
    assert fake_freddy.connections == 0


@pytest.mark.parametrize(
    ("inputs", "parameters"),
    [
        ("", {}),
        ([], {}),
        (None, {}),
        ([{"role": "robot", "content": "x"}], {}),
        ([{"role": ["user"], "content": "x"}], {}),
        ("Hello", {"inputs_": object()}),
        ("Hello", {"temperature": math.nan}),
        ("Hello", {"tools": {1, 2}}),
        ([{"role": "user", "content": b"bytes"}], {}),
    ],
)
def test_a_create_that_makes_no_sense_is_not_sent(hook, fake_freddy, inputs, parameters):
    with pytest.raises(FreddyInvalidRequestError, match="Nothing was sent"):
        hook.create_response(inputs, **parameters)
    assert fake_freddy.requests == []


@pytest.mark.parametrize("text", ["日本 ä 🙂", "\ud800", "\x00\u2028", 'quo"te\\', "x" * 1_000_000])
def test_any_text_can_be_a_prompt(hook, fake_freddy, text):
    hook.create_response(text)
    assert fake_freddy.responses[0].inputs[0]["content"] == text
