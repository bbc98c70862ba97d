"""The page of a task as a person sees it: the link to the response, and what the log says at its end."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from airflow_provider_freddy.testing import FakeFreddy
from demo.local_airflow import LocalAirflow
from tests.browser.ui import Ui


def test_the_page_of_a_task_leads_to_its_response(
    ui: Ui, page: Page, airflow: LocalAirflow, freddy: FakeFreddy, picture: Callable
) -> None:
    airflow.wait_for_dag("write_a_novel")
    before = len(freddy.responses)
    run_id = airflow.trigger("write_a_novel")
    assert airflow.wait_for_run("write_a_novel", run_id) == "success"
    (response,) = freddy.responses[before:]
    ui.open_details("write_a_novel", run_id, "ask")
    link = page.get_by_role("link", name="Freddy response")
    address = f"{freddy.url}/v1/model/response/{response.id}?organizationId={freddy.organization_id}"
    expect(link).to_have_attribute("href", address)
    picture("task-page", height=580)


def test_the_log_of_a_failed_task_says_what_became_of_its_response_and_what_it_costs(
    ui: Ui, airflow: LocalAirflow, freddy: FakeFreddy
) -> None:
    airflow.wait_for_dag("fail_meanwhile")
    before = len(freddy.responses)
    run_id = airflow.trigger("fail_meanwhile")
    assert airflow.wait_for_run("fail_meanwhile", run_id) == "failed"
    (response,) = freddy.responses[before:]
    assert response.status == "cancelled"
    log = ui.open_log("fail_meanwhile", run_id, "ask")
    expect(log).to_contain_text(f"try 1: {response.id} cancelled at")
    (line,) = [line for line in log.inner_text().splitlines() if "Freddy callback for" in line]
    assert line.endswith("costs nothing more")
