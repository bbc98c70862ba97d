"""Signals kept waiting for the moment in which a response exists that nobody has written down."""

from __future__ import annotations

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

# SIGALRM is Airflow's execution_timeout, SIGTERM its kill, SIGINT the author's Ctrl-C in `dag.test()`.
_SIGNALS = (signal.SIGALRM, signal.SIGTERM, signal.SIGINT)


@contextmanager
def signals_deferred(*numbers: signal.Signals) -> Generator[None]:
    """
    Let the signals that end a task wait until the block is done, then deliver them as if they had come just then.

    Between the moment in which Freddy starts a response and the moment in which its id is recorded, an exception
    raised by a signal handler would lose the id, and the response would run on. Handlers are replaced instead of
    the signals being masked, because a mask holds for one thread only and Python runs the handler in the main
    thread whichever thread the signal came to. Outside the main thread, which no handler can interrupt, nothing is
    done.

    :param numbers: the signals; all that end a task by default.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting: list[int] = []
    inside = True
    handlers = {number: signal.getsignal(number) for number in numbers or _SIGNALS}
    # A handler that was not installed from Python cannot be put back; getsignal gives None for it.
    ours = [number for number, handler in handlers.items() if handler is not None]

    def wait(arrived: int, _frame: object) -> None:
        if inside:
            waiting.append(arrived)
        else:
            # Another handler has raised while the handlers were put back: this one was left over.
            _deliver([arrived], handlers)

    try:
        for number in ours:
            signal.signal(number, wait)
        yield
    finally:
        inside = False
        try:
            for number in ours:
                signal.signal(number, handlers[number])
        finally:
            _deliver(list(dict.fromkeys(waiting)), handlers)


def _deliver(waiting: list[int], handlers: dict[signal.Signals, Any]) -> None:
    """Deliver all the signals to their own handlers, also those after one whose handler raises."""
    if not waiting:
        return
    number = signal.Signals(waiting[0])
    try:
        signal.signal(number, handlers[number])
        signal.raise_signal(number)
    finally:
        _deliver(waiting[1:], handlers)
