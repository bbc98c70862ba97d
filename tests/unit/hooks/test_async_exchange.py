"""Retries, time budgets, and one pace for all who use the same exchange."""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from airflow_provider_freddy.core.cancel import CancelOutcome, CancelResult, cancel_steps
from airflow_provider_freddy.core.problem import Problem, ProblemKind
from airflow_provider_freddy.core.reply import ModelResponse
from airflow_provider_freddy.core.retry import Budget
from airflow_provider_freddy.hooks.async_exchange import AsyncExchange
from airflow_provider_freddy.hooks.async_transport import AsyncTransport
from tests.unit.hooks.both_sides import build, with_exchange
from tests.unit.hooks.raw_http import http_reply

STATUSES = [("status", {"status": status}) for status in (408, 425, 429, 500, 502, 503, 504)]
TROUBLES = [("drop_before", {}), ("drop_after", {}), *STATUSES]
every_method = pytest.mark.parametrize("method", ["GET", "DELETE"])


@pytest.fixture
def response_id(hook):
    return hook.create_response("Hello").id


def sent(freddy, method):
    return [request for request in freddy.requests if request.method == method]


def ask(hook, response_id, method="GET", budget=10.0):
    request = build(method, response_id, "org_fake")
    return asyncio.run(
        with_exchange(hook, lambda exchange: exchange.ask(request, Budget(budget), response_id=response_id))
    )


def cancel(hook, response_id, budget=10.0, **options):
    async def follow(exchange):
        limit = Budget(budget)
        options_ = {"organization_id": "org_fake", "budget": limit, "tell_status": False, **options}
        return await exchange.follow(cancel_steps(response_id, **options_), limit, response_id)

    return asyncio.run(with_exchange(hook, follow))


@every_method
@pytest.mark.parametrize(("kind", "options"), TROUBLES)
def test_a_request_is_sent_again_when_the_trouble_can_pass(
    hook, fake_freddy, monkeypatch, response_id, method, kind, options
):
    monkeypatch.setattr("airflow_provider_freddy.core.pace.FIRST_PAUSE", 0.02)
    fake_freddy.fault(kind, method=method, times=3, **options)
    answer = ask(hook, response_id, method)
    # What was done before the connection broke cannot be done again.
    assert isinstance(answer, ModelResponse) or answer.kind is ProblemKind.ALREADY_FINAL
    # aiohttp itself sends once more what a kept connection has lost.
    assert len(sent(fake_freddy, method)) in ({2, 3, 4} if kind.startswith("drop") else {4})


@every_method
@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_a_refusal_is_not_sent_again(hook, fake_freddy, method, status):
    fake_freddy.fault("status", status=status, code="no", times=None)
    assert ask(hook, "resp_1", method).http_status == status
    assert len(fake_freddy.requests) == 1


