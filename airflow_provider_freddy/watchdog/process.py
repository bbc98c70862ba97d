"""
The watchdog process: waits for the end of the task's process, then cancels what that has left running.

It imports next to nothing while it waits, so that it is small and starts quickly; what it needs to cancel it loads
when the time has come, and it never needs Airflow.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
from typing import Any

#: Seconds within which a response is cancelled, if Freddy cannot be reached before.
PATIENCE = 300.0

# Seconds between two looks at whether the parent lives. The pipe tells at once, but a process that the task has
# forked may hold it open.
_PARENT_CHECK = 1.0

Watched = dict[str, dict[str, Any]]


def main() -> None:
    """Watch the parent, whose process id is the first argument, and the process that supervises it, the second."""
    # It ends when its work is done; who ends the task is not to end it too.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    watched, log_file = watch_until_parent_is_gone(*map(int, sys.argv[1:]))
    if watched:
        cancel(watched, log_file)


def watch_until_parent_is_gone(parent: int, supervisor: int | None = None) -> tuple[Watched, str | None]:
    """
    Read the parent's messages until it is gone, or has lost its supervisor, without which Airflow takes it for lost.

    :param parent: its process id.
    :param supervisor: the process id of its supervisor, if it has one.
    :return: what it has neither seen end nor released, and the file to report to.
    """
    watched: Watched = {}
    log_file: str | None = None
    rest = b""
    while True:
        readable, _, _ = select.select([0], [], [], _PARENT_CHECK)
        if not readable:
            if os.getppid() != parent or (supervisor is not None and not _is_child(parent, supervisor)):
                return watched, log_file
            continue
        chunk = os.read(0, 65536)
        if not chunk:
            return watched, log_file
        *lines, rest = (rest + chunk).split(b"\n")
        for message in map(json.loads, lines):
            if "watch" in message:
                watched[message["watch"]] = message
            elif "release" in message:
                watched.pop(message["release"], None)
            else:
                log_file = message.get("log_file")


def _is_child(process_id: int, parent: int) -> bool:
    """
    Tell whether a process still has its parent; where the system does not say (no Linux), it has.

    A parent that was killed may stay a zombie, which looks alive, but its children have another one at once.
    """
    try:
        with open(f"/proc/{process_id}/stat") as file:
            return int(file.read().rpartition(")")[2].split()[1]) == parent
    except (OSError, ValueError, IndexError):
        return True


def cancel(watched: Watched, log_file: str | None) -> None:
    """
    Cancel all, with patience.

    :param watched: what to cancel.
    :param log_file: the file to report to.
    """
    import logging
    from concurrent.futures import ThreadPoolExecutor

    log = logging.getLogger("freddy-watchdog")
    form = f"%(asctime)s watchdog of process {sys.argv[1]}: %(levelname)s %(message)s"
    try:
        logging.basicConfig(filename=log_file or os.devnull, level=logging.INFO, format=form)
    except OSError:
        logging.basicConfig(filename=os.devnull)
    log.info("the task's process or its supervisor is gone; cancelling %s", ", ".join(watched))
    with ThreadPoolExecutor(max_workers=8) as pool:
        list(pool.map(lambda message: cancel_one(message, log), watched.values()))


def cancel_one(message: dict[str, Any], log: Any) -> None:
    """
    Cancel one response, with the same protocol as everywhere else.

    :param message: what the parent has said of it.
    :param log: where to report to.
    """
    from airflow_provider_freddy.core.cancel import CancelResult, cancel_steps
    from airflow_provider_freddy.core.retry import Budget
    from airflow_provider_freddy.hooks.exchange import Exchange
    from airflow_provider_freddy.hooks.sending import sender_from

    response_id, budget = message["watch"], Budget(PATIENCE)
    try:
        exchange = Exchange(sender_from(message["session"]), log)
        steps = cancel_steps(response_id, organization_id=message["organization_id"], budget=budget, tell_status=True)
        outcome = exchange.follow(steps, budget, response_id)
    except Exception as error:
        log.error("response %s MAY STILL RUN AND COST MONEY. %r", response_id, error)
    else:
        if isinstance(outcome, CancelResult):
            log.info("%s", outcome)
        else:
            log.error("response %s MAY STILL RUN AND COST MONEY. %s", response_id, outcome)


if __name__ == "__main__":
    main()
