"""The report of a sweep, opened from disk with the network off."""

from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from contrasweep.services.sweep_page import write
from tests.browser.conftest import captions, open_alone, tops, width_at
from tests.services.sweep_page.left import everything

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


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    left = everything(tmp_path_factory.mktemp("finished"))
    return write(left.settings, left.folder)[0]


def open_page(browser: Chrome, path: Path) -> None:
    open_alone(browser, path)
    assert_drawn(browser)


def assert_drawn(browser: Chrome) -> None:
    """Every figure has a size, lines and words."""
    figures = browser.execute_script(DRAWN)
    assert len(figures) >= 3
    for figure in figures:
        assert figure["width"] > 200 and figure["height"] > 100, figure
        assert figure["shapes"] > 10 and figure["texts"] > 5, figure


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
    assert width_at(offline, page, width) <= width


def test_the_first_screen_has_the_answer_and_then_the_doubt(offline: Chrome, page: Path) -> None:
    offline.get(page.as_uri())
    answer = offline.find_element(By.CLASS_NAME, "answer").text
    for words in ("4.930", "not better than PCA + ridge beyond chance", "PCA + ridge 5.200", "External cohort adni"):
        assert words in answer, words
    places = tops(offline, "h1", ".answer", "#doubt", "ul.problems", "section[aria-label=Search]", "nav", "#test")
    assert places == sorted(places) and places[3] < 600
    doubts = offline.find_element(By.CLASS_NAME, "problems").text
    assert "the test split was read 2 times" in doubts and "the embedding tells site" in doubts


def test_figures_for_whom_and_beside_what_are_in_sight(offline: Chrome, page: Path) -> None:
    offline.get(page.as_uri())
    shown = captions(offline)
    for caption in (
        "On the test split",
        "The ensemble and trial 0 alone, with 95 % intervals",
        "Seeds of the ensemble, the heaviest first",
        "Mean prediction, with 95 % intervals over subjects; errors in years",
        "The gap, prediction less age, by age",
        *("By sex", "By site", "By age"),
        "Told by the embedding: balanced accuracy of a cross-validated logistic regression",
        "Sessions of a person",
        *("On adni", "Out of fold"),
    ):
        assert shown.count(caption) == 1, caption
    assert not {"MAE of each run alone", "Trial 0, dynlocrep"} & {*shown}, "these are folded"
    (saliency,) = offline.find_elements(By.CSS_SELECTOR, "img[alt^='Mean prepared images of thirds']")
    assert saliency.is_displayed() and "Where its predictions come from" in offline.page_source


def test_what_is_folded_opens(offline: Chrome, page: Path) -> None:
    offline.get(page.as_uri())
    for summary in offline.find_elements(By.TAG_NAME, "summary"):
        summary.click()
    opened = captions(offline)
    assert opened.count("MAE of each run alone") == 3 and any("not for choosing" in caption for caption in opened)


def test_a_click_takes_a_whole_command_to_use_the_model(offline: Chrome, page: Path) -> None:
    offline.get(page.as_uri())
    lines = offline.find_elements(By.CSS_SELECTOR, ".commands code")
    assert [line.text.split()[:3] for line in lines] == [
        ["contrasweep", verb, page.stem] for verb in ("predict", "predict", "evaluate", "export")
    ]
    for line in lines:
        line.click()
        assert offline.execute_script("return getSelection().toString().trim()") == line.text


def test_contents_lead_to_their_sections(offline: Chrome, page: Path) -> None:
    offline.get(page.as_uri())
    links = offline.find_elements(By.CSS_SELECTOR, "nav a")
    assert len(links) == len(offline.find_elements(By.TAG_NAME, "h2")) - 1, "all but the doubt, which is above"
    for link in links:
        link.click()
        place = (link.get_attribute("href") or "").rpartition("#")[2]
        top = offline.execute_script("return document.getElementById(arguments[0]).getBoundingClientRect().top", place)
        assert -1 < top < 1600, place
