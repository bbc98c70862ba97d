from __future__ import annotations

import pytest

from tests.unit.hooks.raw_http import RawServer


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
