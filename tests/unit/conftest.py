"""A hook for a fake Freddy, and its log."""

from __future__ import annotations

import json
import logging

import pytest

from airflow_provider_freddy.hooks.freddy import FreddyHook

_OF_THIS_MACHINE = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NETRC"]


@pytest.fixture
def quiet_environment(monkeypatch):
    """Take away what the machine may have set for HTTP clients."""
    for name in _OF_THIS_MACHINE:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def quick_retries(monkeypatch):
    """Shorten the pauses between attempts; how they grow is a matter of the core's own tests."""
    monkeypatch.setattr("airflow_provider_freddy.core.retry.FIRST_PAUSE", 0.02)
    monkeypatch.setattr("airflow_provider_freddy.core.retry.MAX_PAUSE", 0.1)
    monkeypatch.setattr("airflow_provider_freddy.core.cancel._FIRST_WAIT", 0.02)


@pytest.fixture
def new_hook(monkeypatch, quiet_environment, quick_retries):
    """Make hooks, by way of the environment, for a fake Freddy or for any other fields of a connection."""
    hooks = []

    def new(freddy=None, *, conn_id="freddy_default", extra=None, **fields):
        connection = json.loads(freddy.connection_json()) if freddy else {"conn_type": "freddy", "password": "ak_1"}
        connection = {**connection, **fields}
        connection["extra"] = {"organization_id": "org_1", **connection.get("extra", {}), **(extra or {})}
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(connection))
        hooks.append(FreddyHook(conn_id))
        return hooks[-1]

    yield new
    for hook in hooks:
        hook.close()


@pytest.fixture
def hook(fake_freddy, new_hook):
    return new_hook(fake_freddy)


@pytest.fixture
def hook_log(monkeypatch, caplog):
    """Give all records of the hook's log; Airflow's own logger bypasses the handlers of pytest."""
    monkeypatch.setattr(FreddyHook, "log", logging.getLogger("freddy_hook_under_test"))
    caplog.set_level(logging.DEBUG)
    return caplog
