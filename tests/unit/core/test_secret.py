"""The API key, blotted out where a reply repeats it."""

import pytest

from airflow_provider_freddy.core.reply import HttpReply
from airflow_provider_freddy.core.secret import without_secret

KEY = 'ak_"12345678'


def body_without(body, key=KEY):
    reply = without_secret(HttpReply(401, {"x-request-id": "req_1"}, body, truncated=True), key)
    assert (reply.status, reply.request_id, reply.truncated) == (401, "req_1", True)
    return reply.body


@pytest.mark.parametrize("written", [b'ak_"12345678', b'ak_\\"12345678'], ids=["as it is", "as JSON"])
def test_the_key_is_blotted_out_wherever_it_is(written):
    assert body_without(b"not " + written + b", no, not " + written) == b"not ***, no, not ***"


def test_a_body_without_it_is_left_as_it_is():
    assert body_without(b"ak_other") == b"ak_other"


@pytest.mark.parametrize(("key", "body"), [("12345678", b"***"), ("1234567", b"1234567")])
def test_a_key_too_short_to_be_one_is_not_looked_for(key, body):
    assert body_without(key.encode(), key) == body
