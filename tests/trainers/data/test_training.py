"""What `data.train` leaves to train on, and what it leaves alone."""

import itertools
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contrasweep.trainers.config import BinWidth, SplitConfig, TrainingSplitConfig
from contrasweep.trainers.data.participants import labels_of
from contrasweep.trainers.data.splits import Splits, fold_of, make_splits
from contrasweep.trainers.data.store import StoredSubject
from contrasweep.trainers.data.training import binned, noisy, permuted, training_split
from contrasweep.trainers.errors import UserError
from tests.trainers.data.test_splits import KINDS, SIDES, made, people


def told(**said: Any) -> TrainingSplitConfig:
    return TrainingSplitConfig.model_validate(said)


def everyone(seed: int) -> list[StoredSubject]:
    """48 people in families of two, which are of one site, side and fold, with up to three visits, a year apart; a
    third of the scans have no label.
    """
    rng = np.random.default_rng(seed)
    return [
        scan.model_copy(
            update={
                "id": f"{scan.id}_{visit}",
                "label": None if rng.random() < 0.3 else scan.label + visit,
                "split_cells": {
                    "family": f"f{place // 2}",
                    "site": "ABC"[place // 2 % 3],
                    "side": SIDES[place // 2 % 3],
                    "fold": str(place // 2 % 4),
                },
            }
        )
        for place, scan in enumerate(people(48, seed))
        if scan.label is not None
        for visit in range(1 + place % 3)
    ]


CONFIGS = st.builds(
    told,
    size=st.sampled_from([1.0, 0.5, 0.3, 3]),
    seed=st.integers(0, 9),
    drop=st.sampled_from([(), ((20, 22),), ((30, 40), (60, 61))]),
    permute=st.sampled_from([None, "values"]),
    bins=st.sampled_from([None, 4, {"width": 5}]),
    noise=st.sampled_from([None, 3.0]),
)


@pytest.mark.parametrize("kind", KINDS)
@given(seed=st.integers(0, 10_000), config=CONFIGS, share=st.sampled_from([0.0, 0.2]))
@settings(max_examples=20, deadline=None)
def test_nothing_but_training_changes_and_subjects_stay_whole(
    kind: str, seed: int, config: TrainingSplitConfig, share: float
) -> None:
    scans = everyone(seed)
    by_id = {scan.id: scan for scan in scans}
    rng = np.random.default_rng(seed)
    outside = {scan.id for scan in scans if rng.random() < share}
    config = config.model_copy(update={"where": told(where={"site": "A"}).where if outside else {}})
    whole = made(kind, scans)
    for run in [fold_of(whole, number) for number in range(len(whole.folds))] or [whole]:
        try:
            left = training_split(run, scans, outside, config)
        except UserError as error:
            assert re.search("two labels are needed|leaves none|in one bin|is not allowed", str(error))
            continue
        assert (left.validation, left.test) == (run.validation, run.test)
        assert set(left.train) <= set(run.train) - outside
        assert left.unlabelled == tuple(name for name in run.unlabelled if name not in outside)
        assert left.train == tuple(sorted(left.train))
        if config != TrainingSplitConfig():
            assert set(left.untrained) == {*run.train, *run.unlabelled} - {*left.train, *left.unlabelled}
        subjects = {by_id[name].subject for name in left.train}
        kept = [name for name in run.train if name not in outside and by_id[name].subject in subjects]
        assert sorted(kept) == list(left.train), "all that fulfils `where` of who is there, and of nobody else"
        labels = labels_of(by_id[name] for name in left.train)
        assert len(labels) == len(left.train)
        assert not any(low <= label < high for label in labels for low, high in config.drop)
        assert set(left.taught) in (set(), set(left.train))


@pytest.fixture(scope="module")
def scans() -> list[StoredSubject]:
    """60 people of 20, 21, ... 79 years."""
    return [scan.model_copy(update={"label": 20.0 + age}) for age, scan in enumerate(people(60))]


@pytest.fixture(scope="module")
def whole(scans: list[StoredSubject]) -> Splits:
    """36 to train on."""
    return make_splits(scans, SplitConfig(stratify=()))


def test_what_says_nothing_changes_nothing(scans: list[StoredSubject]) -> None:
    folds = make_splits(scans, SplitConfig(folds=3))
    assert training_split(folds, scans, (), told()) is folds
    assert training_split(folds, scans, (), told(size=1)) is folds


def test_fewer_are_among_more_of_the_same_seed(scans: list[StoredSubject], whole: Splits) -> None:
    sizes = [2, 0.1, 0.25, 10, 0.5, 20, 36, 0.999]
    trained = [set(training_split(whole, scans, (), told(size=size, seed=3)).train) for size in sizes]
    assert [len(ids) for ids in trained] == [2, 4, 9, 10, 18, 20, 36, 36]
    assert all(fewer <= more for fewer, more in itertools.pairwise(trained))
    assert trained[4] != set(training_split(whole, scans, (), told(size=0.5, seed=4)).train)


def test_who_is_drawn_does_not_depend_on_the_order_of_scans(scans: list[StoredSubject], whole: Splits) -> None:
    config = told(size=10, permute="values", bins=4)
    assert training_split(whole, scans[::-1], (), config) == training_split(whole, scans, (), config)


def test_size_counts_subjects(scans: list[StoredSubject]) -> None:
    visits = [scan.model_copy(update={"id": f"{scan.id}_{visit}"}) for scan in scans for visit in range(3)]
    left = training_split(make_splits(visits, SplitConfig()), visits, (), told(size=5))
    assert len(left.train) == 15
    assert len({name.partition("_")[0] for name in left.train}) == 5


def test_a_subject_with_one_dropped_label_goes_whole_and_its_scans_without_one_stay(
    scans: list[StoredSubject],
) -> None:
    """SupReMix, Table 14: ages of 45-50 are missing in training."""
    visits = [
        scan.model_copy(update={"id": f"{scan.id}_{visit}", "label": None if visit == 2 else scan.label + visit})
        for scan in scans
        if scan.label is not None
        for visit in range(3)
    ]
    age = {scan.subject: scan.label for scan in scans}
    whole = make_splits(visits, SplitConfig())
    left = training_split(whole, visits, (), told(drop=[[45, 50]]))
    trained, before = ({age[name.partition("_")[0]] for name in ids} for ids in (left.train, whole.train))
    assert trained == before - {44.0, 45.0, 46.0, 47.0, 48.0, 49.0} < before, "at 44 the second visit was at 45"
    assert left.unlabelled == whole.unlabelled


def test_the_order_is_where_drop_size_bins_permute_noise(scans: list[StoredSubject], whole: Splits) -> None:
    label = {scan.id: scan.label for scan in scans if scan.label is not None}
    outside = {name for name, age in label.items() if age >= 60}
    config = told(size=8, seed=1, drop=[[30, 40]], bins={"width": 10}, permute="values", noise=2)
    left = training_split(whole, scans, outside, config)
    assert len(left.train) == 8, "of those that are left by where and drop"
    assert all(20 <= label[name] < 30 or 40 <= label[name] < 60 for name in left.train)
    own = np.array([label[name] for name in left.train])
    expected = permuted(binned(own, BinWidth(width=10)), 1)
    assert left.taught == noisy(dict(zip(left.train, expected.tolist(), strict=True)), 2, 1)


def test_bins_of_one_whole_label_change_none() -> None:
    """SupReMix, Table 17: "1 (original values)"."""
    ages = np.array([20.0, 21.0, 21.0, 79.0])
    assert binned(ages, BinWidth(width=1)).tolist() == ages.tolist()


@pytest.mark.parametrize("bins", [2, 3, 7, BinWidth(width=5), BinWidth(width=20)])
def test_a_bin_has_the_mean_of_its_labels(bins: int | BinWidth) -> None:
    labels = np.random.default_rng(0).uniform(7.0, 97.0, 500)
    low, width = (0.0, bins.width) if isinstance(bins, BinWidth) else (labels.min(), np.ptp(labels) / bins)
    taught = binned(labels, bins)
    assert taught.mean() == pytest.approx(labels.mean())
    ends = low + width * np.arange(1 + np.ceil((labels.max() - low) / width))
    for start, end in zip(ends, [*ends[1:-1], np.inf], strict=False):
        inside = (labels >= start) & (labels < end)
        assert not inside.any() or taught[inside] == pytest.approx(labels[inside].mean())
    assert len(np.unique(taught)) == len({int((label - low) // width) for label in labels if label < labels.max()})


@given(labels=st.lists(st.integers(0, 20), min_size=2).filter(lambda some: len(set(some)) > 1), seed=st.integers(0, 9))
def test_permuted_labels_are_a_bijection_in_which_each_value_is_new(labels: list[int], seed: int) -> None:
    own = np.array(labels, dtype=np.float64)
    new = permuted(own, seed)
    pairs = set(zip(own.tolist(), new.tolist(), strict=True))
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})
    assert {a for a, _ in pairs} == {b for _, b in pairs}
    assert all(a != b for a, b in pairs)


def test_the_seed_decides_how_labels_are_permuted() -> None:
    ages = np.arange(20.0, 80.0)
    assert permuted(ages, 0).tolist() == permuted(ages, 0).tolist() != permuted(ages, 1).tolist()


def test_noise_has_its_sd_and_each_scan_its_own() -> None:
    labels = {f"s{number}": 50.0 for number in range(4000)}
    errors = np.array(list(noisy(labels, 5, 0).values())) - 50
    assert errors.mean() == pytest.approx(0, abs=0.3) and errors.std() == pytest.approx(5, rel=0.05)
    assert noisy({"s7": 50.0}, 5, 0)["s7"] == noisy(labels, 5, 0)["s7"] != noisy(labels, 5, 1)["s7"]


def test_noise_alone_is_taught_in_place_of_the_labels(scans: list[StoredSubject], whole: Splits) -> None:
    left = training_split(whole, scans, (), told(noise=5))
    assert left.train == whole.train and set(left.taught) == set(left.train)


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ({"size": 37}, r"^data\.train\.size: 37 is not allowed: 36 subjects are left .* up to 36$"),
        ({"size": 0.01}, r"^data\.train\.size: 0\.01 is not allowed: 36 subjects are left"),
        ({"size": 30, "drop": [[20, 50]]}, r"^data\.train\.size: 30 is not allowed: \d+ subjects are left"),
        ({"drop": [[20, 50], [50, 90]]}, r"^data\.train\.drop: \[\[20, 50\], \[50, 90\]\] leaves none of 36 subjects"),
        (
            {"bins": {"width": 100}},
            r"^data\.train\.bins\.width: 100 is not allowed: all labels, \S+ to \S+, are in one",
        ),
    ],
)
def test_what_leaves_nothing_is_refused(
    said: dict[str, Any], fault: str, scans: list[StoredSubject], whole: Splits
) -> None:
    with pytest.raises(UserError, match=fault):
        training_split(whole, scans, (), told(**said))


def test_where_that_nobody_fulfils_is_refused(scans: list[StoredSubject], whole: Splits) -> None:
    with pytest.raises(UserError, match=r"^data\.train\.where: none of the 36 scans of the training split fulfils it"):
        training_split(whole, scans, set(whole.train), told(where={"site": "A"}))


def test_one_label_that_is_left_is_refused(scans: list[StoredSubject], whole: Splits) -> None:
    alike = [scan.model_copy(update={"label": 30.0}) if scan.id in whole.train else scan for scan in scans]
    with pytest.raises(UserError, match=r"^data\.train: the label of all 5 scans that are left is 30; two"):
        training_split(whole, alike, (), told(size=5, bins=4))
