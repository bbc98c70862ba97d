"""A real Airflow with a fake Freddy beside it, and the Chromium of this machine that looks at Airflow's UI."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_provider_freddy.testing import FakeFreddy
from demo.local_airflow import LocalAirflow
from tests.airflow_versions import AIRFLOW
from tests.browser.ui import Airflow2Ui, Airflow3Ui, Ui

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Locator, Page, ViewportSize

DAGS = Path(__file__).parent / "dags"
FOLDER = Path(__file__).parent
# A click waits for the page behind it, and the machine may be busy.
PATIENCE_SECONDS = 30
# The form of Airflow 2 fits into it.
SIZE: ViewportSize = {"width": 1280, "height": 1400}
UI = Airflow3Ui if AIRFLOW >= (3, 0) else Airflow2Ui
# `make browser` installs what drives the browser; without it these tests are not there, which `make test` leaves out.
collect_ignore_glob = [] if find_spec("playwright") else ["test_*.py"]
failed = pytest.StashKey[bool]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == FOLDER:
            item.add_marker(pytest.mark.browser)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    report = yield
    if report.failed:
        item.stash[failed] = True
    return report


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium")
    if path is None:
        pytest.fail("These tests need the browser Chromium: on Debian, `apt-get install chromium`", pytrace=False)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def freddy() -> Iterator[FakeFreddy]:
    with FakeFreddy(duration=300) as fake:
        yield fake


@pytest.fixture(scope="session")
def airflow(chromium: Browser, freddy: FakeFreddy) -> Iterator[LocalAirflow]:
    connection = {"AIRFLOW_CONN_FREDDY_DEFAULT": freddy.connection_json()}
    with LocalAirflow(DAGS, env=connection, config={"CORE__TEST_CONNECTION": "Enabled"}) as local:
        if AIRFLOW < (3, 0):
            Airflow2Ui.add_user(local)
        yield local


@pytest.fixture(scope="session")
def session(chromium: Browser, airflow: LocalAirflow) -> Iterator[BrowserContext]:
    """A browser that is logged in: Airflow 2 refuses the sixth login within 40 seconds."""
    with chromium.new_context(locale="en-US", timezone_id="UTC", viewport=SIZE) as context:
        context.set_default_timeout(PATIENCE_SECONDS * 1000)
        with context.new_page() as page:
            UI(page, airflow.url).log_in()
        yield context


@pytest.fixture
def page(request: pytest.FixtureRequest, session: BrowserContext, screenshots: Path) -> Iterator[Page]:
    with session.new_page() as page:
        yield page
        if request.node.stash.get(failed, False):
            page.screenshot(path=screenshots / f"failed-{request.node.name}.png")


@pytest.fixture
def ui(airflow: LocalAirflow, page: Page) -> Ui:
    return UI(page, airflow.url)


@pytest.fixture(scope="session")
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pictures go: the folder that `make browser` names."""
    folder = Path(os.environ.get("SCREENSHOTS") or tmp_path_factory.mktemp("screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def picture(page: Page, screenshots: Path) -> Callable[..., None]:
    """Keep what a person sees, or a part of it. Of Airflow 2 the form is enough."""

    def keep(name: str, part: Locator | None = None, height: int = SIZE["height"]) -> None:
        if AIRFLOW < (3, 0) and part is None:
            return
        page.mouse.move(0, 0)  # Else it shows a tooltip.
        page.set_viewport_size({**SIZE, "height": height})
        file = screenshots / f"{name}-{AIRFLOW[0]}.{AIRFLOW[1]}.png"
        (part or page).screenshot(path=file, animations="disabled")

    return keep
