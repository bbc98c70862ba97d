"""What a trigger tells the task that it wakes, read by another process and perhaps by another version."""

from __future__ import annotations

import json

import pytest

from airflow_provider_freddy.core.event import EndReason, WaitEnd
from airflow_provider_freddy.core.reply import ModelResponse

RESPONSE = ModelResponse("resp_1", "completed", usage={"total_tokens": 3}).as_dict()
ENDS = [
    WaitEnd(EndReason.STATUS, "resp_1", RESPONSE, settled=True),
    WaitEnd(EndReason.DEADLINE, "resp_1", message="The time is over."),
    WaitEnd(EndReason.GAVE_UP, "resp_1", message="Words", kind="unavailable"),
]


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.reason.value)
def test_an_event_survives_the_way_through_json(end):
    assert WaitEnd.read(json.loads(json.dumps(end.as_payload()))) == end


@pytest.mark.parametrize(
    "payload",
    [
        None,
        "text",
        [],
        {},
        {"reason": "status", "response_id": "resp_1"},
        {"reason": "status", "response_id": "resp_1", "response": None},
        {"reason": "status", "response_id": "resp_1", "response": {**RESPONSE, "id": "resp_2"}},
        {"reason": "status", "response_id": "resp_1", "response": {**RESPONSE, "status": 5}},
        {"reason": "status", "response_id": "resp_1", "response": "completed"},
        {"reason": "status", "response_id": "", "response": RESPONSE},
        {"reason": "status", "response_id": 5, "response": RESPONSE},
        {"reason": "done", "response_id": "resp_1", "response": RESPONSE},
        {"response_id": "resp_1", "response": RESPONSE},
        {"reason": "deadline"},
    ],
)
def test_what_is_no_event_of_ours_is_refused(payload):
    with pytest.raises(ValueError, match="an event"):
        WaitEnd.read(payload)


def test_what_an_older_version_left_out_is_taken_as_not_known():
    end = WaitEnd.read({"reason": "deadline", "response_id": "resp_1"})
    assert (end.response, end.message, end.settled, end.kind) == (None, "", False, None)


def test_what_a_newer_version_has_added_is_left_out():
    payload = {**ENDS[0].as_payload(), "mood": "good", "message": 5, "kind": ["x"], "settled": "yes"}
    assert WaitEnd.read(payload) == WaitEnd(EndReason.STATUS, "resp_1", RESPONSE)
