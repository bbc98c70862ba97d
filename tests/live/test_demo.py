"""`make demo`, as the README shows it."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from tests.docs.blocks import ROOT, of_kind

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]

_DIFFERS = re.compile(r"\bresp_\w+|\d[\d.]*")


def test_it_prints_what_the_readme_shows() -> None:
    (shown,) = (block.text for block in of_kind("text") if "Model responses left running: 0" in block.text)
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "FREDDY"))}
    done = subprocess.run(
        [sys.executable, "-m", "demo"], capture_output=True, text=True, timeout=240, cwd=ROOT, env=environ, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    printed = _DIFFERS.sub("*", done.stdout)
    for line in filter(None, map(str.strip, _DIFFERS.sub("*", shown).splitlines())):
        assert line in printed
    assert "Model responses left running: 0" in done.stdout
