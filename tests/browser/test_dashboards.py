"""What a person finds in MLflow's and Optuna's dashboards after a sweep."""

import io
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
from rich.console import Console
from selenium.common.exceptions import WebDriverException
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from contrasweep.services.records.folder import FINISHED
from contrasweep.services.settings import Settings
from contrasweep.services.sweep.run import run_sweep
from contrasweep.services.verbs.local import Local
from tests.browser.conftest import requests
from tests.browser.test_report_page import assert_drawn
from tests.services.small_study import settings_in, write_study

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.ray, pytest.mark.timeout(900)]

PATIENCE_S = 180


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory, ray_local: None) -> tuple[Settings, str]:
    """A sweep of the small study, run once for the tests that look at it."""
    folder = tmp_path_factory.mktemp("swept")
    loaded, settings = write_study(folder), settings_in(folder / "home")
    assert run_sweep(loaded, settings, Console(file=io.StringIO())).state == FINISHED
    return settings, loaded.spec.sweep_id


@contextmanager
def dashboard(settings: Settings, *arguments: str) -> Iterator[str]:
    """`contrasweep ui` for as long as the block; the address that it says."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-u", "-m", "contrasweep.services.cli", "ui", *arguments, "--port", str(port)]
    environment = os.environ | {"CONTRASWEEP_HOME": str(settings.home), "COLUMNS": "200"}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
    ) as process:
        assert process.stdout
        said = re.search(r"http://127\.0\.0\.1:\d+\S*", process.stdout.readline())
        try:
            assert said
            wait_for_server(port)
            yield said.group()
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def wait_for_server(port: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            urlopen(f"http://127.0.0.1:{port}/", timeout=30).close()
        except OSError:
            assert time.monotonic() < deadline, "the dashboard does not answer"
            time.sleep(0.5)
        else:
            return


def wait(browser: Chrome, seen: Callable[[], object]) -> None:
    """Wait until `seen`, which may be in the middle of a page that is drawn again."""
    WebDriverWait(browser, PATIENCE_S, ignored_exceptions=(WebDriverException,)).until(lambda _: seen())


def text(browser: Chrome) -> str:
    return browser.find_element(By.TAG_NAME, "body").text


@pytest.fixture(scope="module")
def run_page(swept: tuple[Settings, str]) -> Iterator[str]:
    """MLflow's page of the sweep's run."""
    with dashboard(swept[0], swept[1][:8]) as address:
        yield address


def test_the_sweep_s_run_has_its_headline_and_its_configurations(
    browser: Chrome, run_page: str, swept: tuple[Settings, str]
) -> None:
    settings, sweep_id = swept
    browser.get(run_page)
    names = [f"{trial.number:04d} {trial.method}" for trial in Local(settings).trials(sweep_id)]
    wait(browser, lambda: all(name in text(browser) for name in names))
    assert sweep_id in text(browser)
    assert "Test MAE" in text(browser) and "saved by racing" in text(browser)
    asked = [urlsplit(address) for address in requests(browser)]
    assert {address.hostname for address in asked if address.scheme.startswith("http")} == {"127.0.0.1"}


def test_a_configuration_has_its_seeds_and_their_metrics_by_epoch(browser: Chrome, run_page: str) -> None:
    browser.get(run_page)
    wait(browser, lambda: browser.find_element(By.PARTIAL_LINK_TEXT, "0000 dynlocrep"))
    browser.get(browser.find_element(By.PARTIAL_LINK_TEXT, "0000 dynlocrep").get_attribute("href") or "")
    wait(browser, lambda: browser.find_element(By.PARTIAL_LINK_TEXT, "seed 1"))
    address = browser.find_element(By.PARTIAL_LINK_TEXT, "seed 1").get_attribute("href") or ""
    browser.get(f"{address.partition('?')[0]}/model-metrics")
    wait(browser, lambda: "validation_mae" in text(browser))
    wait(browser, lambda: browser.find_elements(By.CSS_SELECTOR, ".main-svg"))
    assert {"loss", "train_mae", "validation_mae"} <= set(text(browser).splitlines())


def test_the_report_is_shown_with_every_figure(browser: Chrome, run_page: str) -> None:
    browser.get(f"{run_page.partition('?')[0]}/artifacts/report.html")
    wait(browser, lambda: browser.find_element(By.CSS_SELECTOR, "iframe[src^='blob:']"))
    browser.switch_to.frame(browser.find_element(By.CSS_SELECTOR, "iframe[src^='blob:']"))
    wait(browser, lambda: browser.find_element(By.ID, "provenance"))
    assert_drawn(browser)
    browser.switch_to.default_content()


def test_optuna_s_dashboard_opens_on_the_study(browser: Chrome, swept: tuple[Settings, str]) -> None:
    settings, sweep_id = swept
    with dashboard(settings, sweep_id, "--optuna") as address:
        browser.get(address)
        wait(browser, lambda: f"{sweep_id} (id=" in text(browser))
        wait(browser, lambda: browser.find_elements(By.CSS_SELECTOR, ".main-svg"))
        assert "Best Trial" in text(browser)
