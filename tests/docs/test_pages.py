"""The pages say all that there is to say, and what they point at is there."""

from __future__ import annotations

import itertools
import json
import os
import re
import tomllib
from pathlib import Path
from unittest.mock import patch

import pytest

from airflow_provider_freddy import connection, exceptions, metrics
from airflow_provider_freddy.core.problem import Problem, ProblemKind
from airflow_provider_freddy.core.reply import ModelResponse
from airflow_provider_freddy.exceptions import FreddyError
from airflow_provider_freddy.get_provider_info import get_provider_info
from airflow_provider_freddy.hooks import form
from airflow_provider_freddy.hooks.connection_check import check_request, describe_check
from airflow_provider_freddy.hooks.freddy import FreddyHook
from tests.docs.blocks import DOCS, PAGES, ROOT

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def page(name: str) -> str:
    return (DOCS / name).read_text()


def code(name: str) -> set[str]:
    """Return what stands in backticks in the tables of a page."""
    rows = [line for line in page(name).splitlines() if line.lstrip().startswith("|")]
    return {word for row in rows for word in re.findall(r"`([^`]+)`", row)}


def anchors(file: Path) -> set[str]:
    """Return the anchors that its headings make, as GitHub and Sphinx make them."""
    headings = re.findall(r"^#+ (.*)$", file.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("file", PAGES, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(file: Path) -> None:
    for link in _LINK.findall(file.read_text()):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (file.parent / path).resolve() if path else file
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_picture_is_shown_and_small() -> None:
    shown = {(file.parent / link).resolve() for file in PAGES for link in _LINK.findall(file.read_text())}
    pictures = {picture.resolve() for picture in (DOCS / "images").iterdir()}
    assert pictures <= shown
    assert all(1_000 < picture.stat().st_size < 150_000 for picture in pictures)


def test_the_readme_shows_every_picture() -> None:
    assert {
        link.split("/")[-1] for link in _LINK.findall((ROOT / "README.md").read_text()) if link.endswith(".png")
    } == {picture.name for picture in (DOCS / "images").iterdir()}


def test_contributors_are_told_of_every_command() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    (targets,) = re.findall(r"^\.PHONY: ((?:.*\\\n)*.*)$", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert [name for name in targets.replace("\\\n", " ").split() if f"`make {name}" not in text] == []


def test_the_readme_leads_to_every_how_to() -> None:
    linked = {(ROOT / link.split("#")[0]).resolve() for link in _LINK.findall((ROOT / "README.md").read_text())}
    assert set((DOCS / "how-to").glob("*.md")) <= linked


def test_the_connection_page_has_every_field_and_option() -> None:
    words = code("connection.md")
    assert set(connection._HTTP_OPTIONS) | {"headers"} <= words
    assert {f"extra.{name}" for name in form.conn_fields()} | {"password", "host", "port", "extra"} <= words
    for field in form.conn_fields().values():
        assert f"| {field['label']} |" in page("connection.md")
    # And one example has them all.
    example = next(text for text in page("connection.md").split("```json\n")[1:] if "srv_lookup" in text)
    every = (set(connection._HTTP_OPTIONS) - {"verify_ssl", "proxy"}) | set(form.conn_fields()) | {"headers"}
    assert every == set(re.findall(r'^  "(\w+)":', example.split("```")[0], flags=re.MULTILINE))


def test_the_configuration_page_has_every_option_with_its_default() -> None:
    for name, option in get_provider_info()["config"]["freddy"]["options"].items():
        assert f"| `{name}` | {option['type']} | `{option['default']}` |" in page("configuration.md")


def test_the_metrics_page_has_every_name() -> None:
    names = {value for name, value in vars(metrics).items() if name.isupper() and isinstance(value, str)}
    assert {word for word in code("how-to/metrics.md") if word.startswith("freddy.")} == names
    assert len(names) == 6


def test_every_error_has_a_line() -> None:
    classes = {
        name
        for name, value in vars(exceptions).items()
        if isinstance(value, type) and issubclass(value, FreddyError) and value is not FreddyError
    }
    named = re.findall(r"^\| \{py:class\}`~airflow_provider_freddy\.exceptions\.(\w+)`", page("how-to/hook.md"), re.M)
    assert set(named) == classes


@pytest.mark.parametrize(
    "name",
    [
        "operators.freddy.CreateResponseOperator",
        "operators.freddy.CancelResponseOperator",
        "sensors.freddy.ResponseStatusSensor",
        "sensors.freddy.ResponseCancelledSensor",
        "triggers.freddy.ResponseTrigger",
        "triggers.cancel.CancelResponsesTrigger",
        "callbacks.cancel_response_on_failure",
        "callbacks.CancelResponseCallback",
        "notifications.freddy.CancelResponseNotifier",
        "hooks.freddy.FreddyHook",
        "guard.guard",
        "deadlines.cancel_responses_of_run",
        "retry_policy.FREDDY_RETRY_POLICY",
        "retry_policy.FreddyRetryPolicy",
    ],
)
def test_everything_has_a_how_to(name: str) -> None:
    module, _, attribute = name.rpartition(".")
    imported = re.compile(rf"from airflow_provider_freddy\.{module} import .*\b{attribute}\b")
    assert any(imported.search(file.read_text()) for file in (DOCS / "how-to").glob("*.md"))
    assert name in page("api.md")


def test_the_house_has_every_room_and_no_floor_is_above_one_that_uses_it() -> None:
    picture = (ROOT / "CONTRIBUTING.md").read_text().split("```text")[1].split("```")[0]
    package = ROOT / "airflow_provider_freddy"
    rooms = {file.name for file in package.glob("*.py")} - {"__init__.py"}
    rooms |= {f"{file.parent.name}/" for file in package.glob("*/__init__.py")}
    assert set(re.findall(r"\w+(?:\.py|/)", picture)) == rooms
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = [re.findall(r"airflow_provider_freddy\.(\w+)", layer) for layer in contracts[0]["layers"]]
    entrance = {"policy", "watchdog"}
    places = [
        [picture.index(f"{name}/" if (package / name).is_dir() else f"{name}.py") for name in layer]
        for layer in ([name for name in layer if name not in entrance] for layer in layers)
        if layer
    ]
    for higher, lower in itertools.pairwise(places):
        assert max(higher) < min(lower)


# -- the Test button ---------------------------------------------------------------------------------------


def answers_of_the_test_button() -> set[str]:
    """Return all that it can say."""

    def problem(kind: ProblemKind, status: int | None, code: str | None = None) -> Problem:
        return Problem(kind, check_request(None), "words of others", status, code)

    answers = [
        ModelResponse("resp_1", "completed"),
        problem(ProblemKind.UNAVAILABLE, None),
        problem(ProblemKind.UNAVAILABLE, 503),
        problem(ProblemKind.RATE_LIMITED, 429),
        problem(ProblemKind.UNEXPECTED_REPLY, 404),
        problem(ProblemKind.CREDENTIALS, 401, "invalid_api_key"),
        problem(ProblemKind.PERMISSION, 403, "insufficient_permissions"),
        problem(ProblemKind.NOT_FOUND, 404, "response_not_found"),
    ]
    said = set()
    for organization in (None, "org_1"):
        settings = connection.ConnectionSettings("c", "k", organization_id=organization)
        said |= {describe_check(answer, settings)[1] for answer in answers}
    for fields in ({}, {"password": "a b"}, {"password": "k", "host": "ftp://example.com"}):
        with patch.dict(os.environ, AIRFLOW_CONN_C=json.dumps({"conn_type": "freddy", **fields})):
            said.add(FreddyHook("c").test_connection()[1])
    return said


def test_the_page_explains_every_answer_of_the_test_button() -> None:
    section = page("troubleshooting.md").split("## The Test button says")[1].split("\n## ")[0]
    rows = [line.split(" | ")[0].removeprefix("| ") for line in section.splitlines() if line.startswith("| ")]
    patterns = [re.compile(".*".join(map(re.escape, row.split("...")))) for row in rows[2:]]
    said = answers_of_the_test_button()
    assert len(said) >= len(patterns) >= 10
    for message in said:
        assert any(pattern.match(message) for pattern in patterns), message
    for pattern in patterns:
        assert any(map(pattern.match, said)), pattern.pattern


def test_the_lines_that_the_page_looks_for_are_written_somewhere() -> None:
    source = " ".join(file.read_text() for file in (ROOT / "airflow_provider_freddy").rglob("*.py"))
    source = re.sub(r'"\s+f?"', "", source)
    text = page("troubleshooting.md")
    beginning = text.split("| beginning |")[1].split("\n\n")[0]
    found = [row.split(" | ")[0] for row in text.split("| what you find |")[1].split("\n\n")[0].splitlines()]
    other = text.split("## Other messages")[1]
    phrases = re.findall(r"^ *\| `([^`]+)`", beginning + other, flags=re.MULTILINE)
    assert len(phrases) >= 8
    # One of them is Airflow's.
    phrases += {word for row in found for word in re.findall(r"`([^`]+)`", row)} - {"isn't defined"}
    phrases += ["MAY STILL RUN AND COST MONEY", "MAY RUN AND COST MONEY", "Marked by a user", "Deadline of"]
    for phrase in phrases:
        for part in phrase.split("..."):
            assert part.strip("' ") in source, phrase
