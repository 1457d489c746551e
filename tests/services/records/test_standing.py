"""What a sweep has come to, and its configurations as they are told."""

import math
from pathlib import Path

from services.records.standing import Standing, standing, trials
from services.records.trial_record import read_records
from tests.services.past import leave, spec
from trainers.history import PRUNED

SPEC = spec(seeds=[0, 1])


def some(sweep: Path) -> None:
    leave(sweep, 0, {0: [5.0] * 4, 1: [7.0] * 4}, params={"lam": math.inf, "nn_final": 3})
    leave(sweep, 1, {0: [4.0] * 4, 1: [9.0] * 2}, state=PRUNED, reason="3 behind")
    leave(sweep, 2, {0: [1.0]})
    leave(sweep, 3, {}, failure="Diverged: nan")


def test_standing(tmp_path: Path) -> None:
    some(tmp_path)
    assert standing(SPEC, read_records(tmp_path)) == Standing(ended=3, seed_runs=3, saved=1, best=6.0)
    assert standing(SPEC, []) == Standing(ended=0, seed_runs=0, saved=0, best=None)


def test_trials_the_best_first(tmp_path: Path) -> None:
    some(tmp_path)
    whole, pruned, paused, failed = trials(SPEC, read_records(tmp_path))
    assert [t.number for t in (whole, pruned, paused, failed)] == [0, 1, 2, 3]
    assert (whole.state, whole.objective, whole.seeds) == ("complete", 6.0, {0: 5.0, 1: 7.0})
    assert whole.sd == math.sqrt(2)
    assert whole.params == {"lam": "inf", "nn_final": 3}
    assert (pruned.state, pruned.reason, pruned.objective, pruned.epochs) == ("pruned", "3 behind", 4.0, {0: 4, 1: 2})
    assert (paused.state, paused.objective, paused.sd, paused.seeds) == ("running", 1.0, None, {})
    assert (failed.state, failed.reason, failed.objective) == ("failed", "Diverged: nan", None)


def test_a_finalist_has_no_reason_any_more(tmp_path: Path) -> None:
    leave(tmp_path, 0, {0: [5.0] * 4, 1: [6.0] * 4}, state=PRUNED, reason="3 behind")
    assert [trial.reason for trial in trials(SPEC, read_records(tmp_path))] == [""]


def test_epochs_count_those_before_fine_tuning(tmp_path: Path) -> None:
    tuned = SPEC.model_copy(update={"probe": {"finetune": {"method": "c_mixup", "epochs": 2}}})
    leave(tmp_path, 0, {0: [5.0] * 2})
    (trial,) = trials(tuned, read_records(tmp_path))
    assert (trial.epochs, trial.seeds) == ({0: SPEC.training.epochs + 2}, {0: 5.0})
