import hashlib
import json
import random
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from sklearn.model_selection import train_test_split
from upath import UPath

from contrasweep.trainers.config import FILES, AnySplit, SplitByFiles, SplitConfig
from contrasweep.trainers.data.split_files import SplitLists
from contrasweep.trainers.data.splits import (
    Splits,
    all_but_test,
    fold_of,
    left_out,
    make_splits,
    read_splits,
    store_splits,
)
from contrasweep.trainers.data.store import Source, StoredSubject, VolumeStore
from contrasweep.trainers.errors import UserError

SOURCE = Source(shape=(1, 2), spacing_mm=None, orientation=None, minimum=0.0, maximum=1.0, mean=0.5)


def people(count: int, seed: int = 0) -> list[StoredSubject]:
    """Skewed ages, a numeric column with gaps, and a site that only two subjects have."""
    rng = np.random.default_rng(seed)
    ages = 20 + 60 * rng.beta(0.5, 1.5, count)
    return [
        StoredSubject(
            id=f"s{i:04d}",
            subject=f"s{i:04d}",
            path="",
            digest="",
            content="",
            label=float(ages[i]),
            group=None,
            strata={
                "age": float(ages[i]),
                "bmi": "" if i % 5 == 0 else float(i),
                "site": "rare" if i < 2 else "ab"[i % 2],
            },
            described={},
            source=SOURCE,
        )
        for i in range(count)
    ]


@pytest.mark.parametrize("stratify", [(), ("age",), ("age", "site"), ("bmi", "site", "age")])
@pytest.mark.parametrize("count", [3, 7, 50, 311])
def test_splits_cover_everyone_once_in_the_sizes_asked_for(count: int, stratify: tuple[str, ...]) -> None:
    splits = make_splits(people(count), SplitConfig(test=0.2, validation=0.2, stratify=stratify))
    parts = [splits.train, splits.validation, splits.test]
    assert sorted(sum(parts, ())) == [s.id for s in people(count)]
    assert [len(part) for part in parts[1:]] == [round(0.2 * count)] * 2


def test_stratified_splits_have_the_same_ages_and_sites() -> None:
    subjects = {s.id: s for s in people(300)}
    splits = make_splits(list(subjects.values()), SplitConfig(stratify=("age", "site")))
    overall = np.mean([s.label for s in subjects.values()])
    for part in (splits.train, splits.validation, splits.test):
        assert np.mean([subjects[i].label for i in part]) == pytest.approx(overall, abs=1.5)
        assert np.mean([subjects[i].strata["site"] == "a" for i in part]) == pytest.approx(0.5, abs=0.06)


def test_the_seed_decides() -> None:
    first, again, other = (make_splits(people(50), SplitConfig(seed=seed)) for seed in (0, 0, 1))
    assert first == again
    assert first != other


def test_a_single_stratum_is_cut_as_scikit_learn_does() -> None:
    rest, test = train_test_split(range(50), test_size=10, random_state=4, stratify=[0] * 50)
    _, validation = train_test_split(sorted(rest), test_size=10, random_state=4, stratify=[0] * 40)
    splits = make_splits(people(50), SplitConfig(stratify=(), seed=4))
    assert splits.test == tuple(f"s{i:04d}" for i in sorted(test))
    assert splits.validation == tuple(f"s{i:04d}" for i in sorted(validation))


def with_sessions(subjects: Sequence[StoredSubject], counts: Sequence[int]) -> list[StoredSubject]:
    """Each subject `counts` times, older and elsewhere from time to time."""
    return [
        subject.model_copy(
            update={
                "id": f"{subject.id}_{session}",
                "strata": subject.strata | ({"age": 200.0 + session, "site": f"site{session}"} if session else {}),
            }
        )
        for subject, count in zip(subjects, counts, strict=True)
        for session in range(count)
    ]


