"""What is odd about a table is told; what is not is left alone."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from contrasweep.services.data.doubts import category_doubts, label_doubts, range_doubts, side_doubts
from contrasweep.trainers.data.participants import Subject
from contrasweep.trainers.data.splits import Splits


def people(labels: Sequence[float], groups: Sequence[str] | None = None) -> list[Subject]:
    return [
        Subject(f"s{n}", f"s{n}", (Path(f"{n}.png"),), float(label), groups[n] if groups else None, {}, {}, {})
        for n, label in enumerate(labels)
    ]


AGES = [20, 31, 42, 55, 59.5]


@pytest.mark.parametrize("code", [-9999, -999, -99, -9, -4, -1, 0, 99, 999, 9999])
def test_a_code_far_from_all_labels_is_told(code: float) -> None:
    (told,) = label_doubts(people([*AGES, code, code]), "age")
    assert told == f"2 labels of 'age' are {code}, the others 20.00 to 59.50: missing values? data.missing: [{code}]"


@pytest.mark.parametrize(
    "labels", [[*AGES, 99, 88, 91], [0, 1, 2, 30], [-1, 0, 1], [0, 0, 1], [-4, -3, -1.5, 2.5], AGES]
)
def test_what_may_be_a_label_is_not(labels: list[float]) -> None:
    assert label_doubts(people(labels), "age") == []


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        ([240, 372, 50], "'age' is 50.00 to 372.0, mostly outside the training split's 20.00 to 59.50 (2 of 3)"),
        ([10, 70, 5, 30], "'age' is 5.000 to 70.00, mostly outside the training split's 20.00 to 59.50 (3 of 4)"),
    ],
)
def test_labels_of_a_cohort_beyond_what_is_trained_on_are_told(labels: list[float], told: str) -> None:
    assert range_doubts(people(labels), AGES, "age") == [told]


@pytest.mark.parametrize("labels", [[20, 59.5], [19, 40], [10, 25, 30, 70]])
def test_labels_of_a_cohort_that_are_mostly_within_are_not(labels: list[float]) -> None:
    assert range_doubts(people(labels), AGES, "age") == []


def test_groups_of_one_and_spellings(tmp_path: Path) -> None:
    groups = ["F", "f", "Female", "M", "M", "m ", "unknown", "F", "f", "Female", "m "]
    assert category_doubts(people(range(11), groups), "sex") == [
        "'sex' may have one value spelled differently: 'F' and 'f' and 'Female'; 'M' and 'm '",
        "'sex' has 'unknown' (1): missing values? data.missing names them",
        "data.group: 1 group of one, which form no pairs: 'unknown'",
    ]
    assert category_doubts(people(range(4), ["A", "B", "A", "B"]), "site") == []


def test_people_on_both_sides() -> None:
    columns = [{"Patient ID": f"P{n // 2}", "family": f"F{n}"} for n in range(6)]
    subjects = [replace(one, people=told) for one, told in zip(people(range(6)), columns, strict=True)]
    splits = Splits(train=("s0", "s1", "s2"), validation=("s3",), test=("s4", "s5"))
    assert side_doubts(subjects, splits) == [
        "'Patient ID' has values on several sides of the split (1): P1; "
        "data.id or data.split.family: Patient ID keeps them together"
    ]
