"""The page of a sweep: what is on it in every state, and that it needs nothing beside itself."""

import itertools
import re
from pathlib import Path

import numpy as np
import pytest

from contrasweep.search_spaces import Value
from contrasweep.services.records.details import write_details
from contrasweep.services.records.tested import TESTED, Said, write_tested
from contrasweep.services.records.trial_record import keep_race
from contrasweep.services.spec.replicate import REFIT, Replicate
from contrasweep.services.spec.spec import parse_spec
from contrasweep.services.sweep_page import render, write
from contrasweep.services.sweep_page.summary import summary
from contrasweep.services.sweep_page.tables import leaderboard_table, table_on_test
from contrasweep.trainers.served import Calibration, evaluate_sample
from tests.services.past import EPOCHS, leave
from tests.services.sweep_page.left import Left, curves, ensemble_report, finished, study, with_cohort
from tests.services.sweep_page.parsed import Page

SECTIONS = [
    "Test split: predicted against true",
    "Use this model",
    "Embedding maps",
    "Leaderboard",
    "Seed spread",
    "Learning curves",
    "Parameters",
    "Parameter importance",
    "Pruned, and what it saved",
    "Failures",
    "Provenance",
]
HOSTILE = """<script>alert(1)</script><img src=x onerror="alert('2')"> $\\frac{a$ & 年龄 \u202e"""


def page_of(left: Left) -> Page:
    return Page(render(left.settings, left.folder))


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Left:
    return finished(tmp_path_factory.mktemp("finished"))


@pytest.fixture(scope="module")
def page(left: Left) -> Page:
    return page_of(left)


def test_every_section_is_there_once(page: Page) -> None:
    assert [text for level, text in page.headings if level == 2] == SECTIONS


def test_the_headline_has_state_test_error_baseline_cost_and_savings(page: Page) -> None:
    head = page.text[: page.text.index("Leaderboard", page.text.index("Provenance"))]
    for words in ("finished", "4.930", "[4.020, 5.880]", "predict-the-mean 18.90", "5.100", "5.10 ± 0.10", "4 of 4"):
        assert words in head, words
    assert "10 min" in head
    assert "2 seed runs, 6 epochs" in head and "17 %" in head


def test_the_winners_own_seeds_are_drawn_and_told(tmp_path: Path) -> None:
    fresh = study(racing={"rungs": [2], "finalists": 2, "judged_on": "fresh"})
    left, plan = Left(tmp_path, fresh), fresh.plan
    for number in (0, 1):
        leave(left.sweep, number, curves(5.0 + number), planned=plan.seeds)
        keep_race(left.sweep, number, plan)
        leave(left.sweep, number, {1000 + seed: of for seed, of in curves(6.0 + number).items()}, planned=plan.fresh)
    leave(left.sweep, 0, {2000 + seed: of for seed, of in curves(8.0).items()}, planned=plan.reported)
    left.finish()
    page = page_of(left)
    assert "seed 0 or 1000 or 2000" in page.text
    assert (
        "8.100" in page.text
        and "the best one's figure is of seeds 2000, 2001, 2002, which nothing was chosen by" in page.text
    )
    assert "the winner others again" in page.text


def test_figures_are_drawn_and_tell_what_they_show(page: Page) -> None:
    figures = page.of("svg")
    assert len(figures) == 4, "seeds, curves, and parameters of both methods"
    assert all(figure["role"] == "img" and len(figure["aria-label"]) > 20 for figure in figures)
    images = page.of("img")
    assert len(images) == 4, "predicted against true, and a map for each seed"
    assert all(image["src"].startswith("data:image/png;base64,") and "age" in image["alt"] for image in images)


def test_tables_have_captions_and_scopes(page: Page) -> None:
    assert len(page.of("table")) == len(page.of("caption")) >= 5
    assert all(header["scope"] in ("row", "col") for header in page.of("th"))


def test_headings_descend_one_level_at_a_time(page: Page) -> None:
    levels = [level for level, _ in page.headings]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(later <= earlier + 1 for earlier, later in itertools.pairwise(levels))


