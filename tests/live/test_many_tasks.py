"""Very many tasks wait at once in one triggerer of a real Airflow."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable

import pytest

from airflow_provider_freddy.hooks.freddy import FreddyHook
from airflow_provider_freddy.hooks.shared_client import LOOKS_AT_ONCE

# A mapped task has to start in a worker before it is deferred; two cores start two or three a second.
SENSORS = int(os.environ.get("MAPPED_SENSORS", "100"))
pytestmark = [pytest.mark.live, pytest.mark.timeout(240 + 2 * SENSORS)]
POLL_SECONDS = 10
# What Airflow says when a trigger has blocked its loop for more than a fifth of a second.
BLOCKED = "async thread was blocked"


def until(condition: Callable[[], bool], seconds: float) -> None:
    """Wait, asking seldom: the fake works in this process too, and going through its journal takes long."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(1)


def test_all_sensors_of_a_mapped_task_finish(start: Callable, freddy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_FREDDY_DEFAULT", freddy.connection_json())
    hook = FreddyHook()
    ids = [hook.create_response("hello", metadata={"fake_duration": 7200}).id for _ in range(SENSORS)]
    mine = set(ids)

    def looks() -> list:
        return [request for request in freddy.requests if request.method == "GET" and request.response_id in mine]

    run = start("mapped", ids=ids)
    until(lambda: len({look.response_id for look in looks()}) == SENSORS, 120 + 2 * SENSORS)
    # Freddy becomes slow, and the loop in which all of them wait stays free.
    warnings = run.airflow.process_output("triggerer").count(BLOCKED)
    freddy.fault("delay", method="GET", times=None, seconds=0.5)
    seen = len(looks())
    until(lambda: len(looks()) >= seen + 2 * SENSORS, 120)
    assert run.airflow.process_output("triggerer").count(BLOCKED) == warnings
    freddy.clear_faults()
    outcomes = [result.outcome.value for _, result in hook.cancel_responses(ids)]
    hook.close()
    assert outcomes == ["cancelled"] * SENSORS
    assert run.wait_for_end(120) == "success"
    assert freddy.left_running == []
    # One look at first, then one every 10 s, give or take the jitter.
    watched = max(freddy.response(response_id).ran_seconds for response_id in ids) + POLL_SECONDS
    assert max(Counter(look.response_id for look in looks()).values()) <= 2 + watched / (0.9 * POLL_SECONDS)
    assert len({look.client for look in looks()}) <= LOOKS_AT_ONCE
