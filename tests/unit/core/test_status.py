from __future__ import annotations

import pytest

from airflow_provider_freddy.core.status import is_final, is_known


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
def test_a_response_that_ended_is_final_whatever_its_end(status):
    assert is_final(status)
    assert is_known(status)


@pytest.mark.parametrize("status", ["queued", "in_progress", "processing"])
def test_a_response_that_waits_or_runs_is_not_final_in_either_vocabulary(status):
    assert not is_final(status)
    assert is_known(status)


@pytest.mark.parametrize("status", ["paused", "", "Completed", "completed ", "canceled", "incomplete"])
def test_a_status_that_the_api_does_not_document_counts_as_running(status):
    assert not is_final(status)
    assert not is_known(status)
