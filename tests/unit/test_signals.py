from __future__ import annotations

import itertools
import signal
import threading

import pytest

from airflow_provider_freddy.signals import signals_deferred

SIGNALS = [signal.SIGALRM, signal.SIGTERM, signal.SIGINT]


class Interrupted(BaseException):
    """What a handler of Airflow's raises: no ``Exception``."""


@pytest.fixture
def arrived():
    """Install handlers that note what arrives, and put the old ones back at the end."""
    found = []
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number in SIGNALS:
        signal.signal(number, lambda number, _frame: found.append(number))
    yield found
    signal.setitimer(signal.ITIMER_REAL, 0)
    for number, handler in before.items():
        signal.signal(number, handler)


def raising(number):
    raise Interrupted(number)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_waits_for_the_end_of_the_block_and_then_arrives_once(arrived, number):
    with signals_deferred():
        signal.raise_signal(number)
        signal.raise_signal(number)
        assert arrived == []
    assert arrived == [number]
    signal.raise_signal(number)
    assert arrived == [number, number]


def test_without_a_signal_nothing_is_delivered(arrived):
    with signals_deferred():
        pass
    assert arrived == []


@pytest.mark.parametrize("order", list(itertools.permutations(SIGNALS)))
def test_all_signals_arrive_in_their_order(arrived, order):
    with signals_deferred():
        for number in order:
            signal.raise_signal(number)
    assert arrived == list(order)


@pytest.mark.parametrize("number", SIGNALS)
def test_what_the_original_handler_raises_comes_out_of_the_block(arrived, number):
    signal.signal(number, lambda number, _frame: raising(number))
    reached = []

    def work():
        with signals_deferred():
            signal.raise_signal(number)
            reached.append("end of the block")

    with pytest.raises(Interrupted):
        work()
    assert reached == ["end of the block"]


@pytest.mark.parametrize(("first", "second"), list(itertools.permutations(SIGNALS, 2)))
def test_a_handler_that_raises_does_not_swallow_the_signals_behind_it(arrived, first, second):
    signal.signal(first, lambda number, _frame: raising(number))

    def work():
        with signals_deferred():
            signal.raise_signal(first)
            signal.raise_signal(second)

    with pytest.raises(Interrupted):
        work()
    assert arrived == [second]


@pytest.mark.parametrize("error", [ValueError, Interrupted, KeyboardInterrupt, GeneratorExit])
def test_an_exception_of_the_block_comes_out_and_the_handlers_are_back(arrived, error):
    before = [signal.getsignal(number) for number in SIGNALS]

    def work():
        with signals_deferred():
            assert [signal.getsignal(number) for number in SIGNALS] != before
            raise error

    with pytest.raises(error):
        work()
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_a_signal_in_a_block_that_raises_is_not_lost(arrived):
    def work():
        with signals_deferred():
            signal.raise_signal(signal.SIGTERM)
            raise Interrupted

    with pytest.raises(Interrupted):
        work()
    assert arrived == [signal.SIGTERM]


@pytest.mark.parametrize("handler", [signal.SIG_IGN, signal.SIG_DFL])
def test_handlers_that_are_no_functions_are_put_back(arrived, handler):
    signal.signal(signal.SIGALRM, handler)
    with signals_deferred():
        pass
    assert signal.getsignal(signal.SIGALRM) is handler


def test_a_signal_that_was_ignored_stays_ignored(arrived):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with signals_deferred():
        signal.raise_signal(signal.SIGTERM)
    assert arrived == []


def test_blocks_can_be_nested_and_the_signal_waits_for_the_outermost(arrived):
    with signals_deferred():
        with signals_deferred():
            signal.raise_signal(signal.SIGTERM)
        assert arrived == []
    assert arrived == [signal.SIGTERM]


@pytest.mark.parametrize("position", range(3))
def test_a_signal_while_the_handlers_are_being_replaced_leaves_none_replaced(arrived, monkeypatch, position):
    before = [signal.getsignal(number) for number in SIGNALS]
    install, count = signal.signal, itertools.count()

    def interrupted(number, handler):
        if next(count) == position:
            raise Interrupted
        return install(number, handler)

    monkeypatch.setattr(signal, "signal", interrupted)
    with pytest.raises(Interrupted), signals_deferred():
        pytest.fail("the block is not reached")
    assert [signal.getsignal(number) for number in SIGNALS] == before


@pytest.mark.parametrize("position", range(3, 6))
def test_a_signal_while_the_handlers_are_put_back_makes_no_later_signal_wait_for_ever(arrived, monkeypatch, position):
    install, count = signal.signal, itertools.count()

    def interrupted(number, handler):
        if next(count) == position:
            raise Interrupted
        return install(number, handler)

    monkeypatch.setattr(signal, "signal", interrupted)
    with pytest.raises(Interrupted), signals_deferred():
        signal.raise_signal(signal.SIGINT)
    assert arrived == [signal.SIGINT]
    for number in SIGNALS:
        signal.raise_signal(number)
    assert arrived == [signal.SIGINT, *SIGNALS]


def test_a_timer_that_fires_during_the_block_is_delivered_after_it(arrived):
    fired = threading.Event()
    signal.signal(signal.SIGALRM, lambda *_: arrived.append("alarm"))
    with signals_deferred():
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        # A wait that no handler ends: the timer fires in the middle of it.
        fired.wait(0.1)
        assert arrived == []
    assert arrived == ["alarm"]


def test_in_another_thread_nothing_is_done(arrived):
    before = [signal.getsignal(number) for number in SIGNALS]
    during = []

    def work():
        with signals_deferred():
            during.extend(signal.getsignal(number) for number in SIGNALS)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(5)
    assert during == before


def test_in_another_thread_an_exception_comes_out():
    caught = []

    def work():
        try:
            with signals_deferred():
                raise Interrupted
        except Interrupted as error:
            caught.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(5)
    assert len(caught) == 1
