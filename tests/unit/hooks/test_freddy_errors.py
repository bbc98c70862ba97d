"""What a failed call raises: one class per decision, and a message that says all there is to know."""

from __future__ import annotations

import pickle

import pytest
from airflow.providers.common.compat.sdk import AirflowException

from airflow_provider_freddy import exceptions
from airflow_provider_freddy.core.problem import Problem, ProblemKind
from airflow_provider_freddy.core.request import ApiRequest
from airflow_provider_freddy.exceptions import (
    FreddyCredentialsError,
    FreddyError,
    FreddyInvalidRequestError,
    FreddyNotFoundError,
    FreddyPermissionError,
    FreddyRateLimitedError,
    FreddyResponseEndedError,
    FreddyUnavailableError,
    FreddyUnexpectedReplyError,
    error_for,
)

CALLS = {
    "POST": (lambda hook: hook.create_response("the secret plan", budget=0.3), "/v1/model/response"),
    "GET": (lambda hook: hook.get_response("resp_1", budget=0.3), "/v1/model/response/resp_1"),
    "DELETE": (lambda hook: hook.cancel_response("resp_1", budget=0.3), "/v1/model/response/resp_1"),
}
every_call = pytest.mark.parametrize("method", CALLS)
BY_STATUS = {
    400: FreddyInvalidRequestError,
    401: FreddyCredentialsError,
    403: FreddyPermissionError,
    404: FreddyNotFoundError,
    422: FreddyInvalidRequestError,
    429: FreddyRateLimitedError,
    500: FreddyUnavailableError,
    502: FreddyUnavailableError,
    503: FreddyUnavailableError,
    504: FreddyUnavailableError,
}


def failed(hook, method):
    with pytest.raises(FreddyError) as caught:
        CALLS[method][0](hook)
    return caught.value


def all_classes():
    return [found for found in vars(exceptions).values() if isinstance(found, type) and issubclass(found, FreddyError)]


@every_call
@pytest.mark.parametrize(("status", "error"), BY_STATUS.items())
def test_each_decision_has_its_class_and_the_message_names_the_call(hook, fake_freddy, method, status, error):
    fake_freddy.fault("status", method=method, status=status, code="some_code", message="Some words", times=None)
    caught = failed(hook, method)
    assert type(caught) is error
    assert isinstance(caught, AirflowException)
    request_id = fake_freddy.requests[-1].request_id
    assert (caught.http_status, caught.request_id) == (status, request_id)
    for part in (method, CALLS[method][1], f"HTTP {status}", "some_code", "Some words", request_id):
        assert part in str(caught)
    assert "secret" not in str(caught)
    assert fake_freddy.api_key not in repr(caught)


@every_call
def test_an_error_crosses_processes_with_all_that_it_knows(hook, fake_freddy, method):
    fake_freddy.fault("status", method=method, status=429, retry_after=7, times=None)
    caught = failed(hook, method)
    again = pickle.loads(pickle.dumps(caught))
    assert type(again) is FreddyRateLimitedError
    assert str(again) == str(caught)
    assert again.problem == caught.problem
    assert (again.http_status, again.request_id, again.retry_after) == (429, caught.request_id, 7)


@pytest.mark.parametrize("error", all_classes(), ids=lambda error: error.__name__)
def test_every_class_is_an_airflow_exception_and_can_be_pickled(error):
    caught = pickle.loads(pickle.dumps(error("What happened")))
    assert type(caught) is error
    assert str(caught) == "What happened"
    assert isinstance(caught, AirflowException)
    assert caught.http_status is None
    assert caught.request_id is None


def test_how_a_response_ended_is_pickled_too():
    caught = pickle.loads(pickle.dumps(FreddyResponseEndedError("It failed", "resp_1", "failed")))
    assert (str(caught), caught.response_id, caught.status) == ("It failed", "resp_1", "failed")


