from pathlib import Path

import pytest

from contrasweep.services.records.trial_record import run_folder
from contrasweep.services.spec.replicate import Replicate
from contrasweep.services.sweep_page.cost import Cost, saved, spent
from contrasweep.trainers.history import PRUNED, History
from tests.services.past import EPOCHS, leave
from tests.services.sweep_page.left import SEEDS, Left, curves, study


def timed(left: Left, number: int, seed: int, epochs: int, epoch_s: float, state: str = PRUNED) -> None:
    rows = [{"epoch": epoch, "validation_mae": 9.0, "epoch_s": epoch_s} for epoch in range(epochs)]
    History(seed, state, "", rows).write(run_folder(left.sweep, number, Replicate(seed)))


def test_what_was_pruned_is_saved_at_its_own_pace(tmp_path: Path) -> None:
    left = Left(tmp_path, study())
    leave(left.sweep, 0, curves(5.0))
    leave(left.sweep, 1, {})
    timed(left, 1, 0, EPOCHS, 36.0, state="complete")
    timed(left, 1, 1, 1, 36.0)
    whole = len(SEEDS) * EPOCHS
    run, unrun = spent(left.content()), saved(left.content())
    assert (run.runs, run.epochs, unrun.runs, unrun.epochs) == (4, whole + 5, 2, whole - 5)
    assert (run.hours, unrun.hours) == pytest.approx((0.05, (whole - 5) / 100))


def test_what_failed_or_goes_on_saves_nothing(tmp_path: Path) -> None:
    left = Left(tmp_path, study())
    leave(left.sweep, 0, {0: [9.0]}, failure="Diverged: nan")
    leave(left.sweep, 1, {0: [9.0]})
    assert saved(left.content()) == Cost(0, 0, 0.0)


def test_the_stage_before_fine_tuning_counts(tmp_path: Path) -> None:
    left = Left(tmp_path, study())
    leave(left.sweep, 0, {0: [9.0, 8.0]})
    History(0, "complete", "", [{"epoch": 0, "epoch_s": 7200.0}]).write(
        run_folder(left.sweep, 0, Replicate(0)) / "pretraining"
    )
    assert spent(left.content()).epochs == 3
