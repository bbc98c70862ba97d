"""What a person does in Airflow's UI: the one of Airflow 3, and the one of Airflow 2 that is nothing like it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

import requests

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from demo.local_airflow import LocalAirflow

USER = {"username": "ada", "password": "a-password-of-the-test"}


class Ui:
    """What both can do. A method that opens something returns what has opened."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url

    def row(self, label: str) -> Locator:
        """Return the row of the open form that has this label: the label, the field and its help."""
        raise NotImplementedError

    def field(self, label: str) -> Locator:
        """Return the field that is filled in there."""
        return self.row(label).locator("input:not([type=hidden]), textarea").first


class Airflow3Ui(Ui):
    """The UI of Airflow 3."""

    def log_in(self) -> None:
        """Open the first page; everybody is an administrator there."""
        self.page.goto(f"{self.url}/connections")
        self.page.get_by_role("button", name="Add Connection").wait_for()

    def new_connection(self, connection_id: str) -> Locator:
        """Open the form and choose the type Freddy."""
        self.page.goto(f"{self.url}/connections")
        self.page.get_by_role("button", name="Add Connection").click()
        self.form.get_by_label("Connection ID").fill(connection_id)
        self.form.get_by_label("Connection Type").fill("Fredd")
        self.page.get_by_role("option", name="Freddy", exact=True).click()
        return self.form

    def edit_connection(self, connection_id: str) -> Locator:
        """Open the form of a connection that is there."""
        self.page.goto(f"{self.url}/connections")
        self._row(connection_id).get_by_role("button", name="Edit Connection").click()
        self.field("API key").wait_for()
        return self.form

    @property
    def form(self) -> Locator:
        return self.page.get_by_role("dialog")

    def row(self, label: str) -> Locator:
        """Unfold the section that it is in: one is open at a time."""
        row = self.page.locator("[role=group]").filter(has=self.page.get_by_text(label, exact=True))
        section = self.form.locator("[data-scope=accordion][data-part=item]").filter(has=row)
        if section.get_attribute("data-state") == "closed":
            section.get_by_role("button").first.click()
        return section.locator(row)

    def save(self) -> None:
        """Save the open form, and wait until it is closed."""
        self.form.get_by_role("button", name="Save").click()
        self.form.wait_for(state="hidden")

    def test_connection(self, connection_id: str) -> str:
        """Press the Test button of a saved connection and return what is said."""
        self.page.goto(f"{self.url}/connections")
        self._row(connection_id).get_by_role("button", name="Test Connection").click()
        said = self.page.get_by_role("status").filter(has_text="Test Connection")
        said.wait_for()
        return said.inner_text()

    def _row(self, connection_id: str) -> Locator:
        return self.page.get_by_role("row").filter(has_text=connection_id)

    def open_details(self, dag_id: str, run_id: str, task_id: str) -> None:
        self._open_task(dag_id, run_id, task_id, "/details")
        self.page.get_by_text("Additional Task Instance Attributes").wait_for()
        # The grid beside it comes later.
        self.page.locator(f"a[href$='/tasks/{task_id}/details'] svg").first.wait_for()

    def open_log(self, dag_id: str, run_id: str, task_id: str) -> Locator:
        """Open the log of the last try, with what Airflow folds in: the callbacks are there."""
        self._open_task(dag_id, run_id, task_id, "")
        self.page.get_by_text("Post Execute").click()
        return self.page.get_by_role("code").first

    def _open_task(self, dag_id: str, run_id: str, task_id: str, tab: str) -> None:
        self.page.goto(f"{self.url}/dags/{dag_id}/runs/{quote(run_id)}/tasks/{task_id}{tab}")


class Airflow2Ui(Ui):
    """The UI of Airflow 2, made with Flask-AppBuilder."""

    @staticmethod
    def add_user(airflow: LocalAirflow) -> None:
        """Create the user that logs in."""
        person = {"first_name": "Ada", "last_name": "Lovelace", "email": "ada@example.org"}
        body = {**USER, **person, "roles": [{"name": "Admin"}]}
        requests.post(f"{airflow.url}/api/v1/users", json=body, timeout=60).raise_for_status()

    def log_in(self) -> None:
        """Log in as a person does."""
        self.page.goto(f"{self.url}/login/")
        self.page.get_by_label("Username").fill(USER["username"])
        self.page.get_by_label("Password").fill(USER["password"])
        self.page.get_by_role("button", name="Sign In").click()
        self.page.wait_for_url(re.compile(r"/home"))

    def new_connection(self, connection_id: str) -> Locator:
        """Open the form and choose the type Freddy."""
        self.page.goto(f"{self.url}/connection/add")
        self.page.get_by_label("Connection Id").fill(connection_id)
        self.page.locator(".select2-container").first.click()
        self.page.locator(".select2-search__field").fill("Freddy")
        self.page.locator(".select2-results__option", has_text="Freddy").click()
        return self.form

    def edit_connection(self, connection_id: str) -> Locator:
        """Open the form of a connection that is there."""
        self.page.goto(f"{self.url}/connection/list/")
        self.page.get_by_role("row").filter(has_text=connection_id).locator("a[href*='/connection/edit/']").click()
        self.field("API key").wait_for()
        return self.form

    @property
    def form(self) -> Locator:
        return self.page.locator("#model_form")

    def row(self, label: str) -> Locator:
        return self.form.locator("tr").filter(has=self.page.get_by_text(label, exact=True))

    def save(self) -> None:
        """Save the open form, and wait until that is done."""
        # It leads to the page before. If that is another form, nothing there says what has been done.
        with self.page.expect_navigation():
            self.form.get_by_role("button", name="Save").click()

    def test_connection(self, connection_id: str) -> str:
        """Press the Test button of the open form and return what is said."""
        self.form.get_by_role("button", name="Test").click()
        said = self.page.locator(".alert").filter(has_text="Freddy")
        said.wait_for()
        return said.inner_text()

    def open_details(self, dag_id: str, run_id: str, task_id: str) -> None:
        self._open_task(dag_id, run_id, task_id, "details")
        self.page.get_by_text("More Details").wait_for()

    def open_log(self, dag_id: str, run_id: str, task_id: str) -> Locator:
        """Open the log of the last try."""
        self._open_task(dag_id, run_id, task_id, "logs")
        log = self.page.get_by_role("tabpanel", name="Logs").locator("code").first
        log.filter(has_text="Post task execution logs").wait_for()
        return log

    def _open_task(self, dag_id: str, run_id: str, task_id: str, tab: str) -> None:
        query = urlencode({"dag_run_id": run_id, "task_id": task_id, "tab": tab})
        self.page.goto(f"{self.url}/dags/{dag_id}/grid?{query}")
