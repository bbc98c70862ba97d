from __future__ import annotations

import pytest

from airflow_provider_freddy.testing import FakeFreddy
from tests.unit.hooks.raw_http import RawServer

# The same in all tests: Airflow hides every key that it has ever seen, and is slower with each.
KEY = "ak_" + "test" * 10


@pytest.fixture
def fake_freddy():
    with FakeFreddy(api_key=KEY) as freddy:
        yield freddy


@pytest.fixture
def raw_server():
    """Start servers that answer as told, and stop them at the end."""
    servers = []

    def start(answer, **options):
        servers.append(RawServer(answer if callable(answer) else lambda _request: answer, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.close()
