"""
A key that Freddy refuses is looked up again: it may have been replaced while a task was waiting.

The triggers do the same in :mod:`airflow_provider_freddy.hooks.shared_client`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from airflow_provider_freddy import record
from airflow_provider_freddy.connection import ConnectionSettings, read_connection
from airflow_provider_freddy.core.problem import Problem, ProblemKind
from airflow_provider_freddy.watchdog import client as watchdog

if TYPE_CHECKING:
    from airflow_provider_freddy.hooks.freddy import FreddyHook

T = TypeVar("T")

# Callbacks cancel with one hook in many threads. No signal handler comes here.
_lock = threading.Lock()

log = logging.getLogger(__name__)


def with_valid_key(hook: FreddyHook, ask: Callable[[], T | Problem]) -> T | Problem:
    """
    Ask, and once more if the key is refused and the Airflow connection has another one by now.

    :param hook: the hook that is asked with.
    :param ask: what to do; uses the hook's ``exchange``.
    """
    used = hook.settings
    answer = ask()
    refused = isinstance(answer, Problem) and answer.kind is ProblemKind.CREDENTIALS
    return ask() if refused and hook.may_ask_airflow and _renewed(hook, used) else answer


def _renewed(hook: FreddyHook, used: ConnectionSettings) -> bool:
    with _lock:
        if hook.settings != used:
            # Another thread was first.
            return True
        try:
            found = read_connection(hook.get_connection(hook.freddy_conn_id))
        except Exception as error:
            log.warning("Airflow connection %r could not be read again: %s", hook.freddy_conn_id, error)
            return False
        if found == used:
            return False
        hook.use(found)
        log.info("Airflow connection %r has another API key by now.", hook.freddy_conn_id)
    for entry in record.all_started():
        if entry.hook is hook and entry.ending is None and entry.record.cancel_on_failure:
            watchdog.watch(entry.record.response_id, entry.record.organization_id, hook.session_description)
    return True
