"""Signals kept waiting for the moment in which a response exists that nobody has written down."""

from __future__ import annotations

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager

# SIGALRM is Airflow's execution_timeout, SIGTERM its kill, SIGINT the author's Ctrl-C in `dag.test()`.
_SIGNALS = (signal.SIGALRM, signal.SIGTERM, signal.SIGINT)


@contextmanager
def signals_deferred() -> Generator[None]:
    """
    Let the signals that end a task wait until the block is done, then deliver them as if they had come just then.

    Between the moment in which Freddy starts a response and the moment in which its id is recorded, an exception
    raised by a signal handler would lose the id, and the response would run on. Handlers are replaced instead of
    the signals being masked, because a mask holds for one thread only and Python runs the handler in the main
    thread whichever thread the signal came to. Outside the main thread, which no handler can interrupt, nothing is
    done.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting: list[int] = []
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    # A handler that was not installed from Python cannot be put back; getsignal gives None for it.
    ours = [number for number, handler in handlers.items() if handler is not None]
    for number in ours:
        signal.signal(number, lambda arrived, _frame: waiting.append(arrived))
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, handlers[number])
        for arrived in dict.fromkeys(waiting):
            signal.raise_signal(arrived)
