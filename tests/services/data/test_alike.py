from pathlib import Path
from typing import Any

import pytest

from contrasweep.services.data.alike import LookAlike, bare_id, duplicates, shared, unsettled
from contrasweep.services.inspection import leaks
from contrasweep.trainers.data.splits import Splits, fold_of
from tests.services.inspection.planted import images, store_of

SPLITS = Splits(train=("s00", "s01", "s02"), validation=("s03",), test=("s04", "s05"))


def test_an_image_on_two_sides_of_a_split_is_a_leak_by_name(tmp_path: Path) -> None:
    scans = images(6)
    scans["s04"] = scans["s01"]
    (leak,) = leaks(store_of(tmp_path / "v", scans), SPLITS)
    assert leak.severity == "leak"
    assert leak.text == "the same image in several splits (1): s01 (train), s04 (test)"


def test_an_image_twice_on_one_side_is_no_leak(tmp_path: Path) -> None:
    scans = images(6)
    scans["s01"] = scans["s02"]
    assert leaks(store_of(tmp_path / "v", scans), SPLITS) == []


def test_a_file_that_transforms_made_two_images_of_is_a_leak(tmp_path: Path) -> None:
    told = {"s00": {"digest": "same"}, "s03": {"digest": "same"}}
    (leak,) = leaks(store_of(tmp_path / "v", images(6), told), SPLITS)
    assert leak.text == "the same file in several splits (1): s00 (train), s03 (validation)"


def test_a_subject_on_two_sides_is_a_leak(tmp_path: Path) -> None:
    told = {"s02": {"subject": "eve"}, "s03": {"subject": "eve"}, "s04": {"subject": "ann"}, "s05": {"subject": "ann"}}
    (leak,) = leaks(store_of(tmp_path / "v", images(6), told), SPLITS)
    assert leak.text == "one subject in several splits (1): s02 (train), s03 (validation)"


def test_a_scan_that_two_splits_name_is_a_leak(tmp_path: Path) -> None:
    splits = SPLITS.model_copy(update={"validation": ("s03", "s05")})
    (leak,) = leaks(store_of(tmp_path / "v", images(6)), splits)
    assert leak.text == "one subject in several splits (1): s05 (validation and test)"


def test_a_patient_and_a_family_on_two_sides_are_leaks_in_folds_too(tmp_path: Path) -> None:
    told = {
        f"s{row:02d}": {"people": {"Patient ID": f"P{row // 3}", "rel_family_id": f"F{row // 2}"}} for row in range(6)
    }
    store = store_of(tmp_path / "v", images(6), told)
    families = "'rel_family_id' has values on several sides of the split (1): F1; "
    assert [leak.text.partition("data.id")[0] for leak in leaks(store, SPLITS)] == [
        "'Patient ID' has values on several sides of the split (1): P1; ",
        families,
    ]
    folds = (("s00", "s01", "s02"), ("s03", "s04"))
    in_folds = fold_of(Splits(train=(), validation=(), test=("s05",), folds=folds), 0)
    assert [leak.text.partition("data.id")[0] for leak in leaks(store, in_folds)] == [
        "'Patient ID' has values on several sides of the split (1): P1; ",
        "'rel_family_id' has values on several sides of the split (2): F1, F2; ",
    ]
    assert leaks(store, Splits(train=("s00", "s01", "s02"), validation=(), test=("s04", "s05"))) == []


def test_what_is_in_two_outer_folds_is_a_leak(tmp_path: Path) -> None:
    store = store_of(tmp_path / "v", images(6), {f"s{row:02d}": {"subject": f"p{row // 2}"} for row in range(6)})
    searches = (
        Splits(train=("s03", "s04"), validation=("s05",), test=("s00", "s01", "s02")),
        Splits(train=("s00", "s01"), validation=("s02",), test=("s03", "s04", "s05")),
    )
    cut = fold_of(Splits(train=(), validation=(), test=(), folds=(searches[0].test, searches[1].test)), 0)
    (leak,) = leaks(store, cut.model_copy(update={"outer": searches}))
    assert leak.text == "one subject in several splits (1): s02 (outer fold 0), s03 (outer fold 1)"


@pytest.mark.parametrize(
    ("splits", "told"),
    [
        (Splits(train=("s00",), validation=("s02",), test=("s03",), unlabelled=("s01",)), "s01 (train), s03 (test)"),
        (
            Splits(
                train=("s02",),
                validation=("s00",),
                test=("s03",),
                folds=(("s00",), ("s02",)),
                unlabelled_folds=(("s01",), (), ()),
            ),
            "s01 (fold 0), s03 (test)",
        ),
    ],
)
def test_scans_without_a_label_are_on_the_side_that_trains_on_them(tmp_path: Path, splits: Splits, told: str) -> None:
    own: dict[str, dict[str, Any]] = {"s00": {"subject": "anna"}, "s01": {"subject": "anna", "label": None}}
    assert leaks(store_of(tmp_path / "apart", images(4), own), splits) == []
    torn = {**own, "s03": {"subject": "anna"}}
    (leak,) = leaks(store_of(tmp_path / "torn", images(4), torn), splits)
    assert leak.text.startswith("one subject in several splits (1): s00 (")
    assert leak.text.endswith(told)