@every_method
@pytest.mark.parametrize("fault", [("hang", {}), ("status", {"status": 503}), ("drop_before", {})], ids=lambda f: f[0])
def test_every_call_ends_within_its_budget(hook, fake_freddy, method, fault):
    fake_freddy.fault(fault[0], times=None, **fault[1])
    start = time.monotonic()
    assert isinstance(ask(hook, "resp_1", method, budget=0.4), Problem)
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("retry_after", [3600, "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_a_retry_after_beyond_the_budget_gives_up_at_once(hook, fake_freddy, status, retry_after):
    fake_freddy.fault("status", status=status, retry_after=retry_after, times=None)
    answer = ask(hook, "resp_1", budget=30)
    assert answer.retry_after >= 3600
    assert len(fake_freddy.requests) == 1


def test_a_retry_after_date_is_waited_for(hook, fake_freddy, response_id):
    until = (datetime.now(UTC) + timedelta(seconds=2)).replace(microsecond=0)
    fake_freddy.fault("status", method="GET", status=429, retry_after=format_datetime(until, usegmt=True))
    assert isinstance(ask(hook, response_id), ModelResponse)
    assert fake_freddy.requests[-1].at >= until.timestamp()


@pytest.mark.parametrize("status", [429, 503])
def test_when_one_is_asked_to_wait_all_wait(hook, fake_freddy, response_id, status):
    fake_freddy.fault("status", method="GET", status=status, retry_after=0.6)

    async def all_ask(exchange):
        request = build("GET", response_id, "org_fake")
        await exchange.ask_once(request, Budget(5))
        return await asyncio.gather(*(exchange.ask(request, Budget(10), response_id=response_id) for _ in range(50)))

    answers = asyncio.run(with_exchange(hook, all_ask))
    assert {answer.status for answer in answers} == {"processing"}
    refused, *later = [request.at for request in sent(fake_freddy, "GET")]
    assert len(later) == 50
    assert min(later) - refused >= 0.6


def test_who_has_less_time_than_the_pause_is_told_at_once_and_sends_nothing(hook, fake_freddy, response_id):
    fake_freddy.fault("status", method="GET", status=429, retry_after=60)

    async def two(exchange):
        request = build("GET", response_id, "org_fake")
        await exchange.ask_once(request, Budget(5))
        return await exchange.ask(request, Budget(2))

    answer = asyncio.run(with_exchange(hook, two))
    assert (answer.kind, answer.maybe_processed) == (ProblemKind.RATE_LIMITED, False)
    assert answer.retry_after > 50
    assert len(sent(fake_freddy, "GET")) == 1


def test_a_limit_that_is_used_up_stops_everybody_until_it_is_renewed(new_hook, raw_server):
    body = {"id": "resp_1", "status": "processing"}
    limits = {"x_ratelimit_limit_requests": 10, "x_ratelimit_remaining_requests": 0}
    server = raw_server(http_reply(body, x_ratelimit_reset_requests="500ms", **limits))

    async def two(exchange):
        await exchange.ask(build(), Budget(5))
        start = time.monotonic()
        await exchange.ask(build(), Budget(5))
        return time.monotonic() - start

    assert asyncio.run(with_exchange(new_hook(host=server.url), two)) >= 0.5


def test_pauses_are_shared_with_a_session_that_replaces_another(hook, fake_freddy, response_id):
    fake_freddy.fault("status", method="GET", status=429, retry_after=30)

    async def main():
        first = AsyncExchange(await AsyncTransport(hook.settings).open())
        await first.ask_once(build("GET", response_id, "org_fake"), Budget(5))
        second = AsyncExchange(await AsyncTransport(hook.settings).open(), pace=first.pace)
        answer = await second.ask(build("GET", response_id, "org_fake"), Budget(1))
        await first.sender.close()
        await second.sender.close()
        return answer

    assert asyncio.run(main()).kind is ProblemKind.RATE_LIMITED


def test_a_cancel_that_was_done_although_its_reply_got_lost_is_a_success(hook, fake_freddy, response_id):
    fake_freddy.fault("drop_after", method="DELETE")
    assert isinstance(cancel(hook, response_id), CancelResult)
    assert fake_freddy.left_running == []


def test_a_queued_response_is_cancelled_as_soon_as_it_can_be(hook, fake_freddy):
    fake_freddy.next_response(queued_for=0.4)
    response_id = hook.create_response("Hello").id
    assert cancel(hook, response_id).outcome is CancelOutcome.CANCELLED
    assert fake_freddy.left_running == []


@pytest.mark.parametrize("verify", [False, True])
def test_verifying_a_cancel_costs_one_look(hook, fake_freddy, response_id, verify):
    assert cancel(hook, response_id, verify=verify).outcome is CancelOutcome.CANCELLED
    assert (len(sent(fake_freddy, "DELETE")), len(sent(fake_freddy, "GET"))) == (1, int(verify))


def test_a_cancel_is_given_up_when_its_time_is_over(hook, fake_freddy):
    fake_freddy.next_response(queued_for=60)
    response_id = hook.create_response("Hello").id
    answer = cancel(hook, response_id, budget=0.4)
    assert answer.kind is ProblemKind.CANCEL_NOT_CONFIRMED


def test_a_line_per_call_only_if_wanted_and_never_with_the_key(hook, fake_freddy, response_id, caplog):
    caplog.set_level(logging.INFO)

    async def main(log):
        exchange = AsyncExchange(await AsyncTransport(hook.settings).open(), log)
        for _ in range(3):
            await exchange.ask(build("GET", response_id, "org_fake"), Budget(5))
        await exchange.sender.close()

    asyncio.run(main(None))
    assert [record for record in caplog.records if "/v1/model" in record.getMessage()] == []
    asyncio.run(main(logging.getLogger("exchange_under_test")))
    lines = [record.getMessage() for record in caplog.records if "/v1/model" in record.getMessage()]
    assert len(lines) == 1
    assert hook.settings.api_key not in caplog.text
