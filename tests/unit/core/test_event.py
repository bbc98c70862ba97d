"""What a trigger tells the task that it wakes, read by another process and perhaps by another version."""

from __future__ import annotations

import json

import pytest

from airflow_provider_freddy.core.event import EndReason, WaitEnd
from airflow_provider_freddy.core.reply import ModelResponse

RESPONSE = ModelResponse("resp_1", "completed", usage={"total_tokens": 3}).as_dict()
FOREIGN = "with something else than the response that was waited for"
ENDS = [
    WaitEnd(EndReason.STATUS, "resp_1", RESPONSE, settled=True),
    WaitEnd(EndReason.DEADLINE, "resp_1", message="The time is over."),
    WaitEnd(EndReason.GAVE_UP, "resp_1", message="Words", kind="unavailable"),
]


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.reason.value)
def test_an_event_survives_the_way_through_json(end):
    payload = end.as_payload()
    assert WaitEnd.read(json.loads(json.dumps(payload))) == end
    # An enum is more than every serializer of Airflow takes.
    assert type(payload["reason"]) is str


@pytest.mark.parametrize(
    ("payload", "what"),
    [
        (None, "that is NoneType, not an object"),
        ("text", "that is str, not an object"),
        ([], "that is list, not an object"),
        ({}, "with the reason 'None'"),
        ({"response_id": "resp_1", "response": RESPONSE}, "with the reason 'None'"),
        ({"reason": "done", "response_id": "resp_1", "response": RESPONSE}, "with the reason 'done'"),
        ({"reason": "x" * 99}, f"with the reason '{'x' * 40}'"),
        ({"reason": "deadline"}, "without a response id"),
        ({"reason": "deadline", "response_id": ""}, "without a response id"),
        ({"reason": "deadline", "response_id": 5}, "without a response id"),
        ({"reason": "status", "response_id": "resp_1"}, "without the response"),
        ({"reason": "status", "response_id": "resp_1", "response": None}, "without the response"),
        ({"reason": "status", "response_id": "resp_1", "response": {**RESPONSE, "id": "resp_2"}}, FOREIGN),
        ({"reason": "status", "response_id": "resp_1", "response": {**RESPONSE, "status": 5}}, FOREIGN),
        ({"reason": "status", "response_id": "resp_1", "response": "completed"}, FOREIGN),
    ],
)
def test_what_is_no_event_of_ours_is_refused_in_words_that_end_a_sentence(payload, what):
    with pytest.raises(ValueError, match="an event") as caught:
        WaitEnd.read(payload)
    assert str(caught.value) == f"an event {what}"


def test_what_an_older_version_left_out_is_taken_as_not_known():
    end = WaitEnd.read({"reason": "deadline", "response_id": "resp_1"})
    assert (end.response, end.message, end.settled, end.kind) == (None, "", False, None)


def test_what_a_newer_version_has_added_is_left_out():
    payload = {**ENDS[0].as_payload(), "mood": "good", "message": 5, "kind": ["x"], "settled": "yes"}
    assert WaitEnd.read(payload) == WaitEnd(EndReason.STATUS, "resp_1", RESPONSE)
