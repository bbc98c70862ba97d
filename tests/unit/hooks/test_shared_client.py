"""One look-up and one session for all triggers of a connection, whatever happens to the first of them."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
import types
import warnings

import pytest

from airflow_provider_freddy.core.cancel import CancelOutcome
from airflow_provider_freddy.core.problem import Problem, ProblemKind
from airflow_provider_freddy.core.reply import ModelResponse
from airflow_provider_freddy.hooks import shared_client as module
from airflow_provider_freddy.hooks.async_transport import DEFAULT_LIMIT
from airflow_provider_freddy.hooks.freddy import FreddyHook
from airflow_provider_freddy.hooks.shared_client import shared_client
from airflow_provider_freddy.testing import FakeFreddy
from tests.unit.hooks.conftest import KEY


@pytest.fixture
def response_id(hook):
    created = hook.create_response("Hello").id
    hook.close()
    return created


@pytest.fixture
def lookups(monkeypatch):
    """Count the look-ups of the connection; what is put into ``delay`` and ``error`` happens to them."""

    class Lookups:
        count, delay, error = 0, 0.0, None

    original = FreddyHook.get_connection

    def counted(conn_id):
        Lookups.count += 1
        time.sleep(Lookups.delay)
        if Lookups.error:
            raise Lookups.error
        return original(conn_id)

    monkeypatch.setattr(FreddyHook, "get_connection", staticmethod(counted))
    return Lookups


def look(client, response_id):
    return client.look(response_id, None)


async def look_many(response_id, number=100):
    async def one():
        with shared_client("freddy_default") as client:
            return await look(client, response_id)

    return await asyncio.gather(*(one() for _ in range(number)))


async def until_closed():
    """Wait until the session is closed."""
    for _ in range(500):
        if not module._clients.get(asyncio.get_running_loop()):
            return
        await asyncio.sleep(0.01)
    raise TimeoutError


def test_a_thousand_triggers_share_one_lookup_and_a_bounded_number_of_sockets(fake_freddy, response_id, lookups):
    before = fake_freddy.connections
    answers = asyncio.run(look_many(response_id, 1000))
    assert {answer.status for answer in answers} == {"processing"}
    assert lookups.count == 1
    assert fake_freddy.connections - before <= DEFAULT_LIMIT


def test_a_cancel_waits_for_no_look(fake_freddy, response_id):
    fake_freddy.fault("delay", method="GET", times=None, seconds=1.0)

    async def cancel_among_looks():
        looks = asyncio.ensure_future(look_many(response_id, 200))
        await asyncio.sleep(0.3)
        with shared_client("freddy_default") as client:
            result = await client.cancel(response_id, None, 20)
        done = looks.done()
        await looks
        return result, done

    result, looks_were_done = asyncio.run(cancel_among_looks())
    assert result.outcome is CancelOutcome.CANCELLED
    methods = [request.method for request in fake_freddy.requests[1:]]
    assert not looks_were_done
    assert methods.index("DELETE") <= module.LOOKS_AT_ONCE


def test_a_thousand_cancels_at_once_share_a_few_connections(hook, fake_freddy):
    ids = [hook.create_response("Hello").id for _ in range(1000)]
    before = len(fake_freddy.requests)

    async def cancel_all():
        with shared_client("freddy_default") as client:
            return await asyncio.gather(*(client.cancel(response_id, None, 30) for response_id in ids))

    outcomes = {result.outcome for result in asyncio.run(cancel_all())}
    assert outcomes == {CancelOutcome.CANCELLED}
    requests = fake_freddy.requests[before:]
    assert len(requests) == 1000
    assert len({request.client for request in requests}) <= module.CANCELS_AT_ONCE <= 32
    assert module.LOOKS_AT_ONCE + module.CANCELS_AT_ONCE <= DEFAULT_LIMIT


def test_responses_that_cannot_be_cancelled_yet_keep_no_other_from_its_cancel(hook, fake_freddy):
    for _ in range(2 * module.CANCELS_AT_ONCE):
        fake_freddy.next_response(queued_for=60)
    queued = [hook.create_response("Hello").id for _ in range(2 * module.CANCELS_AT_ONCE)]
    running = [hook.create_response("Hello").id for _ in range(20)]

    async def cancel_all():
        with shared_client("freddy_default") as client:
            await asyncio.gather(*(client.cancel(response_id, None, 3) for response_id in [*queued, *running]))

    asyncio.run(cancel_all())
    assert set(fake_freddy.left_running) == set(queued)


def test_a_look_up_that_hangs_is_a_failed_look(response_id, lookups, monkeypatch):
    monkeypatch.setattr(module, "LOOK_UP_SECONDS", 0.1)
    lookups.delay = 1.0
    (answer,) = asyncio.run(look_many(response_id, 1))
    assert isinstance(answer, Problem)
    assert "Airflow has not given it within 0.1 s" in str(answer)


def test_sockets_are_kept_from_one_look_to_the_next(fake_freddy, response_id):
    async def rounds():
        with shared_client("freddy_default") as client:
            for _ in range(5):
                await asyncio.gather(*(look(client, response_id) for _ in range(10)))

    before = fake_freddy.connections
    asyncio.run(rounds())
    assert fake_freddy.connections - before <= 10


def test_the_others_do_not_notice_that_the_first_user_is_cancelled_during_the_lookup(response_id, lookups):
    lookups.delay = 0.2

    async def main():
        first = asyncio.ensure_future(look_many(response_id, 1))
        await asyncio.sleep(0.05)
        others = asyncio.ensure_future(look_many(response_id, 10))
        await asyncio.sleep(0.05)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        return await others

    assert {answer.status for answer in asyncio.run(main())} == {"processing"}
    assert lookups.count == 1


def test_a_lookup_that_outlives_its_users_leaves_no_session_behind(monkeypatch, response_id, lookups):
    monkeypatch.setattr(module, "LINGER_SECONDS", 0.05)
    lookups.delay = 0.3

    async def main():
        alone = asyncio.ensure_future(look_many(response_id, 1))
        await asyncio.sleep(0.05)
        alone.cancel()
        await asyncio.sleep(0.6)
        return [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert asyncio.run(main()) == []
        gc.collect()
    assert [warning for warning in caught if "nclosed" in str(warning.message)] == []


def test_a_rotated_key_is_looked_up_when_the_old_one_is_refused(
    monkeypatch, new_hook, fake_freddy, response_id, lookups
):
    monkeypatch.setattr(module, "SOONEST_RENEWAL", 0.0)

    async def main():
        with shared_client("freddy_default") as client:
            assert (await look(client, response_id)).status == "processing"
            fake_freddy.rotate_key("ak_" + "next" * 10)
            new_hook(fake_freddy)
            return await asyncio.gather(*(look(client, response_id) for _ in range(50)))

    answers = asyncio.run(main())
    assert {answer.status for answer in answers} == {"processing"}
    assert lookups.count == 2


def test_a_cancel_with_a_refused_key_looks_the_connection_up_again(monkeypatch, new_hook, fake_freddy, response_id):
    monkeypatch.setattr(module, "SOONEST_RENEWAL", 0.0)

    async def main():
        with shared_client("freddy_default") as client:
            await look(client, response_id)
            fake_freddy.rotate_key("ak_" + "next" * 10)
            new_hook(fake_freddy)
            return await client.cancel(response_id, None, 5)

    assert asyncio.run(main()).outcome is CancelOutcome.CANCELLED
    assert fake_freddy.left_running == []


def test_a_key_that_stays_refused_is_not_looked_up_again_and_again(fake_freddy, response_id, lookups):
    fake_freddy.rotate_key("ak_" + "next" * 10)

    async def main():
        with shared_client("freddy_default") as client:
            return [await look(client, response_id) for _ in range(20)]

    answers = asyncio.run(main())
    assert {answer.kind for answer in answers} == {ProblemKind.CREDENTIALS}
    assert lookups.count == 1
    assert len([request for request in fake_freddy.requests if request.method == "GET"]) == 20


def test_a_changed_connection_is_used_after_a_while(monkeypatch, new_hook, fake_freddy, response_id, lookups):
    monkeypatch.setattr(module, "RENEW_SECONDS", 0.05)

    async def main(other):
        with shared_client("freddy_default") as client:
            assert isinstance(await look(client, response_id), ModelResponse)
            new_hook(other)
            for _ in range(200):
                if isinstance(await look(client, response_id), Problem):
                    return True
                await asyncio.sleep(0.01)
        return False

    with FakeFreddy(api_key=KEY) as other:
        assert asyncio.run(main(other))
    assert lookups.count >= 2


def test_an_unchanged_connection_keeps_its_session(monkeypatch, fake_freddy, response_id, lookups):
    monkeypatch.setattr(module, "RENEW_SECONDS", 0.01)

    async def main():
        with shared_client("freddy_default") as client:
            for _ in range(10):
                await look(client, response_id)
                await asyncio.sleep(0.02)

    before = fake_freddy.connections
    asyncio.run(main())
    assert lookups.count > 3
    assert fake_freddy.connections - before == 1


def test_a_lookup_that_fails_is_not_repeated_at_once_and_says_what_is_wrong(monkeypatch, response_id, lookups):
    lookups.error = RuntimeError("the secrets backend is away")

    async def main():
        with shared_client("freddy_default") as client:
            answers = [await look(client, response_id) for _ in range(50)]
            assert lookups.count == 1
            lookups.error = None
            monkeypatch.setattr(module, "SOONEST_RENEWAL", 0.0)
            return answers, await look(client, response_id)

    answers, later = asyncio.run(main())
    assert {answer.kind for answer in answers} == {ProblemKind.CREDENTIALS}
    assert "the secrets backend is away" in str(answers[-1])
    assert later.status == "processing"


def test_a_lookup_that_fails_later_keeps_the_last_connection(monkeypatch, response_id, lookups):
    monkeypatch.setattr(module, "RENEW_SECONDS", 0.01)

    async def main():
        with shared_client("freddy_default") as client:
            await look(client, response_id)
            lookups.error = RuntimeError("the secrets backend is away")
            for _ in range(5):
                await asyncio.sleep(0.02)
                assert (await look(client, response_id)).status == "processing"

    asyncio.run(main())
    assert lookups.count > 1


@pytest.mark.parametrize("fields", [{"host": "ftp://freddy.invalid"}, {"password": ""}])
def test_a_connection_that_makes_no_sense_is_told(new_hook, fields):
    new_hook(**fields)
    answer = asyncio.run(look_many("resp_1", 1))[0]
    assert answer.kind in {ProblemKind.CREDENTIALS, ProblemKind.INVALID_REQUEST}
    assert "freddy_default" in str(answer)


def test_a_certificate_that_is_not_there_is_told(new_hook):
    new_hook(host="https://127.0.0.1:1", extra={"verify": "/nowhere/ca.pem"})
    answer = asyncio.run(look_many("resp_1", 1))[0]
    assert answer.kind is ProblemKind.INVALID_REQUEST
    assert "/nowhere/ca.pem" in str(answer)


def test_without_any_organization_nothing_is_asked(new_hook, fake_freddy):
    connection = json.loads(fake_freddy.connection_json())
    new_hook(host=connection["host"], password=connection["password"], extra={"organization_id": ""})
    answer = asyncio.run(look_many("resp_1", 1))[0]
    assert answer.kind is ProblemKind.INVALID_REQUEST
    assert "organization" in str(answer)
    assert fake_freddy.requests == []


def test_the_next_event_loop_gets_a_client_of_its_own(response_id, lookups):
    for _ in range(3):
        assert asyncio.run(look_many(response_id, 3))[0].status == "processing"
    assert lookups.count == 3
    assert [loop for loop in module._clients if not loop.is_closed()] == []


def test_connections_that_the_server_has_closed_while_idle_cost_no_look(fake_freddy, response_id):
    async def main():
        with shared_client("freddy_default") as client:
            await asyncio.gather(*(look(client, response_id) for _ in range(10)))
            await asyncio.to_thread(fake_freddy.stop)
            await asyncio.to_thread(fake_freddy.start)
            return await asyncio.gather(*(look(client, response_id) for _ in range(10)))

    assert {answer.status for answer in asyncio.run(main())} == {"processing"}


def test_the_session_is_closed_soon_after_its_last_user_and_not_before(monkeypatch, fake_freddy, response_id, lookups):
    monkeypatch.setattr(module, "LINGER_SECONDS", 0.1)

    async def main():
        with shared_client("freddy_default") as client:
            await look(client, response_id)
            await asyncio.sleep(0.3)
            session = client._exchange.sender.session
            assert not session.closed
        # The next one comes soon enough.
        await look_many(response_id, 1)
        assert not session.closed
        await until_closed()
        await asyncio.sleep(0.05)
        assert session.closed
        assert lookups.count == 1
        await look_many(response_id, 1)
        assert lookups.count == 2

    asyncio.run(main())


def test_the_end_of_the_event_loop_leaves_no_session_open(monkeypatch, fake_freddy, new_hook, response_id):
    monkeypatch.setattr(module, "SOONEST_RENEWAL", 0.0)

    async def main():
        await look_many(response_id, 5)
        fake_freddy.rotate_key("ak_" + "next" * 10)
        new_hook(fake_freddy)
        # The session that is replaced is kept a while for what is under way.
        await look_many(response_id, 5)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        asyncio.run(main())
        gc.collect()
    assert [str(warning.message) for warning in caught if warning.category is ResourceWarning] == []


def test_two_connections_do_not_share(new_hook, fake_freddy, response_id, lookups):
    async def main():
        with shared_client("freddy_default") as one, shared_client("freddy_other") as other:
            assert one is not other
            assert one.pace is not other.pace
            return await look(one, response_id), await other.look(response_id, None)

    with FakeFreddy(api_key=KEY) as second:
        new_hook(second, conn_id="freddy_other")
        mine, others = asyncio.run(main())
    assert mine.status == "processing"
    assert others.kind is ProblemKind.NOT_FOUND
    assert lookups.count == 2


@pytest.mark.parametrize("in_dag_test", [False, True])
def test_a_fresh_triggerer_is_woken_but_never_dag_test_which_would_mix_up_its_tasks(
    monkeypatch, fake_freddy_connection, in_dag_test
):
    questions = []
    monkeypatch.setattr(module, "states_of_run", lambda *which: questions.append(which))
    response = FreddyHook().create_response("Hello")

    class Comms:
        pass

    if in_dag_test:
        Comms.supervisor = "of dag.test()"
    runner = types.SimpleNamespace(SUPERVISOR_COMMS=Comms())
    monkeypatch.setitem(sys.modules, "airflow.sdk.execution_time.task_runner", runner)

    async def scenario():
        with shared_client("freddy_default") as client:
            await client.look(response.id, None)
            await asyncio.sleep(0.1)

    asyncio.run(scenario())
    assert len(questions) == (0 if in_dag_test else 1)
