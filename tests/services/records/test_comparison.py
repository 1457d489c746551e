"""Sweeps side by side: what differs in their specs, what is paired with what, and how searches went on."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pytest

from contrasweep.services.records.answers import Comparison, Difference, Sweep
from contrasweep.services.records.comparison import Side, between_runs, between_subjects, compare, differing, progress
from contrasweep.services.records.folder import SweepState
from contrasweep.services.records.trial_record import keep_race, read_records
from contrasweep.services.spec.replicate import Replicate
from contrasweep.services.spec.spec import SweepSpec
from contrasweep.trainers.history import PRUNED
from contrasweep.trainers.metrics import bootstrap
from tests.services.past import leave, spec
from tests.services.sweep_page.left import final_report

LABELS = (20.0, 40.0, 60.0, 80.0)


def changed(study: SweepSpec, **data: Any) -> SweepSpec:
    return study.model_copy(update={"data": study.data.model_copy(update=data)})


def side(
    sweep: Path,
    study: SweepSpec,
    *,
    training: str = "t",
    labels: Sequence[float] = LABELS,
    predicted: Mapping[int, Sequence[float]] | None = None,
) -> Side:
    name = sweep.name
    final = None
    if predicted:
        by_run = {Replicate(seed): tuple(values) for seed, values in predicted.items()}
        final = final_report(labels, 0).model_copy(update={"predictions": by_run})
    state = SweepState(id=name, state="finished", volumes="v", training=training)
    sweep_now = Sweep(id=name, state="finished", seeds=2, label=study.data.label, final=final.told() if final else None)
    return Side(sweep_now, study, state, read_records(sweep, study.plan), final)


def some(sweep: Path, level: float = 0.0) -> Path:
    """Two methods of two seeds each, the second configuration the best."""
    leave(sweep, 0, {0: [6.0 + level] * 4, 1: [6.5 + level] * 4})
    leave(sweep, 1, {0: [5.0 + level] * 4, 1: [5.25 + level] * 4})
    leave(sweep, 2, {0: [7.0 + level] * 4, 1: [7.0 + level] * 4}, method="supremix")
    return sweep


SPEC = spec(spaces=["dynlocrep", "supremix"], seeds=[0, 1])


def apart(one: Side, other: Side) -> Mapping[str, str]:
    return {what: why for what, why in compare([one, other]).sweeps[1].apart.items()}


def test_fields_that_differ() -> None:
    augmented: dict[str, Any] = {"augmentations": {"noise": {}, "cutout": {}}}
    one, other = spec(seeds=[0, 1]), spec(spaces=["simclr"], training=augmented, seeds=[0, 1], racing={"rungs": [2]})
    assert differing([one, one]) == {}
    assert differing([one, other, one]) == {
        "training.augmentations.noise": [None, {}, None],
        "training.augmentations.cutout": [None, {}, None],
        "search.spaces": [["dynlocrep"], ["simclr"], ["dynlocrep"]],
        "search.racing.rungs": [None, [2], None],
        "search.racing.finalists": [None, 3, None],
        "search.racing.confidence": [None, 0.9, None],
        "search.racing.reinvest": [None, False, None],
        "search.racing.judged_on": [None, "raced", None],
    }


def test_an_order_that_counts_differs() -> None:
    given: list[dict[str, Any]] = [{"noise": {}, "cutout": {}}, {"cutout": {}, "noise": {}}]
    specs = [spec(training={"augmentations": augmentations}) for augmentations in given]
    assert specs[0].sweep_id != specs[1].sweep_id
    assert differing(specs) == {"order of training.augmentations": [["noise", "cutout"], ["cutout", "noise"]]}


def test_the_best_of_each_and_of_each_method_are_paired_run_by_run(tmp_path: Path) -> None:
    leave(some(tmp_path / "two", level=-1.0), 3, {0: [9.0] * 4, 1: [8.0] * 4}, method="vanilla")
    compared = compare([side(some(tmp_path / "one"), SPEC), side(tmp_path / "two", SPEC)])
    first, second = compared.sweeps
    assert first.best and second.best
    assert (first.best.trial.number, first.best.difference, first.apart, first.test) == (1, None, {}, None)
    assert second.best.difference == Difference(pairs=2, mean=-1.0, sd=0.0)
    assert list(second.methods) == ["dynlocrep", "supremix", "vanilla"]
    assert second.methods["supremix"].difference == Difference(pairs=2, mean=-1.0, sd=0.0)
    assert second.methods["vanilla"].difference is None, "the first has none of it"
    assert Comparison.model_validate_json(compared.model_dump_json()) == compared


def test_only_runs_of_the_same_seed_and_fold_are_paired(tmp_path: Path) -> None:
    leave(tmp_path / "one", 0, {Replicate(0, 0): [5.0] * 4, Replicate(0, 1): [6.0] * 4, Replicate(1, 0): [6.5] * 4})
    leave(tmp_path / "two", 0, {Replicate(0, 0): [4.0] * 4, Replicate(0, 1): [7.0] * 4, Replicate(2, 0): [9.0] * 4})
    (one,), (two,) = (read_records(tmp_path / name, SPEC.plan_over(2)) for name in ("one", "two"))
    found = between_runs(two, one)
    assert (found.pairs, found.mean) == (2, 0.0)
    assert found.sd == pytest.approx(2**0.5)
    leave(tmp_path / "three", 0, {7: [4.0] * 4})
    (three,) = read_records(tmp_path / "three", SPEC.plan)
    assert between_runs(three, one) == Difference(pairs=0)


def test_a_winner_by_fresh_seeds_is_paired_by_those_that_the_other_ran_too(tmp_path: Path) -> None:
    plan = spec(seeds=[0, 1], racing={"judged_on": "fresh"}).plan
    for number, planned in enumerate((plan.reported, plan.fresh, plan.seeds)):
        for seeds, mae in ((plan.seeds, 4.0), (plan.fresh, 5.0), (plan.reported, 6.0)):
            leave(tmp_path, number, {seed: [mae + number] * 4 for seed in seeds}, planned=seeds)
            if seeds == planned:
                break
            if seeds == plan.seeds:
                keep_race(tmp_path, number, plan)
    winner, finalist, raced = read_records(tmp_path, plan)
    assert winner.as_reported().objective == 6.0
    assert [between_runs(winner.as_reported(), other).mean for other in (finalist, raced)] == [-1.0, -2.0]


def test_errors_on_the_test_split_are_paired_by_subject(tmp_path: Path) -> None:
    predicted = [[25.0, 41.0, 60.0, 70.0], [22.0, 40.0, 63.0, 78.0], [24.0, 44.0, 63.0, 76.0]]
    one = side(tmp_path / "one", SPEC, predicted={0: predicted[0]})
    two = side(tmp_path / "two", SPEC, predicted={0: predicted[1], 1: predicted[2]})
    found = compare([one, two]).sweeps[1].test
    assert found and found.low and found.high
    differences = [3 - 5, 2 - 1, 3 - 0, 3 - 10]
    assert (found.pairs, found.mean) == (4, fmean(differences))
    plain = bootstrap(np.zeros(4), [np.array(differences) + 100.0])["mae"]
    assert [found.low, found.high] == pytest.approx([plain.low - 100, plain.high - 100], abs=0.3)


def test_scans_of_one_subject_are_drawn_together() -> None:
    """Two subjects: resamples are of one, of the other, or of both."""
    report = final_report(LABELS, 0).model_copy(update={"subjects": ("a", "a", "a", "b")})
    better = report.model_copy(update={"predictions": {Replicate(0): (21.0, 41.0, 61.0, 87.0)}})
    exact = report.model_copy(update={"predictions": {Replicate(0): LABELS}})
    assert between_subjects(better, exact) == Difference(pairs=2, mean=2.5, low=1.0, high=7.0)


def test_other_data_cannot_be_paired(tmp_path: Path) -> None:
    one, ids = side(some(tmp_path / "one"), SPEC, predicted={0: LABELS}), dict.fromkeys(("id", "session"), "x")
    two = some(tmp_path / "two")
    label = "other label: age and sex"
    assert apart(one, side(two, changed(SPEC, label="sex"))) == {"validation": label, "test": label}
    split = changed(SPEC, split=SPEC.data.split.model_copy(update={"seed": 1}), **ids)
    found = apart(one, side(two, split, training="u", predicted={0: LABELS[:3]}, labels=LABELS[:3]))
    assert found["validation"] == "other split: data.session, data.id, data.split.seed"
    assert found["test"] == "other test split: of 4 and 3 scans 3 are in both"
    assert apart(one, side(two, SPEC, training="u"))["validation"].endswith("the table or the images have changed")
    assert apart(one, side(two, SPEC))["test"] == "two has no final figure yet"
    other = side(two, SPEC, predicted={0: LABELS}, labels=(20.0, 40.0, 60.0, 81.0))
    assert apart(one, other) == {"test": "other labels of the same test scans"}
    best = compare([one, side(two, split, training="u")]).sweeps[1].best
    assert best and best.difference is None


def test_what_leaves_the_split_as_it_is_can_be_paired(tmp_path: Path) -> None:
    one, two = side(some(tmp_path / "one"), SPEC, predicted={0: LABELS}), some(tmp_path / "two")
    moved = changed(SPEC, participants="elsewhere.tsv", transforms=({"NormalizeIntensity": {}},))
    assert apart(one, side(two, moved, predicted={0: LABELS})) == {}, "it trains on the same scans"
    less = changed(SPEC, train=SPEC.data.train.model_copy(update={"size": 0.5}), dtype="uint8")
    assert apart(one, side(two, less, training="u", predicted={0: LABELS})) == {}
    assert apart(one, side(two, SPEC, training="", predicted={0: LABELS})) == {}, "of a version that did not say"


def test_progress_is_as_races_ended(tmp_path: Path) -> None:
    plan = spec(seeds=[0, 1], racing={"rungs": [2]}).plan
    leave(tmp_path, 0, {0: [6.0] * 4, 1: [6.0] * 4})
    leave(tmp_path, 1, {0: [5.0] * 2}, state=PRUNED, reason="behind")
    keep_race(tmp_path, 1, plan)
    leave(tmp_path, 1, {0: [5.0] * 4, 1: [5.0] * 4})
    leave(tmp_path, 2, {0: [5.5] * 4, 1: [5.5] * 4})
    found = progress(read_records(tmp_path, plan))
    assert (found.epochs, found.best) == ([8, 10, 18], [6.0, 6.0, 5.5])


def test_a_sweep_that_has_nothing_yet(tmp_path: Path) -> None:
    leave(tmp_path / "two", 0, {}, failure="Diverged: nan")
    _, second = compare([side(some(tmp_path / "one"), SPEC), side(tmp_path / "two", SPEC)]).sweeps
    assert (second.best, second.methods, second.progress.best) == (None, {}, [None])
    _, again = compare([side(tmp_path / "two", SPEC), side(tmp_path / "one", SPEC)]).sweeps
    assert again.best and again.best.difference is None
