from __future__ import annotations

import math
import re

import pytest

from airflow_provider_freddy.core.request import (
    RESPONSE_PATH,
    cancel_response_request,
    create_response_request,
    get_response_request,
    normalize_inputs,
)

PROMPT = "the secret plan"


def create(inputs="Hello", *, model=None, background=True, **parameters):
    return create_response_request(
        inputs, organization_id="org_1", model=model, background=background, parameters=parameters
    )


@pytest.mark.parametrize(("build", "method"), [(get_response_request, "GET"), (cancel_response_request, "DELETE")])
def test_looking_and_cancelling_name_the_response_in_the_path_and_the_organization_in_the_query(build, method):
    request = build("resp_1", organization_id="org_1")
    assert (request.method, request.path) == (method, "/v1/model/response/resp_1")
    assert request.params == {"organizationId": "org_1"}
    assert request.json is None
    assert request.idempotent


@pytest.mark.parametrize("build", [get_response_request, cancel_response_request])
@pytest.mark.parametrize("response_id", ["a:b", "a@b", "a+b", "a=b", "a~b"])
def test_an_id_cannot_end_the_path(build, response_id):
    path = build(response_id, organization_id="org_1").path
    assert re.fullmatch(re.escape(RESPONSE_PATH) + r"/[A-Za-z0-9%~]+", path)


@pytest.mark.parametrize("build", [get_response_request, cancel_response_request])
@pytest.mark.parametrize(("response_id", "organization_id"), [("..", "org_1"), ("resp_1", "a&b"), ("resp_1", None)])
def test_neither_id_is_taken_unchecked(build, response_id, organization_id):
    with pytest.raises(ValueError, match="id"):
        build(response_id, organization_id=organization_id)


def test_a_create_has_the_snake_case_body_of_the_contract():
    request = create("Hello", model="m", temperature=0, metadata={"a": 1}, thread_id=None, disable_rules=False)
    assert (request.method, request.path, request.params) == ("POST", RESPONSE_PATH, {})
    assert request.json == {
        "organization_id": "org_1",
        "inputs": [{"role": "user", "content": "Hello"}],
        "model": "m",
        "background": True,
        "temperature": 0,
        "metadata": {"a": 1},
        "disable_rules": False,
    }
    assert not request.idempotent


def test_without_a_model_the_api_chooses():
    assert "model" not in create().json


def test_the_prompt_is_not_in_the_representation_of_a_request():
    assert PROMPT not in repr(create(PROMPT, instructions=PROMPT))


@pytest.mark.parametrize("name", ["organization_id", "inputs", "model", "background"])
def test_a_field_is_not_given_twice(name):
    with pytest.raises(ValueError, match=name):
        create_response_request(
            "Hello", organization_id="org_1", model=None, background=True, parameters={name: "again"}
        )


@pytest.mark.parametrize(
    "value",
    [object(), {1, 2}, b"bytes", math.nan, math.inf, {("a", "b"): 1}, [[object()]]],
    ids=lambda value: type(value).__name__,
)
def test_a_parameter_that_json_cannot_hold_is_refused_before_anything_is_sent(value):
    with pytest.raises(ValueError, match="JSON"):
        create(metadata={"x": value})


def test_a_parameter_that_contains_itself_is_refused():
    circle = []
    circle.append(circle)
    with pytest.raises(ValueError, match="JSON"):
        create(tools=circle)


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user", "content": "Hi"},
        {"role": "system", "content": [{"type": "text", "text": "Hi"}]},
        {"role": "assistant", "texts": [{"text": "Hi"}]},
        {"role": "user", "content": "Hi", "name": "more"},
    ],
)
def test_messages_of_both_forms_pass_untouched(message):
    assert normalize_inputs([message]) == [message]
    assert normalize_inputs((message, message)) == [message, message]


@pytest.mark.parametrize("inputs", ["", [], (), None, 5, {}, {"role": "user", "content": "Hi"}, b"Hi", {"a"}])
def test_inputs_that_are_none_are_refused(inputs):
    with pytest.raises(ValueError, match="inputs"):
        normalize_inputs(inputs)


@pytest.mark.parametrize(
    "message",
    [
        None,
        PROMPT,
        [PROMPT],
        {},
        {"content": PROMPT},
        {"role": "robot", "content": PROMPT},
        {"role": ["user"], "content": PROMPT},
        {"role": {}, "content": PROMPT},
        {"role": None, "content": PROMPT},
        {"role": "user"},
        {"role": "user", "content": ""},
        {"role": "user", "content": None, "texts": []},
    ],
    ids=repr,
)
def test_a_message_that_the_api_would_refuse_is_named_by_position_and_never_quoted(message):
    with pytest.raises(ValueError, match=re.escape("inputs[1]")) as caught:
        normalize_inputs([{"role": "user", "content": "Hi"}, message])
    assert PROMPT not in str(caught.value)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: get_response_request("", organization_id="org_1"), "The response id is empty. If it comes"),
        (lambda: get_response_request("resp_1", organization_id=""), "The organization id is empty. If it comes"),
        (
            lambda: create_response_request("Hi", organization_id="", model=None, background=True, parameters={}),
            "The organization id is empty. If it comes",
        ),
        (
            lambda: create_response_request(
                "Hi", organization_id="org_1", model=None, background=True, parameters={"model": "m", "inputs": "x"}
            ),
            "inputs, model must be given as an argument, not in the parameters.",
        ),
        (lambda: create([]), "inputs must be a text or a list of messages, and not empty."),
        (lambda: create([5]), "inputs[0] must be a mapping with role and content, not int."),
        (lambda: create([{"content": "Hi"}]), "inputs[0] needs a role, one of assistant, system, user."),
    ],
)
def test_what_is_wrong_is_named(build, words):
    with pytest.raises(ValueError, match=r"must|needs|is empty") as caught:
        build()
    assert str(caught.value).startswith(words)