def test_nothing_outside_is_needed(page: Page) -> None:
    assert not {"script", "link", "iframe", "object", "embed", "base", "form"} & {tag for tag, _ in page.elements}
    assert [r for r in page.references() if not r.startswith(("#", "data:image/png;base64,"))] == []
    assert not re.search(r"@import|url\((?!#)", page.styles)
    written = [value for _, attributes in page.elements for value in attributes.values()]
    assert not [value for value in written if re.search(r"url\((?!['\"]?#)", value)]
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]


def test_places_within_the_page_exist(page: Page) -> None:
    places = {attributes.get("id") for _, attributes in page.elements}
    assert {link["href"][1:] for link in page.of("a")} <= places


def test_the_spec_on_the_page_is_the_spec(left: Left, page: Page) -> None:
    text = page.text[page.text.index("\nSpec\n") + 6 :].strip()
    assert parse_spec(text, "page") == left.folder.load().spec
    assert "contrasweep run study.yaml" in page.text


def test_pruned_and_failed_configurations_have_their_reasons(page: Page) -> None:
    assert "3 behind the best" in page.text
    assert "Diverged: the loss is nan" in page.text


def test_the_headline_says_whether_it_beats_the_best_baseline(page: Page) -> None:
    head = page.text[: page.text.index("Provenance")]
    assert "not better than PCA + ridge beyond chance: 0.2700 [-0.1000, 0.7000] age better" in head
    assert "mean prediction of 3 seeds, which alone reach 5.10 ± 0.21" in head
    assert "PCA + ridge 5.200, predict-the-mean 18.90" in head
    assert "MAE of PCA + ridge (some of the voxels)" in page.text and "[4.400, 6.100]" in page.text
    assert "too good: it chose the best of 2 configurations" in page.text


def test_for_whom_and_how_sure_the_figures_are_stands_behind_them(tmp_path: Path) -> None:
    left = finished(tmp_path)
    ages, rng = np.linspace(20, 80, 40), np.random.default_rng(0)
    said, subjects = 50 + 0.5 * (ages - 50) + rng.normal(0, 3, 40), [f"s{row}" for row in range(40)]
    calibration = Calibration.fit(said + rng.normal(0, 2, 40), ages, subjects)
    sex = ["FM"[row % 2] for row in range(40)]
    details = evaluate_sample(ages, said, subjects, columns={"sex": sex}, calibration=calibration, repeats=200)
    write_details(left.folder.final, details)
    page = page_of(left)
    assert [text for level, text in page.headings if level == 2] == [
        "What to doubt",
        SECTIONS[0],
        "Test split: for whom, and how sure",
        *SECTIONS[1:],
    ]
    assert "corrected by a line" in page.text and "By sex" in page.text
    assert f"contrasweep predict {left.folder.sweep_id} SCANS" in page.text


def test_all_configurations_on_the_test_split_come_last_and_are_not_for_choosing(tmp_path: Path) -> None:
    left = finished(tmp_path)
    labels, scans = np.array([20.0, 40.0]), ("sub-0", "sub-1")
    errors = {(0, 0): 3.0, (0, 1): -1.0, (1, 0): 0.5, (7, 0): 0.1}
    said = [Said(trial, Replicate(seed), scans, labels, labels + error) for (trial, seed), error in errors.items()]
    refitted = Said(0, Replicate(0, REFIT), scans, labels, labels + 90)
    write_tested(left.folder.path / TESTED, [*said, refitted])
    page = page_of(left)
    assert [text for level, text in page.headings if level == 2] == [*SECTIONS, "All configurations on the test split"]
    assert "not for choosing" in page.text
    best, chosen = table_on_test(left.content()).lines
    assert best.cells == ("1", "dynlocrep", "0.5000", "0.5000", "6.100", "2"), (
        "the trial whose folder is gone is left out"
    )
    assert chosen.cells == ("0", "dynlocrep", "1.000", "2.0 ± 1.4", "5.100", "1")
    assert (best.kind, chosen.kind) == ("", "best")
    assert "tested" in {link["href"][1:] for link in page.of("a")}


