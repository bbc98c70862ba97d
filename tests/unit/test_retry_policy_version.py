"""The retry policy on an Airflow that has none."""

from __future__ import annotations

import subprocess
import sys


def test_below_airflow_3_3_its_import_says_what_it_needs() -> None:
    code = (
        "from airflow_provider_freddy import version_compat\n"
        "version_compat.HAS_RETRY_POLICIES = False\n"
        "import airflow_provider_freddy.retry_policy"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert result.returncode != 0
    assert "AirflowOptionalProviderFeatureException: " in result.stderr
    assert "needs Airflow 3.3 or newer" in result.stderr
