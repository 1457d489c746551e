"""Records: what is on disk, and how a configuration stands by it."""

import json
import math
from pathlib import Path

import pytest

from contrasweep.search_spaces import Configuration
from contrasweep.services.records.trial_record import (
    read_record,
    read_records,
    run_folder,
    trial_folder,
    write_configuration,
)
from contrasweep.services.spec.replicate import Replicate
from contrasweep.services.spec.spec import SeedPlan
from contrasweep.trainers.history import COMPLETE, PRUNED, RUNNING
from tests.services.past import EPOCHS, by_seed, history, leave

PLAN = SeedPlan((0, 1), EPOCHS)


def test_a_configuration_comes_back_as_it_was_written(tmp_path: Path) -> None:
    written = Configuration("dynlocrep", {"lam": math.inf, "nn_final": 3, "kernel": "rbf", "x": 0.1}, {"lr": 1e-3})
    write_configuration(tmp_path, 12, written, PLAN)
    record = read_record(tmp_path, 12, PLAN)
    assert record is not None
    assert record.configuration == written
    json.loads((trial_folder(tmp_path, 12) / "trial.json").read_text(), parse_constant=pytest.fail)
    assert (record.number, record.failure, record.histories) == (12, "", {})
    assert read_record(tmp_path, 13, PLAN) is None


@pytest.mark.parametrize(
    ("seeds", "last", "failure", "state"),
    [
        ({}, "", "", RUNNING),
        ({0: [5.0] * 4}, "", "", RUNNING),
        ({0: [5.0] * 4, 1: [5.0] * 3}, "", "", RUNNING),
        ({0: [5.0] * 4, 1: [5.0] * 4}, "", "", COMPLETE),
        ({0: [5.0] * 2}, PRUNED, "", PRUNED),
        ({0: [5.0] * 4}, PRUNED, "", PRUNED),
        ({0: [5.0] * 4, 1: [5.0] * 4}, PRUNED, "", COMPLETE),
        ({0: [5.0] * 4}, "", "Diverged: nan", "failed"),
    ],
)
def test_state(tmp_path: Path, seeds: dict[int, list[float]], last: str, failure: str, state: str) -> None:
    leave(tmp_path, 0, seeds, failure=failure, state=last)
    record = read_record(tmp_path, 0, PLAN)
    assert record and record.state == state


def test_the_objective_is_the_mean_of_whole_seeds_bests(tmp_path: Path) -> None:
    leave(tmp_path, 0, {0: [9.0, 4.0, 5.0, 6.0], 1: [9.0, 8.0, 8.0, 7.0], 2: [1.0]})
    record = read_record(tmp_path, 0, PLAN)
    assert record is not None
    assert record.values == by_seed({0: 4.0, 1: 7.0})
    assert record.objective == 5.5
    assert record.sd == pytest.approx(math.sqrt(4.5))


def test_seeds_cut_short_count_where_none_is_whole(tmp_path: Path) -> None:
    leave(tmp_path, 0, {0: [9.0, 3.0]})
    leave(tmp_path, 1, {})
    cut, empty = read_records(tmp_path, PLAN)
    assert (cut.objective, cut.sd) == (3.0, None)
    assert empty.objective == math.inf


def test_the_reason_is_the_failure_or_that_of_the_seed_that_was_stopped(tmp_path: Path) -> None:
    leave(tmp_path, 0, {0: [5.0] * 4, 1: [5.0] * 2}, state=PRUNED, reason="2 behind")
    leave(tmp_path, 1, {0: [5.0] * 2}, state=PRUNED, reason="2 behind", failure="OSError: disk full")
    assert [record.reason for record in read_records(tmp_path, PLAN)] == ["2 behind", "OSError: disk full"]


def test_other_folders_are_left_alone(tmp_path: Path) -> None:
    leave(tmp_path, 3, {0: [5.0]})
    leave(tmp_path, 1, {0: [5.0]})
    (tmp_path / ".tune" / "x").mkdir(parents=True)
    trial_folder(tmp_path, 2).mkdir()
    history([5.0]).write(run_folder(tmp_path, 4, Replicate(0)))
    assert [record.number for record in read_records(tmp_path, PLAN)] == [1, 3], "one without trial.json has not begun"


def test_a_record_has_epochs_of_its_own(tmp_path: Path) -> None:
    own = SeedPlan((0,), judged_epochs=2, earlier_epochs=5)
    write_configuration(tmp_path, 0, Configuration("dynlocrep", {}), own)
    history([5.0, 4.0]).write(run_folder(tmp_path, 0, Replicate(0)))
    record = read_record(tmp_path, 0, PLAN)
    assert record and record.plan == own
    assert (record.state, record.values) == ("complete", {Replicate(0): 4.0})
    assert record.told().epochs == {Replicate(0): 7}
    leave(tmp_path, 1, {0: [5.0]})
    before = read_record(tmp_path, 1, PLAN)
    assert before and before.plan.judged_epochs == PLAN.judged_epochs, "of a version that did not write it"
