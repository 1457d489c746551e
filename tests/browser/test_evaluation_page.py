"""The page of an evaluation on another cohort, opened from disk with the network off."""

from pathlib import Path

import pytest
from rich.console import Console
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from contrasweep.services.predicting.command import evaluate_scans
from contrasweep.services.predicting.evaluate import Cohort
from contrasweep.services.predicting.scans import Asked
from contrasweep.services.settings import Settings
from tests.browser.conftest import captions, open_alone, tops, width_at
from tests.services.predicting.elsewhere import IMAGES, model, write_cohort

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluated")
    people = write_cohort(folder) / "people.tsv"
    asked = Asked(participants=people, image=IMAGES, session="visit", by=("dose",))
    settings, quiet = Settings(home=folder / "home"), Console(quiet=True)
    return evaluate_scans(str(model(folder)), Cohort(asked, "adni", folder / "out"), settings, quiet)[1]


def test_it_begins_with_the_answer_and_then_the_doubt(offline: Chrome, page: Path) -> None:
    open_alone(offline, page)
    answer = offline.find_element(By.CLASS_NAME, "answer").text
    assert "24 subjects (36 scans)" in answer and "which promises 90 %" in answer
    places = tops(offline, "h1", ".answer", "ul.problems", ".pair")
    assert places == sorted(places) and places[2] < 500
    doubts = offline.find_element(By.CLASS_NAME, "problems").text
    assert "age is overestimated by" in doubts and "1 scan rejected" in doubts


def test_figures_for_whom_and_what_was_rejected_are_in_sight(offline: Chrome, page: Path) -> None:
    offline.get(page.as_uri())
    assert captions(offline) == [
        "Mean prediction, with 95 % intervals over subjects; errors in units of age",
        "The gap, prediction less age, by age",
        *("By sex", "By dose", "By age"),
        "Told by the embedding: balanced accuracy of a cross-validated logistic regression",
        "Sessions of a person",
        "Scans in no figure",
    ]
    (rejected,) = (row.text for row in offline.find_elements(By.TAG_NAME, "tr") if row.text.startswith("gone_a"))
    assert rejected == "gone_a no such image"


@pytest.mark.parametrize("width", [1280, 400])
def test_it_is_no_wider_than_the_window(offline: Chrome, page: Path, width: int) -> None:
    assert width_at(offline, page, width) <= width