def test_an_ensemble_stands_beside_the_best_configuration(tmp_path: Path) -> None:
    left = finished(tmp_path / "home")
    ensemble_report((20, 40, 60, 80)).write(left.folder.final)
    page, content = page_of(left), left.content()
    assert "The ensemble, and trial 0 alone" in [text for level, text in page.headings if level == 3]
    assert "The ensemble was evaluated once" in page.text and "the weighted mean over its runs" in page.text
    assert "Both were chosen on validation, where their figures are too good" in page.text
    assert "5.300 [4.400, 6.200]" in page.text and "trial 2 seed 0" in page.text
    states = {line.cells[1]: line.cells[-2] for line in leaderboard_table(content).lines}
    assert [number for number, state in states.items() if state.endswith(", evaluated")] == ["0", "2"]
    assert "too good: the ensemble was chosen on these people" in summary(content)


def test_of_what_was_stopped_the_test_split_ranks_nothing(tmp_path: Path) -> None:
    """Though a run of it may be in an ensemble."""
    left, labels = finished(tmp_path / "home"), np.array([20.0, 40.0])
    said = [Said(trial, Replicate(0), ("a", "b"), labels, labels + trial) for trial in (0, 1, 2)]
    write_tested(left.folder.path / TESTED, said)
    assert [line.cells[0] for line in table_on_test(left.content()).lines] == ["0", "1"]


def test_cohorts_have_a_section_with_a_table_and_a_picture_each(tmp_path: Path) -> None:
    page = page_of(with_cohort(tmp_path))
    assert [text for level, text in page.headings if level == 2][:3] == [
        SECTIONS[0],
        "External cohorts: predicted against true",
        SECTIONS[1],
    ]
    assert "adni: 4 subjects" in [text for level, text in page.headings if level == 3]
    assert page.text.count("4.930") >= 3, "in the headline, of the test split, and of the cohort"
    assert any("AGE of 4 subjects of adni" in image["alt"] for image in page.of("img"))
    assert "external" in {link["href"][1:] for link in page.of("a")}


def test_before_the_first_configuration(tmp_path: Path) -> None:
    page = page_of(Left(tmp_path, study(), state="running"))
    assert [text for level, text in page.headings if level == 2] == [SECTIONS[0], *SECTIONS[3:]]
    assert not page.of("svg") and not page.of("img")
    assert "No configuration has begun yet." in page.text
    assert "until then the test split stays locked" in page.text
    assert "interrupted" in page.text, "it says running, but no driver is there"


def test_every_configuration_failed(tmp_path: Path) -> None:
    left = Left(tmp_path, study(), state="failed", reason=f"every configuration failed; see {tmp_path}/storage/x")
    for number in range(3):
        leave(left.sweep, number, {}, failure=f"RuntimeError: no space left on {tmp_path}/storage/trial")
    page = page_of(left)
    assert page.text.count("no space left on") == 3
    assert "3 failed" in page.text
    assert str(tmp_path) not in page.text, "where things are on the server is nobody's business"


def test_one_configuration_that_has_run_one_epoch(tmp_path: Path) -> None:
    left = Left(tmp_path, study(), state="stopped")
    leave(left.sweep, 0, {0: [9.0]}, params={"temperature": 0.1})
    page = page_of(left)
    assert "(9.000)" in page.text and "unfinished" in page.text
    assert "No seed has run all its epochs yet." in page.text


def test_one_seed_and_equal_objectives(tmp_path: Path) -> None:
    left = Left(tmp_path, study(seeds=[7], racing=None), state="stopped")
    for number in range(12):
        leave(left.sweep, number, {7: [5.0] * EPOCHS}, params={"temperature": 0.1 + number})
    page = page_of(left)
    assert "one seed" in page.text and "racing is off" in page.text


def test_errors_that_are_not_finite_are_left_out(tmp_path: Path) -> None:
    left = Left(tmp_path, study(), state="stopped")
    leave(left.sweep, 0, {0: [float("inf"), float("nan"), float("inf")]}, params={"temperature": 0.1})
    assert "No configuration has finished an epoch yet." in page_of(left).text


