"""Seed runs that another sweep has trained."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

from contrasweep.search_spaces import Configuration
from contrasweep.services.records.seed_runs import SeedRuns
from contrasweep.services.spec import methods
from contrasweep.services.spec.spec import SweepSpec
from contrasweep.services.stores.optuna import open_study
from contrasweep.services.sweep.drawing import Drawing
from contrasweep.services.sweep.reuse import count_there
from contrasweep.services.sweep.stages import Source, Stage, Worker
from contrasweep.services.sweep.trial import replayed, run_config, taken_or_trained
from contrasweep.trainers import checkpoint
from contrasweep.trainers.history import COMPLETE, PRUNED, RUNNING, EpochMetrics, History, Verdict
from tests.services.past import history, rows, spec
from tests.trainers import tiny

MAES = [5.0, 4.0, 3.0, 3.5]


@dataclass
class Judge:
    """Says `verdict` after `epochs` epochs, and remembers what it heard."""

    verdict: Verdict = Verdict.GO
    epochs: int = 0
    reason: str = ""
    judged: list[EpochMetrics] = field(default_factory=list)
    heard: list[EpochMetrics] = field(default_factory=list)

    def __call__(self, row: EpochMetrics) -> Verdict:
        self.judged.append(row)
        return self.verdict if len(self.judged) == self.epochs else Verdict.GO

    def hear(self, row: EpochMetrics) -> Verdict:
        self.heard.append(row)
        return Verdict.GO

    def is_pausing(self) -> bool:
        return False


CONFIGURATION = Configuration("dynlocrep", {})


@pytest.fixture
def runs(tmp_path: Path) -> SeedRuns:
    """With one run of two stages in it."""
    found, folder = SeedRuns(tmp_path, "data"), tmp_path / "one-1" / "trial-0000" / "seed-0"
    history(MAES).write(folder)
    history([8.0, 7.0]).write(folder / "pretraining")
    checkpoint.save(folder / "best.pt", {"epoch": 4})
    found.add(run_config(spec(), CONFIGURATION, 0), folder)
    return found


@pytest.mark.parametrize(
    ("judge", "state", "epochs", "weights"),
    [
        (Judge(), COMPLETE, 4, True),
        (Judge(Verdict.PRUNE, 2), PRUNED, 2, False),
        (Judge(Verdict.PRUNE, 4), PRUNED, 4, True),
    ],
)
def test_a_run_is_judged_epoch_by_epoch_as_if_it_were_trained(
    runs: SeedRuns, tmp_path: Path, judge: Judge, state: str, epochs: int, weights: bool
) -> None:
    folder = tmp_path / "two-2" / "trial-0007" / "seed-0"
    assert replayed(runs, run_config(spec(), CONFIGURATION, 0), folder, judge) == state  # type: ignore[arg-type]
    taken = History.read(folder)
    assert taken and (taken.state, taken.epochs, taken.taken) == (state, rows(MAES)[:epochs], "one-1/trial-0000/seed-0")
    assert judge.judged == taken.epochs
    assert [row["pretraining_validation_mae"] for row in judge.heard] == [8.0, 7.0]
    assert (folder / "best.pt").exists() == weights


def test_one_that_pauses_has_not_begun(runs: SeedRuns, tmp_path: Path) -> None:
    folder, judge = tmp_path / "two-2", Judge(Verdict.PAUSE, 1)
    assert replayed(runs, run_config(spec(), CONFIGURATION, 0), folder, judge) == RUNNING  # type: ignore[arg-type]
    assert not folder.exists()


@pytest.mark.parametrize(("state", "taken"), [(RUNNING, "one-1/trial-0000/seed-0"), (COMPLETE, ""), (PRUNED, "")])
def test_one_that_is_under_way_is_taken_where_another_was_whole_first(
    runs: SeedRuns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str, taken: str
) -> None:
    monkeypatch.setattr(
        "contrasweep.services.sweep.trial.train_seed", lambda run, feed, folder, **_: History.read(folder)
    )
    folder, judge = tmp_path / "two-2" / "trial-0007" / "seed-0", Judge()
    history(MAES[:2], state=state).write(folder)
    (folder / "latest.pt").touch()
    stage = Stage(run_config(spec(), CONFIGURATION, 0), (Source(tiny.feed, runs),), folder)
    worker = Worker(Source.open, torch.device("cpu"), judge.hear, judge.is_pausing)
    found = taken_or_trained(stage, worker, judge)  # type: ignore[arg-type]
    assert (found.taken, len(found.epochs)) == (taken, 4 if taken else 2)


def test_there_is_none(runs: SeedRuns, tmp_path: Path) -> None:
    judge = Judge()
    assert replayed(runs, run_config(spec(), CONFIGURATION, 1), tmp_path / "two-2", judge) == ""  # type: ignore[arg-type]
    assert not judge.judged


def test_what_is_there_is_counted_up_to_the_first_that_is_not(tmp_path: Path) -> None:
    study, found = spec(trials=4, seeds=[0, 1], parallel=2), SeedRuns(tmp_path, "data")
    assert count_there(study, 0, {((), None): found}, {(): 60.0}) == 0
    first = configurations(study)
    for number, seeds in ((0, (0, 1)), (1, (1,)), (3, (0, 1))):
        for seed in seeds:
            folder = tmp_path / f"one-1/trial-{number}/seed-{seed}"
            history(MAES, seed=seed).write(folder)
            (folder / "best.pt").touch()
            found.add(run_config(study, first[number], seed), folder)
    assert count_there(study, 0, {((), None): found}, {(): 60.0}) == 3


def configurations(study: SweepSpec) -> list[Configuration]:
    """What the sweep draws first, while nothing has ended."""
    import optuna

    search = study.search
    asked = open_study("", optuna.storages.InMemoryStorage(), methods.starts(study, {(): 60.0}), search.objective)
    drawing = Drawing(asked, lambda trial, spaces: methods.draw(trial, study, {(): 60.0}), search)
    drawn: dict[int, Configuration] = {}
    for number in range(search.trials):
        scratch, drawn[number] = drawing.next(number, drawn, {})
        asked.ask()
        scratch.keep(drawn[number].method)
    return list(drawn.values())
