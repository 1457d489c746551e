"""A browser that reaches nothing but this machine."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

CHROMIUM, DRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,1600",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
PICTURES = "return [...document.images].map(i => ({alt: i.alt, complete: i.complete, width: i.naturalWidth}))"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """Headless Chromium, which notes its requests and what it complains of."""
    if not (shutil.which(CHROMIUM) and shutil.which(DRIVER)):
        pytest.skip("Debian's chromium and chromium-driver are not installed")
    options = ChromeOptions()
    options.binary_location = CHROMIUM
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    profile = tmp_path_factory.mktemp("profile")
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    started = Chrome(options=options, service=Service(DRIVER))
    started.set_page_load_timeout(60)
    yield started
    started.quit()


@pytest.fixture
def offline(browser: Chrome) -> Chrome:
    """The browser without a network, which has noted nothing yet."""
    browser.execute_cdp_cmd("Network.enable", {})
    lost = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
    browser.execute_cdp_cmd("Network.emulateNetworkConditions", lost)
    complaints(browser)
    requests(browser)
    return browser


def complaints(browser: Chrome) -> list[dict[str, Any]]:
    """What the console has had since the last call."""
    return list(browser.get_log("browser"))  # type: ignore[no-untyped-call]


def requests(browser: Chrome) -> list[str]:
    """Addresses asked for since the last call."""
    entries = browser.get_log("performance")  # type: ignore[no-untyped-call]
    messages = (json.loads(entry["message"])["message"] for entry in entries)
    return [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]


def open_alone(browser: Chrome, page: Path) -> None:
    """Open a page, which asks for nothing outside of itself, and of which the console says nothing."""
    browser.get(page.as_uri())
    pictures = browser.execute_script(PICTURES)
    assert pictures and all(picture["complete"] and picture["width"] > 0 for picture in pictures), pictures
    assert complaints(browser) == []
    assert {address.split(":", 1)[0] for address in requests(browser)} <= {"file", "data"}


def width_at(browser: Chrome, page: Path, width: int) -> int:
    """How wide a page is in a window of a width."""
    size = {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(page.as_uri())
    wide = browser.execute_script("return document.documentElement.scrollWidth")
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    return int(wide)


def tops(browser: Chrome, *selectors: str) -> list[float]:
    """Where elements begin, from the top of the page."""
    script = "return [...arguments].map(one => document.querySelector(one).getBoundingClientRect().top + scrollY)"
    return list(browser.execute_script(script, *selectors))


def captions(browser: Chrome) -> list[str]:
    """Of the tables that are in sight and have a size, without opening anything."""
    tables = browser.find_elements(By.TAG_NAME, "table")
    return [table.find_element(By.TAG_NAME, "caption").text for table in tables if table.is_displayed()]
