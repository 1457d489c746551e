"""Rows that are tuned: which configurations they are, and which of them are ties."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contrasweep.services.records.folder import SweepFolder, SweepState
from contrasweep.services.records.tested import TESTED, Said, write_tested
from contrasweep.services.settings import Settings
from contrasweep.services.spec.replicate import Replicate
from contrasweep.services.studies.compile import compile_study
from contrasweep.services.studies.examined import examine
from contrasweep.services.studies.outcome import Outcome
from contrasweep.services.studies.page import Report, render
from contrasweep.services.studies.study import StudyConfig
from contrasweep.services.studies.tables import caption, footnotes, further_tables, outcome_table
from contrasweep.services.studies.tuned import tied
from tests.services.past import leave
from tests.services.studies.left import AGES, SCANS_OF, N, data, final_report, study_in

METHODS = ("dynlocrep", "supremix", "simclr")
VALIDATION = (6.0, 7.0, 5.0, 4.0, 7.0, None)
"""Of the configurations, by their numbers, each method's in turn; None has failed."""
NOISE = (1.0, 2.0, 8.0, 2.0, 1.0, 1.0)
"""Of what they predict for the test split."""
CHOSEN = (3, 1, 2)
"""The best of each method by validation, on a tie the first, whatever they predict for the test split."""
STUDY: dict[str, Any] = {
    "rows": [{"name": method.upper(), "method": method} for method in METHODS],
    "tuned": 2,
    "analyses": ["paired"],
    "table": None,
    "dataset": None,
}


def says(number: int, seed: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """By each seed almost the same."""
    errors = np.random.default_rng(number).normal(0, NOISE[number], N)
    return AGES + errors + np.random.default_rng([seed, number]).normal(0, 0.05, N)


def left(
    home: Path, study: StudyConfig, validation: Sequence[float | None] = VALIDATION
) -> tuple[SweepFolder, Settings]:
    """The study's sweep."""
    settings, loaded = Settings(home=home), compile_study(study, data()).loaded
    folder = SweepFolder.create(settings, loaded)
    folder.write_state(SweepState(id=folder.sweep_id, state="finished", spent_s=90.0, started=1.7e9))
    tested = []
    for number, mae in enumerate(validation):
        curves = {} if mae is None else {seed: [9.0, 8.0, 7.0, mae] for seed in (0, 1)}
        failure = "Diverged: the loss is nan" if mae is None else ""
        sweep = Path(settings.storage_path) / folder.sweep_id
        leave(sweep, number, curves, method=METHODS[number % 3], failure=failure, planned=(0, 1))
        tested += [Said(number, Replicate(seed), SCANS_OF, AGES, says(number, seed)) for seed in curves]
    final_report().write(folder.final)
    write_tested(folder.path / TESTED, tested)
    return folder, settings


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    folder = tmp_path_factory.mktemp("tuned")
    study = study_in(folder, **STUDY)
    return Report.of(examine(study, *left(folder / "home", study)))


@pytest.fixture
def outcome(report: Report) -> Outcome:
    return report.outcome


def test_a_row_is_the_best_of_its_method_by_validation(outcome: Outcome) -> None:
    assert [row.trial for row in outcome.rows] == [*CHOSEN]
    for row, number in zip(outcome.rows, CHOSEN, strict=True):
        mae = np.mean([np.abs(says(number, seed) - AGES).mean() for seed in (0, 1)])
        assert row.ours["mae"].value.value == pytest.approx(mae) and row.seeds == 2


def test_it_says_of_how_many(report: Report) -> None:
    """Those that are complete count."""
    assert [row.best_of for row in report.outcome.rows] == [2, 2, 1]
    words = "each row the best of 1 to 2 of its method&#39;s configurations by validation"
    assert words.replace("&#39;", "'") in caption(report.outcome) and words in render([report])


def test_what_cannot_be_told_from_the_best_is_marked(outcome: Outcome) -> None:
    assert set(outcome.tied) == {"DYNLOCREP", "SUPREMIX"}
    lines = outcome_table(outcome).lines[:3]
    assert [line.cells[0] for line in lines] == ["DYNLOCREP *", "SUPREMIX *", "SIMCLR"]
    assert [line.kind for line in lines] == ["best", "best", ""]
    assert footnotes(outcome)[0].startswith("* ties: the best by MAE")
    (of_part,) = further_tables(outcome.model_copy(update={"parts": {"old": 1}}))
    assert [line.cells[0] for line in of_part.lines] == ["DYNLOCREP", "SUPREMIX", "SIMCLR"]


def test_ties_need_all_pairs(tmp_path: Path) -> None:
    study = study_in(tmp_path, **STUDY | {"analyses": [{"paired": {"reference": "SIMCLR"}}]})
    assert examine(study, *left(tmp_path / "home", study)).outcome().tied == ()


def test_ties_are_with_the_best_alone() -> None:
    apart = {frozenset("ab"): True, frozenset("ac"): False, frozenset("bc"): False}
    assert tied("abc", apart) == ("a", "c") and tied("bac", apart) == ("b", "c") and tied("a", {}) == ()


def test_a_method_of_which_all_failed_says_so(tmp_path: Path) -> None:
    study = study_in(tmp_path, **STUDY)
    outcome = examine(study, *left(tmp_path / "home", study, (6.0, 7.0, None, 4.0, 7.0, None))).outcome()
    assert (outcome.rows[2].state, outcome.rows[2].reason) == ("failed", "Diverged: the loss is nan")
    assert set(outcome.tied) == {"DYNLOCREP", "SUPREMIX"}
