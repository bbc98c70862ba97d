"""What is said and decided when a request got no reply."""

import pytest

from airflow_provider_freddy.core import failure
from airflow_provider_freddy.core.problem import Problem, ProblemKind
from airflow_provider_freddy.core.request import ApiRequest

POST = ApiRequest("POST", "/v1/model/response")
DOWN = ProblemKind.UNAVAILABLE


@pytest.mark.parametrize(
    ("describe", "kind", "words"),
    [
        (lambda: failure.not_sent(POST, "no such CA file"), ProblemKind.INVALID_REQUEST, "Not sent: no such CA file."),
        (lambda: failure.no_connection(POST, "refused."), DOWN, "No connection: refused."),
        (lambda: failure.no_connection_in_time(POST, 5), DOWN, "No connection within 5.0 s."),
        (lambda: failure.tls_failed(POST, "expired", in_handshake=True), DOWN, "TLS failed: expired."),
        (lambda: failure.proxy_failed(POST), DOWN, "The proxy did not connect."),
    ],
)
def test_what_freddy_cannot_have_acted_on_is_not_said_to_cost_money(describe, kind, words):
    assert describe() == Problem(kind, POST, words, maybe_processed=False)


@pytest.mark.parametrize(
    ("describe", "kind", "words"),
    [
        (lambda: failure.no_reply_in_time(POST, 29.96), DOWN, "No reply within 30.0 s."),
        (lambda: failure.tls_failed(POST, "broke", in_handshake=False), DOWN, "TLS failed: broke."),
        (lambda: failure.too_many_redirects(POST), ProblemKind.UNEXPECTED_REPLY, "Too many redirects."),
        (lambda: failure.connection_broke(POST, "reset"), DOWN, "The connection broke: reset."),
    ],
)
def test_what_freddy_may_have_acted_on_may_have_started_a_response(describe, kind, words):
    assert describe() == Problem(kind, POST, words, maybe_processed=True)


def test_a_reply_that_did_not_end_keeps_what_was_read_of_it():
    assert failure.reply_too_slow(POST, 200, "req_1") == Problem(
        DOWN, POST, "The reply did not end in time.", 200, request_id="req_1", maybe_processed=True
    )


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConnectionRefusedError(111, "Connection refused"), "Connection refused"),
        (ValueError("odd"), "odd"),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_the_words_of_an_error_are_the_plainest_it_has(error, words):
    assert failure.words_of(error) == words