@pytest.mark.parametrize("kind", ProblemKind)
def test_every_kind_of_problem_has_a_class(kind):
    problem = Problem(kind, ApiRequest("GET", "/x"), "What happened", retry_after=3.0)
    caught = error_for(problem)
    assert caught.problem is problem
    assert "What happened" in str(caught)
    assert type(caught) is not FreddyError


def test_a_bad_argument_is_a_value_error_as_well(hook):
    with pytest.raises(ValueError, match="response id"):
        hook.get_response("..")


@every_call
@pytest.mark.parametrize("status", [200, 401, 500])
@pytest.mark.parametrize("body", ["html", "empty", "not_json", "truncated", "wrong_shape", "huge"])
def test_a_body_that_is_no_error_and_no_response_is_a_clear_exception(hook, fake_freddy, method, status, body):
    fake_freddy.fault("garbage", body=body, status=status, work=False, times=None)
    caught = failed(hook, method)
    assert type(caught) is BY_STATUS.get(status, FreddyUnexpectedReplyError)
    for part in (method, CALLS[method][1], f"HTTP {status}", caught.request_id):
        assert part in str(caught)
    assert len(str(caught)) < 700


BODIES = ["", "[]", "null", "5", '"x"', "true", "{}", "NaN", "[" * 200_000, '{"error": {"code": 5}}', '{"error": [1]}']


@pytest.mark.parametrize("status", [200, 403])
@pytest.mark.parametrize("body", BODIES, ids=lambda body: body[:25])
def test_json_of_any_other_shape_is_a_clear_exception(hook, fake_freddy, status, body):
    fake_freddy.fault("status", status=status, body=body, times=None)
    assert type(failed(hook, "GET")) is BY_STATUS.get(status, FreddyUnexpectedReplyError)


def test_a_validation_error_tells_what_to_mend_and_not_the_prompt(hook, fake_freddy):
    detail = [{"type": "missing", "loc": ["body", "model"], "msg": "Field required", "input": "the secret plan"}]
    fake_freddy.fault("status", status=422, body={"detail": detail})
    caught = failed(hook, "POST")
    assert type(caught) is FreddyInvalidRequestError
    assert "Field required" in str(caught)
    assert "secret" not in str(caught)


@pytest.mark.parametrize("status", [200, 401, 502])
def test_a_reply_that_repeats_the_key_does_not_put_it_into_the_error(hook, fake_freddy, status):
    fake_freddy.fault("status", status=status, body=f"Authorization: Bearer {fake_freddy.api_key}", times=None)
    caught = failed(hook, "GET")
    assert "Authorization" in str(caught)
    assert fake_freddy.api_key not in str(caught) + repr(caught.problem)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 304])
def test_a_redirect_is_not_followed_and_is_no_answer_of_freddy(hook, fake_freddy, status):
    fake_freddy.fault("status", method="GET", status=status, times=None)
    assert type(failed(hook, "GET")) is FreddyUnexpectedReplyError
    assert len(fake_freddy.requests) == 1


def test_a_lost_reply_to_a_create_warns_of_a_response_that_nobody_knows(hook, fake_freddy):
    fake_freddy.fault("drop_after", method="POST")
    caught = failed(hook, "POST")
    assert type(caught) is FreddyUnavailableError
    assert "may have started a response" in str(caught)
    assert caught.http_status is None


@pytest.mark.parametrize("status", [400, 401, 403, 422, 429])
def test_a_create_that_was_turned_away_does_not_warn_of_a_response(hook, fake_freddy, status):
    fake_freddy.fault("status", method="POST", status=status, times=None)
    assert "may have started" not in str(failed(hook, "POST"))


def test_the_words_are_those_of_this_call_and_not_of_an_error_that_the_caller_handles(new_hook, raw_server):
    server = raw_server(b"")
    server.close()
    hook = new_hook(host=server.url)
    try:
        raise RuntimeError("somebody else's words")
    except RuntimeError:
        caught = failed(hook, "GET")
    assert "Connection refused" in str(caught)
    assert "somebody else" not in str(caught)
