"""What holds for all that is read from the pages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _nothing_is_ignored(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No example has an entry that the provider warns of."""
    yield
    told = [record.getMessage() for record in caplog.get_records("call")]
    assert [line for line in told if "ignoring" in line and "in extra" in line] == []
