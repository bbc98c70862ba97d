from __future__ import annotations

import os
import subprocess
import sys

import pytest

PLUGIN = "airflow_provider_freddy.testing.pytest_plugin"
WITHOUT_THE_EXTRA = """
import sys

for name in ("starlette", "uvicorn", "trustme"):
    sys.modules[name] = None

import pytest

class Plugins:
    def pytest_configure(self, config):
        if not config.pluginmanager.hasplugin("airflow_provider_freddy"):
            config.pluginmanager.import_plugin("airflow_provider_freddy.testing.pytest_plugin")

sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", sys.argv[1]], plugins=[Plugins()]))
"""


def python(*arguments, **options):
    env = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW_", "PYTEST_"))}
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=60, check=False, env=env, **options
    )


def test_the_fixtures(fake_freddy, fake_freddy_connection):
    assert fake_freddy_connection is fake_freddy
    assert os.environ["AIRFLOW_CONN_FREDDY_DEFAULT"] == fake_freddy.connection_json()
    assert fake_freddy.responses == []


@pytest.mark.parametrize("module", ["airflow_provider_freddy.testing", PLUGIN])
def test_an_import_brings_no_server(module):
    heavy = ("starlette", "uvicorn", "trustme", "airflow", "requests")
    script = f"import sys, {module}; print([name for name in {heavy} if name in sys.modules])"
    assert python("-c", script).stdout == "[]\n"


def test_the_fake_does_not_import_airflow():
    script = "import sys; from airflow_provider_freddy.testing import FakeFreddy; print('airflow' in sys.modules)"
    assert python("-c", script).stdout == "False\n"


def test_without_the_extra_only_the_fixtures_fail(tmp_path):
    (tmp_path / "test_it.py").write_text("def test_a(): pass\ndef test_b(fake_freddy): pass\n")
    done = python("-c", WITHOUT_THE_EXTRA, str(tmp_path), cwd=tmp_path)
    assert "1 passed, 1 error" in done.stdout
    assert "pip install 'airflow-provider-freddy[testing]'" in done.stdout


def test_another_name():
    import airflow_provider_freddy.testing as testing

    with pytest.raises(AttributeError, match="no attribute 'RealFreddy'"):
        _ = testing.RealFreddy
