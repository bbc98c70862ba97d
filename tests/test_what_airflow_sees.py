"""What Airflow itself finds of the provider: command line, providers manager, connection form, serialized DAGs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_freddy import __version__
from airflow_provider_freddy.get_provider_info import get_provider_info
from airflow_provider_freddy.testing import FakeFreddy
from tests.airflow_versions import dag_bag, dag_from_dict, dag_to_dict, needs_airflow, validate_dag_dict

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted(path.stem for path in (ROOT / "example_dags").glob("*.py"))
PACKAGE = "airflow-provider-freddy"
INFO = get_provider_info()
DECLARED = {
    "list": [PACKAGE, __version__],
    f"get {PACKAGE}": [PACKAGE, __version__],
    "hooks": [hook["hook-class-name"] for hook in INFO["connection-types"]],
    "configs": [*INFO["config"], *INFO["config"]["freddy"]["options"]],
    "links": INFO.get("extra-links", []),
    "triggers": [module for entry in INFO.get("triggers", []) for module in entry["python-modules"]],
    "notifications": INFO.get("notifications", []),
}
FIELDS = ["organization_id", "auth_scheme", "link_base_url"]
FORM = {"widgets": [f"extra__freddy__{field}" for field in FIELDS], "behaviours": ["freddy"]}
# What Airflow 3.0 and 3.1 say of every provider with a form, and without the FAB provider.
NO_FAB = "'flask_appbuilder' package is not installed"

# One process for all commands: starting Airflow takes longer than any of them.
COMMANDS = """
import contextlib, io, json, sys
from airflow.cli.cli_parser import get_parser
answers = {}
for line in json.load(sys.stdin):
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.suppress(SystemExit):
        arguments = get_parser().parse_args(line.split())
        arguments.func(arguments)
    answers[line] = output.getvalue()
print("answers", json.dumps(answers))
"""

# Everything that a component of Airflow asks the providers manager for.
EVERYTHING = """
import warnings
warnings.simplefilter("default")
from airflow.providers_manager import ProvidersManager
managers = [ProvidersManager()]
try:
    # Tasks have one of their own since 3.2.
    from airflow.sdk.providers_manager_runtime import ProvidersManagerTaskRuntime
    managers.append(ProvidersManagerTaskRuntime())
except ImportError:
    pass
for manager in managers:
    for name in dir(type(manager)):
        if not name.startswith("_") and isinstance(getattr(type(manager), name), property):
            getattr(manager, name)
    hooks = {name: hook for name, hook in manager.hooks.items()}
    assert "freddy" in hooks and hooks["freddy"] is not None
"""

# What the API server sends to the UI.
FORM_OF_THE_UI = """
from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService
(form,) = [form for form in HookMetaService.hook_meta_data() if form.connection_type == "freddy"]
print(form.model_dump_json(by_alias=False))
"""


def run(code: str, given: Any = None, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **environ},
    )


@pytest.fixture(scope="module")
def answers() -> dict[str, str]:
    lines = [f"providers {command} -o json" for command in [*DECLARED, *FORM]]
    result = run(COMMANDS, lines)
    assert result.returncode == 0, result.stdout + result.stderr
    (found,) = [line for line in result.stdout.splitlines() if line.startswith("answers ")]
    return dict(zip([*DECLARED, *FORM], json.loads(found.removeprefix("answers ")).values(), strict=True))


@pytest.mark.parametrize("command", DECLARED)
def test_the_command_line_shows_what_is_declared(answers: dict[str, str], command: str) -> None:
    assert DECLARED[command]
    assert [name for name in DECLARED[command] if name not in answers[command]] == []


@pytest.mark.parametrize("command", FORM)
def test_the_command_line_shows_the_form(answers: dict[str, str], command: str) -> None:
    assert [name for name in FORM[command] if name not in answers[command]] == []


@needs_airflow("3.1", "before, the form comes from Flask-AppBuilder")
def test_the_ui_is_given_the_form() -> None:
    """In a process of its own: 3.1 asks the providers manager in a way of its own, and has to be the first to ask."""
    result = run(FORM_OF_THE_UI)
    assert result.returncode == 0, result.stdout + result.stderr
    form = json.loads(result.stdout.splitlines()[-1])
    assert form["hook_name"] == "Freddy"
    assert list(form["extra_fields"]) == FIELDS
    fields = form["standard_fields"]
    assert fields["password"]["title"] == "API key"
    assert fields["host"]["title"] == "Base URL"
    assert [fields[name]["hidden"] for name in ("login", "port", "url_schema")] == [True, False, True]


def test_airflow_has_nothing_to_say_about_the_provider() -> None:
    result = run(EVERYTHING, AIRFLOW__LOGGING__LOGGING_LEVEL="INFO")
    output = (result.stdout + result.stderr).replace(str(ROOT), "").replace(os.environ["AIRFLOW_HOME"], "")
    assert result.returncode == 0, output
    assert [line for line in output.splitlines() if "freddy" in line.lower()] == []


def test_airflow_would_say_it_if_there_was_something_wrong() -> None:
    """So that the test before can fail."""
    broken = (
        "from airflow_provider_freddy import get_provider_info as module\n"
        "info = module.get_provider_info()\n"
        "info['connection-types'][0]['hook-class-name'] = 'airflow_provider_freddy.nobody.Hook'\n"
        "module.get_provider_info = lambda: info\n"
    )
    result = run(broken + EVERYTHING, AIRFLOW__LOGGING__LOGGING_LEVEL="INFO")
    assert "airflow_provider_freddy.nobody" in result.stdout + result.stderr


@needs_airflow("3.0", "before, it is a part of Airflow")
def test_nothing_breaks_without_flask_appbuilder() -> None:
    without = "import sys\nfor name in ('flask_appbuilder', 'wtforms'):\n    sys.modules[name] = None\n"
    result = run(without + EVERYTHING, AIRFLOW__LOGGING__LOGGING_LEVEL="INFO")
    output = (result.stdout + result.stderr).replace(str(ROOT), "").replace(os.environ["AIRFLOW_HOME"], "")
    assert result.returncode == 0, output
    assert [line for line in output.splitlines() if "freddy" in line.lower() and NO_FAB not in line] == []


def test_the_connection_can_be_tested_from_the_command_line(fake_freddy: FakeFreddy) -> None:
    right = json.loads(fake_freddy.connection_json())
    wrong = {**right, "password": "ak_wrong"}
    connections = {
        "AIRFLOW_CONN_RIGHT": json.dumps(right),
        "AIRFLOW_CONN_WRONG": json.dumps(wrong),
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
    }
    result = run(COMMANDS, ["connections test right", "connections test wrong"], **connections)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Connection success!" in result.stdout
    assert "Connection failed!" in result.stdout
    assert fake_freddy.responses == []


@pytest.mark.parametrize("dag_id", EXAMPLES)
def test_an_example_survives_airflows_database(dag_id: str) -> None:
    bag = dag_bag(ROOT / "example_dags")
    assert bag.import_errors == {}
    dag = bag.dags[dag_id]
    stored = json.loads(json.dumps(dag_to_dict(dag)))
    validate_dag_dict(stored)
    read = dag_from_dict(stored)
    assert facts(read) == facts(dag)


def facts(dag: Any) -> dict[str, Any]:
    return {
        task.task_id: (
            task.task_type,
            sorted(task.downstream_task_ids),
            getattr(task.trigger_rule, "value", task.trigger_rule),
            list(task.template_fields),
        )
        for task in dag.tasks
    }