@pytest.mark.timeout(60)
def test_two_hundred_configurations_are_a_small_page_soon(tmp_path: Path) -> None:
    left = Left(tmp_path, study(trials=200), state="stopped")
    rng = np.random.default_rng(0)
    for number in range(200):
        params: dict[str, Value] = {
            "temperature": float(rng.uniform(0.1, 1)),
            "sigma": float(rng.uniform(1, 5)),
            "kernel": "rbf",
        }
        leave(left.sweep, number, curves(float(rng.uniform(5, 9))), params=params)
    html = render(left.settings, left.folder)
    assert len(html) < 2e6
    assert "180 more rows" in Page(html).text


def test_hostile_words_stay_words(tmp_path: Path) -> None:
    left = finished(tmp_path, label=HOSTILE)
    leave(left.sweep, 3, {}, method="supremix", failure=f"Diverged: {HOSTILE}")
    page = page_of(left)
    assert not page.of("script")
    assert not [image for image in page.of("img") if not image["src"].startswith("data:image/png")]
    assert page.text.count("<script>alert(1)</script>") > 5
    assert [text for level, text in page.headings if level == 2] == SECTIONS


def test_long_names_are_cut_in_figures_alone(tmp_path: Path) -> None:
    left = finished(tmp_path, label="a" * 300)
    page = page_of(left)
    assert f"units of {'a' * 29}…" in page.text and "a" * 300 in page.text


def test_without_optuna_s_storage(tmp_path: Path) -> None:
    left = finished(tmp_path)
    settings = left.settings.model_copy(update={"optuna_storage": "postgresql+nothing://user:secret@nowhere/optuna"})
    page = Page(render(settings, left.folder))
    assert len(page.of("svg")) == 4
    assert "secret" not in page.text


def test_pictures_that_are_gone_leave_a_word(tmp_path: Path) -> None:
    left = finished(tmp_path)
    for path in (left.folder.path / "figures").iterdir():
        path.unlink()
    page = page_of(left)
    assert "not beside it any more" in page.text and not page.of("img")


def test_write_replaces_the_page_in_the_folder_of_reports(left: Left) -> None:
    for _ in range(2):
        path, _ = write(left.settings, left.folder)
    assert path == left.settings.reports / f"{left.folder.sweep_id}.html"
    assert [other.name for other in path.parent.iterdir()] == [path.name]
    assert path.read_text().startswith("<!doctype html>")


def test_a_correlation_is_named_and_drawn_as_it_is(tmp_path: Path) -> None:
    left = Left(tmp_path, study(objective="pearson"), state="stopped")
    for number, r in enumerate([0.5, 0.8, 0.6]):
        reached = {seed: [r - 0.3, r - 0.2, r - 0.1, r] for seed in (0, 1, 2)}
        leave(left.sweep, number, reached, params={"temperature": 0.1 + number}, objective="pearson")
    page = page_of(left)
    assert "MAE" not in page.text.replace("Test MAE", "").replace("mae", ""), "it is not what they are compared by"
    assert "Best validation Pearson's r" in page.text and "0.8000" in page.text and "-0.8" not in page.text
    assert "worse than nine in ten are at the last axis' lower end" in page.text


def test_several_objectives_have_a_scatter_with_the_front(tmp_path: Path) -> None:
    left = Left(tmp_path, study(objective=["mae", "r2"], racing=None), state="stopped")
    for number, (mae, r2) in enumerate([(5.0, 0.6), (6.0, 0.9), (7.0, 0.5)]):
        leave(left.sweep, number, {seed: [mae] * EPOCHS for seed in (0, 1, 2)}, also={"validation_r2": r2})
    page = page_of(left)
    (scatter,) = [figure["aria-label"] for figure in page.of("svg") if "Pareto" in figure["aria-label"]]
    assert scatter.endswith("on the Pareto front: trials 0, 1")
    assert "validation R²" in page.text and "front" in page.text
    assert "further objectives are read at the same epoch" in page.text


def test_what_breaks_a_bound_is_on_the_page_with_the_reason(tmp_path: Path) -> None:
    left = Left(tmp_path, study(constraints={"parameters": {"max": 100}}), state="stopped")
    for number, parameters in enumerate([200.0, 50.0]):
        leave(left.sweep, number, curves(5.0 + number), also={"parameters": parameters})
    page = page_of(left)
    assert "trial 0 is infeasible: parameters 200.0 is above 100.0." in page.text
    assert "trial 1, dynlocrep" in page.text, "the best that keeps the bounds"
