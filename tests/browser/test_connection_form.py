"""The connection form as a person sees it: what stands there, what is hidden, what saving and testing do."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import requests
from playwright.sync_api import Page, Response, expect

from airflow_provider_freddy.core.endpoint import AUTH_SCHEMES
from airflow_provider_freddy.hooks.form import conn_fields, ui_field_behaviour
from airflow_provider_freddy.testing import FakeFreddy
from demo.airflow_setup import REST_API_VERSION
from demo.local_airflow import LocalAirflow
from tests.airflow_versions import AIRFLOW, needs_airflow
from tests.browser.ui import Ui

BEHAVIOUR = ui_field_behaviour()
CUSTOM = [(name, field["label"], field["description"]) for name, field in conn_fields().items()]


@pytest.fixture
def from_server(page: Page) -> list[str]:
    """All that the server sends to the browser."""
    texts: list[str] = []

    def keep(response: Response) -> None:
        if not 300 <= response.status < 400 and "static" not in response.url:
            texts.append(response.text())

    page.on("response", keep)
    return texts


def stored(airflow: LocalAirflow, connection_id: str) -> dict:
    """Return what the REST API shows of a connection."""
    answer = requests.get(f"{airflow.url}/api/v{REST_API_VERSION}/connections/{connection_id}", timeout=60)
    answer.raise_for_status()
    return {"text": answer.text, "extra": json.loads(answer.json()["extra"] or "{}")}


def fill_in(ui: Ui, freddy: FakeFreddy, api_key: str | None = None) -> None:
    """Fill the open form in. The port is apart from the Base URL: Airflow 3.3.2 tests no connection without one."""
    address, port = freddy.url.rsplit(":", 1)
    ui.field("Base URL").fill(address)
    ui.field(BEHAVIOUR["relabeling"]["port"]).fill(port)
    ui.field("API key").fill(api_key or freddy.api_key)
    ui.field("Organization ID").fill(freddy.organization_id)


def test_the_fields_have_labels_placeholders_and_help(ui: Ui, picture: Callable) -> None:
    form = ui.new_connection("freddy_default")
    for name in ("host", "port", "password"):
        expect(ui.field(BEHAVIOUR["relabeling"][name])).to_have_attribute(
            "placeholder", BEHAVIOUR["placeholders"][name]
        )
    expect(ui.field("API key")).to_have_attribute("type", "password")
    for label in ("Login", "Schema", "Host", "Password"):
        expect(form.get_by_text(label, exact=True)).to_be_hidden()
    ui.field("API key").fill("ak_0123456789abcdef")
    if AIRFLOW >= (3, 0):
        # It shows one section at a time.
        picture("connection-form-standard", form)
    for name, label, help_text in CUSTOM:
        expect(ui.row(label)).to_contain_text(help_text)
        expect(ui.field(label)).to_be_visible()
        if AIRFLOW < (3, 0):
            expect(ui.field(label)).to_have_attribute("placeholder", BEHAVIOUR["placeholders"][name])
    ui.field("Organization ID").fill("org_0123456789abcdef")
    picture("connection-form", form)


@needs_airflow("3.2", "before, the form has no menus")
def test_the_auth_scheme_is_a_menu_of_those_that_there_are(ui: Ui) -> None:
    form = ui.new_connection("freddy_menu")
    expect(ui.row("Auth scheme")).to_contain_text("bearer")
    ui.field("Auth scheme").click()
    expect(form.get_by_role("option")).to_have_text(list(AUTH_SCHEMES))


def test_a_saved_key_is_shown_to_nobody(
    ui: Ui, page: Page, airflow: LocalAirflow, freddy: FakeFreddy, from_server: list[str]
) -> None:
    ui.new_connection("freddy_saved")
    fill_in(ui, freddy)
    ui.save()
    ui.edit_connection("freddy_saved")
    assert freddy.api_key not in ui.field("API key").input_value()
    assert freddy.api_key not in page.content()
    assert ui.field("Organization ID").input_value() == freddy.organization_id
    seen = stored(airflow, "freddy_saved")
    assert seen["extra"]["organization_id"] == freddy.organization_id
    assert freddy.api_key not in seen["text"]
    assert any("freddy_saved" in text for text in from_server)
    assert [text for text in from_server if freddy.api_key in text] == []


def test_the_test_button_says_that_it_works(ui: Ui, freddy: FakeFreddy, picture: Callable) -> None:
    ui.new_connection("freddy_right")
    fill_in(ui, freddy)
    said = save_and_test(ui, "freddy_right")
    assert f"Freddy accepts the API key for the organization '{freddy.organization_id}'." in said
    picture("connection-test", height=360)


def test_the_test_button_says_that_the_key_is_wrong(ui: Ui, freddy: FakeFreddy) -> None:
    ui.new_connection("freddy_wrong")
    fill_in(ui, freddy, api_key="ak_wrong")
    said = save_and_test(ui, "freddy_wrong")
    assert "Freddy refuses the API key (auth scheme bearer). Check key and auth scheme." in said
    assert "ak_wrong" not in said


def save_and_test(ui: Ui, connection_id: str) -> str:
    """Test in the order that each UI has: Airflow 2 in the form, Airflow 3 in the list of what is saved."""
    if AIRFLOW >= (3, 0):
        ui.save()
    return ui.test_connection(connection_id)


def test_a_key_that_is_left_alone_keeps_working(ui: Ui, page: Page, airflow: LocalAirflow, freddy: FakeFreddy) -> None:
    ui.new_connection("freddy_edited")
    fill_in(ui, freddy)
    ui.save()
    ui.edit_connection("freddy_edited")
    ui.field("Link base URL").fill("https://example.com/{organization_id}/{response_id}")
    ui.save()
    if AIRFLOW >= (3, 0):
        # That of 2.11 tests what stands in the form, where the key has to be typed anew.
        assert "Freddy accepts the API key" in ui.test_connection("freddy_edited")
    before = len(freddy.responses)
    airflow.wait_for_dag("write_a_novel")
    run_id = airflow.trigger("write_a_novel", {"connection": "freddy_edited"})
    assert airflow.wait_for_run("write_a_novel", run_id) == "success"
    (response,) = freddy.responses[before:]
    ui.open_details("write_a_novel", run_id, "ask")
    link = page.get_by_role("link", name="Freddy response")
    expect(link).to_have_attribute("href", f"https://example.com/{freddy.organization_id}/{response.id}")