@given(st.lists(st.integers(1, 4), min_size=5, max_size=60), st.integers(0, 3), st.sampled_from([(), ("age", "site")]))
def test_a_subjects_sessions_go_where_its_first_scan_goes(
    counts: list[int], seed: int, stratify: tuple[str, ...]
) -> None:
    subjects = people(len(counts))
    config = SplitConfig(stratify=stratify, seed=seed)
    scans = with_sessions(subjects, counts)
    splits, alone = make_splits(scans, config), make_splits(subjects, config)
    parts = [(splits.train, alone.train), (splits.validation, alone.validation), (splits.test, alone.test)]
    assert sorted(sum((part for part, _ in parts), ())) == [scan.id for scan in scans]
    for part, ids in parts:
        assert list(part) == sorted(part)
        assert {scan.partition("_")[0] for scan in part} == set(ids)


def test_an_empty_split_is_refused() -> None:
    with pytest.raises(UserError, match="2 subjects leave the test split empty"):
        make_splits(people(2), SplitConfig(test=0.1))


def test_splits_are_written_into_the_store_and_kept(store: VolumeStore) -> None:
    config = SplitConfig(stratify=("age",))
    splits = store_splits(store, config)
    assert len(list(store.folder.glob("splits-*.json"))) == 1
    assert store_splits(VolumeStore.open(store.folder), config) == splits
    store_splits(store, SplitConfig(seed=5))
    assert len(list(store.folder.glob("splits-*.json"))) == 2


def test_the_file_of_a_split_by_fractions_keeps_its_name(store: VolumeStore) -> None:
    """The name is a digest of what fractions, columns and seed always were."""
    store_splits(store, SplitConfig(stratify=("age",)))
    said = '{"seed":0,"stratify":["age"],"test":0.2,"validation":0.2}'
    (path,) = store.folder.glob("splits-*.json")
    assert path.name == f"splits-{hashlib.sha256(said.encode()).hexdigest()[:12]}.json"
    assert set(json.loads(path.read_text())["splits"]) == {"train", "validation", "test"}


def split(**said: Any) -> AnySplit:
    """A split as a spec says it."""
    config: AnySplit = TypeAdapter(AnySplit).validate_python(said)
    return config


def scan(name: str, subject: str, **cells: str) -> StoredSubject:
    """A scan whose label is the length of its name, with what the split's columns say of it."""
    return StoredSubject(
        id=name,
        subject=subject,
        path="",
        digest="",
        content="",
        label=float(len(name)),
        group=None,
        strata={"age": float(len(name))},
        described={},
        source=SOURCE,
        split_cells=cells,
    )


@st.composite
def cohorts(draw: st.DrawFn) -> list[StoredSubject]:
    """Families of subjects with scans, in any order; each is of one site, published side and fold, or of none."""
    scans = []
    for family in range(draw(st.integers(9, 20))):
        # Somebody is of every site, side and fold.
        site = "ABC"[family % 3] if family < 9 else draw(st.sampled_from(["A", "B", "C", ""]))
        side = SIDES[family % 3] if family < 6 else draw(st.sampled_from([*SIDES, ""]))
        fold = str(family % 4) if family < 8 else draw(st.sampled_from(["0", "1.0", "2", "03", ""]))
        alone = draw(st.booleans())
        for member in range(1 if alone else draw(st.integers(1, 3))):
            cells = {"site": site, "side": side, "fold": fold, "family": "" if alone else f"f{family}"}
            visits = range(draw(st.integers(1, 2)))
            scans += [scan(f"s{family}{member}_{visit}", f"s{family}{member}", **cells) for visit in visits]
    return draw(st.permutations(scans))


def made(kind: str, cohort: list[StoredSubject], **more: Any) -> Splits:
    """The splits of a kind, its files, where it has any, written by what the column says."""
    config = split(**KINDS[kind] | more)
    if isinstance(config, SplitByFiles):
        with tempfile.TemporaryDirectory() as name:
            for side, path in config.files.named.items():
                ids = {one.subject for one in cohort if SIDE_OF.get(one.split_cells["side"]) == side}
                (Path(name) / path).write_text("\n".join(ids))
            lists = SplitLists(config.files, Path(name), "id")
        cohort = [
            one.model_copy(update={"split_cells": one.split_cells | {FILES: lists.side(one.id, one.subject)}})
            for one in cohort
        ]
    return make_splits(cohort, config)


