"""The DAGs of the pages that have a deadline, with some seconds where they have an hour: their responses run on."""

from __future__ import annotations

import re
from pathlib import Path

from airflow_provider_freddy.version_compat import AIRFLOW_V_3_2_PLUS

PAGES = Path(__file__).parents[3] / "docs" / "how-to"
# Long enough for the task to have started its response before.
SECONDS = "timedelta(seconds=20)"

if AIRFLOW_V_3_2_PLUS:
    for page in ("deadlines.md", "notifier.md"):
        for block in re.findall(r"^```python\n(.*?)^```$", (PAGES / page).read_text(), flags=re.DOTALL | re.MULTILINE):
            if "DeadlineAlert" in block:
                assert "timedelta(hours=1)" in block
                exec(compile(block.replace("timedelta(hours=1)", SECONDS), page, "exec"))
