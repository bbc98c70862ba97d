"""Fixtures with a fake Freddy; imports nothing but pytest until one of them is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_freddy.testing import FakeFreddy


@pytest.fixture
def fake_freddy() -> Iterator[FakeFreddy]:
    """Yield a started fake Freddy of its own for each test."""
    from airflow_provider_freddy.testing import FakeFreddy

    with FakeFreddy() as freddy:
        yield freddy


@pytest.fixture
def fake_freddy_connection(fake_freddy: FakeFreddy, monkeypatch: pytest.MonkeyPatch) -> FakeFreddy:
    """Give a started fake Freddy, to which the Airflow connection ``freddy_default`` leads."""
    monkeypatch.setenv("AIRFLOW_CONN_FREDDY_DEFAULT", fake_freddy.connection_json())
    return fake_freddy