SIDE_OF = {"TRAIN": "train", "VAL": "validation", "TEST": "test"}
SIDES = list(SIDE_OF)
KINDS: dict[str, dict[str, Any]] = {
    "fractions": {"family": "family"},
    "folds": {"folds": 3, "family": "family", "stratify": ["age"]},
    "sites as folds": {"folds": {"by": "site"}},
    "column": {"column": "side", "train": ["TRAIN"], "validation": ["VAL"], "test": ["TEST"]},
    "column, the rest to train on": {"column": "side", "validation": ["VAL"], "test": ["TEST"]},
    "column and a fraction": {"column": "side", "test": ["TEST"], "validation": 0.3, "stratify": ["age"]},
    "column and folds": {"column": "side", "train": ["TRAIN", "VAL"], "test": ["TEST"], "folds": 2},
    "published folds": {"column": "fold", "test": [3], "folds": {"by": "fold"}},
    "files": {"files": {"train": "a", "validation": "b", "test": "c"}},
    "files and folds": {"files": {"test": "c"}, "folds": 2, "family": "family"},
    "site": {"by": "site", "test": ["B"], "family": "family"},
    "sites": {"by": "site", "test": ["B"], "validation": ["C"]},
    "site and sites as folds": {"by": "site", "test": ["B"], "folds": {"by": "site"}},
}


EXAMPLES = settings(max_examples=25)


def on_two_sides(splits: Splits, value_of: dict[str, str]) -> set[str]:
    """The values, of those that scans have, that are in several parts."""
    parts = [{value_of[name] for name in ids} - {""} for ids in splits.parts.values()]
    return {value for value in set().union(*parts) if sum(value in part for part in parts) > 1}


@pytest.mark.parametrize("kind", KINDS)
@EXAMPLES
@given(cohort=cohorts(), seed=st.integers(0, 3))
def test_no_subject_and_no_family_is_on_two_sides(kind: str, cohort: list[StoredSubject], seed: int) -> None:
    splits = made(kind, cohort, seed=seed)
    assert all(ids and list(ids) == sorted(ids) for ids in splits.parts.values())
    assert not on_two_sides(splits, {one.id: one.id for one in cohort})
    assert not on_two_sides(splits, {one.id: one.subject for one in cohort})
    if "family" in KINDS[kind]:
        assert not on_two_sides(splits, {one.id: one.split_cells["family"] for one in cohort})


@EXAMPLES
@given(cohort=cohorts())
def test_no_site_that_is_held_out_is_on_two_sides(cohort: list[StoredSubject]) -> None:
    site = {one.id: one.split_cells["site"] for one in cohort}
    assert not on_two_sides(made("sites", cohort), site)
    assert not on_two_sides(made("site and sites as folds", cohort), site)
    held_out = made("site", cohort)
    assert {site[name] for name in held_out.test} == {"B"}
    assert {site[name] for name in held_out.train + held_out.validation} == {"A", "C"}
    sites = [{site[name] for name in ids} for ids in made("sites as folds", cohort).folds]
    assert all(len(of_fold) == 1 for of_fold in sites) and len(set.union(*sites)) == len(sites)


