"""The report of a sweep, opened from disk with the network off."""

from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from contrasweep.services.sweep_page import write
from tests.browser.conftest import complaints, requests
from tests.services.sweep_page.left import finished

pytestmark = pytest.mark.browser

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
DRAWN = """
return [...document.querySelectorAll('svg')].map(svg => {
  const box = svg.getBoundingClientRect();
  const shapes = [...svg.querySelectorAll('path, use, image')];
  return {name: svg.getAttribute('aria-label'), width: box.width, height: box.height,
          shapes: shapes.filter(shape => { const b = shape.getBBox(); return b.width + b.height > 0 }).length,
          texts: [...svg.querySelectorAll('text')].filter(text => text.getBBox().width > 0).length};
})
"""
PICTURES = "return [...document.images].map(i => ({alt: i.alt, complete: i.complete, width: i.naturalWidth}))"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    left = finished(tmp_path_factory.mktemp("finished"))
    return write(left.settings, left.folder)[0]


@pytest.fixture
def offline(browser: Chrome) -> Chrome:
    browser.execute_cdp_cmd("Network.enable", {})
    lost = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
    browser.execute_cdp_cmd("Network.emulateNetworkConditions", lost)
    complaints(browser)
    requests(browser)
    return browser


def open_page(browser: Chrome, path: Path) -> None:
    browser.get(path.as_uri())
    assert_drawn(browser)
    assert complaints(browser) == []
    assert {address.split(":", 1)[0] for address in requests(browser)} <= {"file", "data"}


def assert_drawn(browser: Chrome) -> None:
    """Every figure has a size, lines and words; every picture is decoded."""
    figures = browser.execute_script(DRAWN)
    assert len(figures) >= 3
    for figure in figures:
        assert figure["width"] > 200 and figure["height"] > 100, figure
        assert figure["shapes"] > 10 and figure["texts"] > 5, figure
    pictures = browser.execute_script(PICTURES)
    assert len(pictures) >= 2
    assert all(picture["complete"] and picture["width"] > 0 for picture in pictures), pictures


def test_it_opens_from_disk_with_every_figure_drawn(offline: Chrome, page: Path) -> None:
    open_page(offline, page)
    assert offline.find_element(By.TAG_NAME, "h1").text.startswith("study")


def test_it_needs_no_more_than_the_service_s_policy_allows(offline: Chrome, page: Path, tmp_path: Path) -> None:
    strict = tmp_path / "strict.html"
    meta = f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    strict.write_text(page.read_text().replace('<meta charset="utf-8">', meta, 1))
    open_page(offline, strict)


@pytest.mark.parametrize("width", [1280, 800, 400])
def test_it_is_no_wider_than_the_window(offline: Chrome, page: Path, width: int) -> None:
    size = {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
    offline.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    offline.get(page.as_uri())
    wide = offline.execute_script("return document.documentElement.scrollWidth")
    offline.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert wide <= width


def test_contents_lead_to_their_sections(offline: Chrome, page: Path) -> None:
    offline.get(page.as_uri())
    offline.find_element(By.LINK_TEXT, "Provenance").click()
    top = offline.execute_script("return document.getElementById('provenance').getBoundingClientRect().top")
    assert 0 <= top < 1000