def test_ids_of_one_person_on_two_sides_are_a_leak(tmp_path: Path) -> None:
    told = {"s02": {"subject": "sub-0031"}, "s05": {"subject": "SUB_31"}}
    store = store_of(tmp_path / "v", images(6), told)
    (leak,) = leaks(store, SPLITS)
    assert leak.text == "ids that are probably of one person in several splits (1): s02 (train), s05 (test)"
    assert [problem.text for problem in duplicates(store)] == ["ids that are probably of one person (1): s02, s05"]


def test_images_of_a_cohort_that_the_study_has_are_told_with_their_split(tmp_path: Path) -> None:
    scans = images(9)
    cohort = {"s00": scans["s04"], "x1": scans["s01"], "s02": scans["s08"]}
    study = store_of(tmp_path / "v", {name: scans[name] for name in ("s00", "s01", "s02", "s03", "s04", "s05", "s06")})
    (found,) = shared(study, SPLITS, store_of(tmp_path / "w", cohort))
    assert found.severity == "warning"
    assert found.text == "images that the study has, too (2): s00 is s04 (test), x1 is s01 (train)"
    (left_out,) = shared(study, SPLITS, store_of(tmp_path / "u", {"y": scans["s06"]}))
    assert left_out.text == "images that the study has, too (1): y is s06 (in no split)"


def test_the_same_id_with_another_image_is_another_person(tmp_path: Path) -> None:
    scans = images(12)
    others = {name: scans[f"s{number:02d}"] for number, name in enumerate(list(scans)[:6], start=6)}
    study = store_of(tmp_path / "v", {name: scans[name] for name in list(scans)[:6]})
    assert shared(study, SPLITS, store_of(tmp_path / "w", others)) == []


def test_look_alikes_on_two_sides_are_a_leak(tmp_path: Path) -> None:
    store = store_of(tmp_path / "v", images(6))
    pairs = [LookAlike((0, 4), 0.999), LookAlike((1, 2), 0.999)]
    (leak,) = leaks(store, SPLITS, pairs)
    assert leak.text == "images that look alike in several splits (1): s00 (train), s04 (test)"
    (warning,) = duplicates(store, pairs)
    assert warning.text == "images that look alike in different subjects (2): s00, s04; s01, s02"


def test_many_are_counted_and_the_first_named(tmp_path: Path) -> None:
    scans = dict.fromkeys(images(6), images(1)["s00"])
    scans |= {f"t{number}{letter}": image for number, image in enumerate(images(4).values()) for letter in "ab"}
    store = store_of(tmp_path / "v", scans)
    (warning, _) = duplicates(store)
    assert warning.text == (
        "the same image in different subjects (4): s00, s01, s02, s03 ... and 4 more; t1a, t1b; t2a, t2b ... and 1 more"
    )


def test_twice_in_one_subject_is_told_apart_and_other_labels_are_told(tmp_path: Path) -> None:
    scans = images(6)
    scans["s01"], scans["s05"] = scans["s00"], scans["s04"]
    told = {"s00": {"subject": "eve", "label": 7.0}, "s01": {"subject": "eve", "label": 7.0}}
    problems = duplicates(store_of(tmp_path / "v", scans, told))
    assert [problem.text for problem in problems] == [
        "the same image in different subjects (1): s04, s05",
        "the same image twice in one subject (1): s00, s01",
        "one image with different labels (1): s04 (24), s05 (25)",
    ]
    assert {problem.severity for problem in problems} == {"warning"}


def test_splits_that_do_not_fit_the_store_are_told(tmp_path: Path) -> None:
    splits = Splits(train=("s00", "s01", "gone"), validation=("s03",), test=("s04",))
    problems = unsettled(store_of(tmp_path / "v", images(6)), splits)
    assert [problem.text for problem in problems] == [
        "scans that a split names and the store does not hold (1): gone",
        "stored scans in no split (2): s02, s05",
    ]


@pytest.mark.parametrize("other", ["sub-007", "SUB-7", "sub_07", "7", "0007", "Sub 7"])
def test_ids_of_one_person(other: str) -> None:
    assert bare_id(other) == bare_id("sub-07")


@pytest.mark.parametrize(("one", "other"), [("sub-70", "sub-7"), ("site1_07", "site17"), ("A7", "B7"), ("sub", "7")])
def test_ids_of_two_people(one: str, other: str) -> None:
    assert bare_id(one) != bare_id(other)


def test_an_id_of_signs_only_is_itself() -> None:
    assert bare_id("--") != bare_id("++")