@pytest.mark.parametrize("kind", KINDS)
@EXAMPLES
@given(cohort=cohorts(), order=st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(kind: str, cohort: list[StoredSubject], order: random.Random) -> None:
    splits = made(kind, cohort)
    order.shuffle(cohort)
    assert made(kind, cohort) == splits


@pytest.mark.parametrize("kind", [kind for kind, said in KINDS.items() if "folds" in said])
@EXAMPLES
@given(cohort=cohorts())
def test_everyone_is_validated_in_one_fold(kind: str, cohort: list[StoredSubject]) -> None:
    splits = made(kind, cohort)
    rest = sorted({one.id for one in cohort} - set(splits.test) - set(left_out(cohort, splits)))
    runs = [fold_of(splits, number) for number in range(len(splits.folds))]
    assert len(runs) >= 2 and runs[0] == splits
    assert sorted(name for run in runs for name in run.validation) == rest
    for run in runs:
        assert sorted(run.train + run.validation) == rest
        assert run.test == splits.test


@pytest.mark.parametrize("kind", [kind for kind, said in KINDS.items() if {"column", "files", "by"} & set(said)])
@EXAMPLES
@given(cohort=cohorts())
def test_labels_of_a_test_split_that_is_named_decide_nothing(kind: str, cohort: list[StoredSubject]) -> None:
    splits = made(kind, cohort, stratify=["age"])
    poison = {"label": 1e6, "strata": {"age": 1e6}}
    poisoned = [one.model_copy(update=poison) if one.id in splits.test else one for one in cohort]
    assert made(kind, poisoned, stratify=["age"]) == splits


OUTER: dict[str, dict[str, Any]] = {
    "fractions": {"outer": 3, "family": "family", "stratify": ["age"]},
    "half of the rest": {"outer": 2, "validation": 0.5},
    "folds": {"outer": 3, "folds": 2, "family": "family"},
    "sites": {"outer": {"by": "site"}},
    "sites in sites": {"outer": {"by": "site"}, "folds": {"by": "site"}},
    "column": {"outer": 2, "column": "side", "train": ["TRAIN", "VAL"], "validation": 0.3},
    "by": {"outer": 2, "by": "site", "validation": 0.4},
}


@pytest.mark.parametrize("kind", OUTER)
@EXAMPLES
@given(cohort=cohorts())
def test_everyone_is_tested_on_in_one_outer_fold(kind: str, cohort: list[StoredSubject]) -> None:
    splits = make_splits(cohort, split(**OUTER[kind]))
    tested = [name for search in splits.outer for name in search.test]
    outside = {one.id for one in cohort if one.id not in tested}
    assert len(splits.outer) >= 2 and len(set(tested)) == len(tested)
    if kind == "column":
        assert outside == {one.id for one in cohort if one.split_cells["side"] not in ("TRAIN", "VAL")}
    elif "site" in str(OUTER[kind]):
        assert outside == {one.id for one in cohort if not one.split_cells["site"]}
    else:
        assert not outside
    of = {name: {one.id: one.split_cells[name] for one in cohort} for name in ("family", "site")}
    for search in splits.outer:
        assert sorted(sum(search.parts.values(), ())) == sorted(tested), "whoever is not tested on is trained on"
        assert all(search.parts.values())
        for one_run in [fold_of(search, number) for number in range(len(search.folds))] or [search]:
            assert one_run.train and one_run.validation
        assert not on_two_sides(search, {one.id: one.subject for one in cohort})
        if "family" in OUTER[kind]:
            assert not on_two_sides(search, of["family"])
        if "sites" in kind:
            assert not {of["site"][name] for name in search.test} & {
                of["site"][name] for name in (*search.train, *search.validation)
            }
    assert splits.parts == {f"outer fold {n}": search.test for n, search in enumerate(splits.outer)}


@pytest.mark.parametrize(
    "given_split",
    [
        {"outer": 3, "family": "family"},
        {"outer": {"by": "site"}},
        {"outer": 3, "folds": 2},
        {"outer": {"by": "site"}, "folds": {"by": "site"}},
    ],
    ids=str,
)
@pytest.mark.parametrize("seed", range(5))
def test_no_scan_without_a_label_is_of_someone_in_the_outer_fold(given_split: dict[str, Any], seed: int) -> None:
    scans = with_unlabelled(60, seed)
    by_id = {scan.id: scan for scan in scans}
    splits = make_splits(scans, split(**given_split))
    assert splits.without_label
    for search in splits.outer:
        assert search.without_label
        tested, trained = ([by_id[name] for name in ids] for ids in (search.test, search.without_label))
        assert not {one.subject for one in tested} & {one.subject for one in trained}
        if "family" in given_split:
            families = ({one.split_cells["family"] for one in part} - {""} for part in (tested, trained))
            assert not set.intersection(*families)
        if isinstance(given_split["outer"], dict):
            assert not {one.split_cells["site"] for one in tested} & {one.split_cells["site"] for one in trained}
        assert {*search.without_label} <= {*splits.without_label}


def test_named_validation_stays_what_it_is_where_it_is_not_tested_on() -> None:
    sides = ["train"] * 6 + ["validation"] * 6 + [""]
    cohort = [scan(f"s{n:02d}", f"s{n:02d}", **{FILES: side, "site": "AB"[n % 2]}) for n, side in enumerate(sides)]
    splits = make_splits(cohort, split(files={"train": "a", "validation": "b"}, outer={"by": "site"}))
    odd, even = splits.outer[1].test, splits.outer[0].test
    assert (even, odd) == (tuple(f"s{n:02d}" for n in range(0, 12, 2)), tuple(f"s{n:02d}" for n in range(1, 12, 2)))
    assert (splits.outer[0].train, splits.outer[0].validation) == (odd[:3], odd[3:])
    assert left_out(cohort, splits) == ["s12"]


def published(*sides: str) -> list[StoredSubject]:
    return [scan(f"s{number:02d}", f"s{number:02d}", Split=side) for number, side in enumerate(sides)]


@pytest.mark.parametrize("kind", KINDS)
@EXAMPLES
@given(cohort=cohorts())
def test_all_but_the_test_split_may_be_trained_on(kind: str, cohort: list[StoredSubject]) -> None:
    splits = made(kind, cohort)
    whole = all_but_test(splits)
    assert (whole.test, whole.validation, whole.folds) == (splits.test, (), ())
    everyone = {*splits.train, *splits.validation, *splits.unlabelled, *sum(splits.unlabelled_folds, ())}
    assert {*whole.train, *whole.unlabelled} == everyone


def test_nobody_may_be_validated_on(store: VolumeStore) -> None:
    halved = store_splits(store, SplitConfig(validation=0, test=0.5))
    assert halved.validation == ()
    assert (len(halved.train), len(halved.test)) == (
        len(store.subjects) - len(halved.test),
        round(len(store.subjects) / 2),
    )
    assert [*halved.parts] == ["train", "test"]


def test_a_published_split_is_used_as_it_is() -> None:
    cohort = published("TRAIN", "TRAIN", "VAL", "TEST", "EXTRA", "")
    named = make_splits(cohort, split(column="Split", train=["TRAIN"], validation=["VAL"], test=["TEST"]))
    assert named == Splits(train=("s00", "s01"), validation=("s02",), test=("s03",))
    assert left_out(cohort, named) == ["s04", "s05"]
    rest = make_splits(cohort, split(column="Split", validation=["VAL"], test=["TEST"]))
    assert rest.train == ("s00", "s01", "s04"), "all other values are trained on, and a scan of no value is not"


def test_numbers_are_equal_as_numbers() -> None:
    cohort = published("0", "0.0", "1", "01", "2", "2e0")
    splits = make_splits(cohort, split(column="Split", train=[0], validation=["1"], test=[2.0]))
    assert [len(ids) for ids in splits.parts.values()] == [2, 2, 2]


def test_published_folds_are_in_the_order_of_their_numbers() -> None:
    cohort = published("10", "9", "2", "2", "0", "7")
    splits = make_splits(cohort, split(column="Split", test=[7], folds={"by": "Split"}))
    assert splits.folds == (("s04",), ("s02", "s03"), ("s01",), ("s00",))
    assert (splits.train, splits.validation, splits.test) == (("s00", "s01", "s02", "s03"), ("s04",), ("s05",))


def test_a_family_without_a_name_is_one_person() -> None:
    cohort = [scan(f"s{number:02d}", f"s{number:02d}", family="" if number < 20 else "big") for number in range(30)]
    splits = make_splits(cohort, split(family="family", test=0.3))
    big = {f"s{number:02d}" for number in range(20, 30)}
    assert sum(bool(big & set(ids)) for ids in splits.parts.values()) == 1
    alone = [len(set(ids) - big) for ids in splits.parts.values()]
    assert all(count >= 4 for count in alone), "21 families: 6 to test, 4 to validate"


@pytest.mark.parametrize(
    ("said", "sides", "message"),
    [
        ({"column": "Split"}, "ABC", r"data.split.test: is missing; column 'Split' has A, B, C"),
        (
            {"column": "Split", "test": ["TESTT"]},
            ["TRAIN", "TEST"],
            r"data.split.test: no scan has 'TESTT' in column 'Split'; did you mean 'TEST'\? allowed: TEST, TRAIN",
        ),
        ({"column": "Split", "train": [3], "test": [1]}, "12", "data.split.train: no scan has '3' in column 'Split'"),
        ({"by": "Split", "test": ["A"]}, "AA", "data.split: no scan is left for the train split"),
        ({"by": "Split", "test": ["A"]}, "AB", r"data.split.validation: 0.2 of 1 subjects to train on are 0"),
        ({"folds": {"by": "Split"}}, "AAAAA", "data.split.folds.by: column 'Split' has A besides the test split"),
        ({"folds": 5}, "AAAAA", "data.split.folds: 5 is not allowed: 4 subjects are outside the test split"),
        ({"folds": 2, "test": 0.1}, "AAA", "data.split.test: 0.1 of 3 subjects to train on are 0"),
        ({"outer": 5}, "AAAA", "data.split.outer: 5 is not allowed: 4 subjects are there"),
        ({"outer": {"by": "Split"}}, "AAAA", "data.split.outer.by: column 'Split' has A; two are needed"),
        ({"outer": 2}, "AAAA", r"data.split.outer: with outer fold 0 as the test split: .*validation: 0.2 of 2"),
        (
            {"by": "Split", "validation": ["B"], "outer": {"by": "Split"}},
            "AAABBB",
            "data.split.outer: with outer fold 0 as the test split: .*no scan is left for the train split",
        ),
    ],
)
def test_what_cannot_be_split_is_refused(said: dict[str, Any], sides: Sequence[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        make_splits(published(*sides), split(**said))


@pytest.mark.parametrize(
    ("other", "said", "message"),
    [
        ("s", {"column": "Split", "test": ["B"]}, "data.split: subject 's' has scans in test and train; one of them"),
        ("s", {"by": "Split", "test": ["B"], "validation": ["A"]}, "subject 's' has scans in test and validation"),
        ("s", {"by": "Split", "test": ["C"], "folds": {"by": "Split"}}, "folds.by: subject 's' has scans in A and B"),
        ("s", {"family": "Split"}, "data.split.family: subject 's' has scans in A and B"),
        ("t", {"by": "Split", "test": ["B"], "family": "family"}, "data.split: family 'f' has scans in test and train"),
    ],
)
def test_who_would_be_on_two_sides_is_named(other: str, said: dict[str, Any], message: str) -> None:
    """One scan of A, and one of B of the same or another subject of a family."""
    both = [scan("s_1", "s", Split="A", family="f"), scan("s_2", other, Split="B", family="f")]
    others = [scan(f"o{number}", f"o{number}", Split="ABC"[number % 3], family="") for number in range(9)]
    with pytest.raises(UserError, match=message):
        make_splits([*both, *others], split(**said))


def test_the_stores_file_holds_all_outer_folds(store: VolumeStore) -> None:
    config = split(outer=3, folds=2, stratify=["age"])
    splits = store_splits(store, config)
    (path,) = store.folder.glob("splits-*.json")
    assert read_splits(path) == splits == store_splits(store, config)
    assert [len(search.folds) for search in splits.searches] == [2, 2, 2]
    content = json.loads(path.read_text())
    content["splits"]["outer"][1]["test"].append(content["splits"]["outer"][1]["train"][0])
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match="is no list of splits"):
        read_splits(path)


def test_the_stores_file_holds_all_folds(store: VolumeStore) -> None:
    config = split(folds=4, stratify=["age"])
    splits = store_splits(store, config)
    (path,) = store.folder.glob("splits-*.json")
    assert read_splits(path) == splits == store_splits(store, config)
    assert len(splits.folds) == 4
    content = json.loads(path.read_text())
    content["splits"]["folds"][1][0] = content["splits"]["folds"][2][0]
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match="is no list of splits"):
        read_splits(path)


def with_unlabelled(count: int, seed: int = 0) -> list[StoredSubject]:
    """People with up to three visits at four sites, some in families; half of the scans have no label, and may be of
    another site or of none.
    """
    rng = np.random.default_rng(seed)
    return [
        scan.model_copy(
            update={
                "id": f"{scan.id}_{visit}",
                "label": scan.label if (labelled := rng.random() < 0.5) else None,
                "strata": {},
                "split_cells": {
                    "site": "ABCD"[place % 4]
                    if labelled or rng.random() < 0.5
                    else rng.choice(["A", "B", "C", "E", ""]),
                    "family": f"f{place // 2}" if place % 3 else "",
                },
            }
        )
        for place, scan in enumerate(people(count, seed))
        for visit in range(1 + place % 3)
    ]


UNLABELLED: list[dict[str, Any]] = [
    {},
    {"family": "family"},
    {"by": "site", "test": ["B"], "validation": ["C"]},
    {"by": "site", "test": ["B"]},
    {"column": "site", "train": ["A"], "validation": ["C"], "test": ["B"]},
    {"folds": 3},
    {"folds": 3, "family": "family"},
    {"by": "site", "test": ["B"], "folds": {"by": "site"}},
]


@pytest.mark.parametrize("given_split", UNLABELLED, ids=str)
@given(seed=st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_no_scan_without_a_label_is_of_someone_who_is_validated_or_tested_on(
    given_split: dict[str, Any], seed: int
) -> None:
    config: AnySplit = TypeAdapter(AnySplit).validate_python(given_split)
    scans = with_unlabelled(60, seed)
    by_id = {scan.id: scan for scan in scans}
    splits = make_splits(scans, config)
    labelled = make_splits([scan for scan in scans if scan.label is not None], config)
    assert splits.parts == labelled.parts, "who has no label moves nobody"
    assert splits.without_label
    assert all(by_id[name].label is None for name in splits.without_label)

    def units(ids: Sequence[str]) -> set[tuple[str, str]]:
        own = {("subject", by_id[name].subject) for name in ids}
        family = {("family", by_id[name].split_cells["family"]) for name in ids} - {("family", "")}
        return own | (family if config.family else set())

    def sites(ids: Sequence[str]) -> set[str]:
        return {by_id[name].split_cells["site"] for name in ids}

    for run in [fold_of(splits, number) for number in range(len(splits.folds))] or [splits]:
        held_out = run.validation + run.test
        assert not units(run.unlabelled) & units(held_out)
        if "by" in given_split and run.folds:
            assert not sites(run.unlabelled) & sites(held_out)
        if "column" in given_split:
            assert sites(run.unlabelled) == {"A"}
    if splits.folds:
        runs = [fold_of(splits, number).unlabelled for number in range(len(splits.folds))]
        assert {name for ids in runs for name in ids} == set(splits.without_label)
    torn = Counter(unit for ids in splits.sides.values() for unit in units(ids))
    assert set(torn.values()) == {1}, "nobody is on two sides, with a label or without"


def test_a_side_may_be_of_scans_without_a_label_alone() -> None:
    scans = [scan.model_copy(update={"split_cells": {"set": "train"}}) for scan in people(12)]
    scans[:3] = [scan.model_copy(update={"split_cells": {"set": "test"}}) for scan in scans[:3]]
    scans[3:6] = [scan.model_copy(update={"split_cells": {"set": "extra"}, "label": None}) for scan in scans[3:6]]
    given = {"column": "set", "train": ["train", "extra"], "test": ["test"], "validation": 0.2}
    splits = make_splits(scans, TypeAdapter(AnySplit).validate_python(given))
    assert splits.unlabelled == ("s0003", "s0004", "s0005")
    assert len(splits.train + splits.validation) == 6


def test_scans_without_a_label_are_read_back(tmp_path: Path) -> None:
    for folds in ({}, {"folds": 3}):
        splits = make_splits(with_unlabelled(60), SplitConfig(**folds))
        path = tmp_path / "splits.json"
        path.write_text(json.dumps({"splits": splits.model_dump(mode="json", exclude_defaults=True)}))
        assert read_splits(UPath(path)) == splits


def test_a_scan_that_is_with_and_without_a_label_is_no_split(tmp_path: Path) -> None:
    splits = make_splits(with_unlabelled(60), SplitConfig())
    torn = splits.model_copy(update={"unlabelled": (*splits.unlabelled, splits.test[0])})
    path = tmp_path / "splits.json"
    path.write_text(json.dumps({"splits": torn.model_dump(mode="json", exclude_defaults=True)}))
    with pytest.raises(UserError, match="no list of splits"):
        read_splits(UPath(path))
