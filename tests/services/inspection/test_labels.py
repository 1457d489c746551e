from pathlib import Path

import numpy as np

from contrasweep.services.inspection.labels import (
    all_labels,
    explained_problems,
    label_problems,
    labels_by_column,
    labels_by_split,
)
from contrasweep.trainers.data.splits import Splits
from tests.services.inspection.planted import images, store_of


def test_labels_by_site_sex_and_split(tmp_path: Path) -> None:
    told = {
        f"s{row:02d}": {"described": {"site": "ab"[row // 3], "sex": "FM"[row % 2]}, "group": "FM"[row % 2]}
        for row in range(6)
    }
    subjects = store_of(tmp_path / "v", images(6), told).subjects  # labels 20 to 25
    columns = labels_by_column(subjects)
    assert list(columns) == ["sex", "site"]  # the group is the sex
    assert [(part.value, part.values) for part in columns["site"]] == [("a", (20, 21, 22)), ("b", (23, 24, 25))]
    assert [(part.value, part.values) for part in columns["sex"]] == [("F", (20, 22, 24)), ("M", (21, 23, 25))]
    splits = Splits(train=("s00", "s05", "gone"), validation=(), test=("s01",))
    assert [(part.value, part.values) for part in labels_by_split(subjects, splits)] == [
        ("train", (20, 25)),
        ("test", (21,)),
    ]
    count, *figures = all_labels(subjects).figures
    assert count == 6
    np.testing.assert_allclose(figures, [22.5, np.sqrt(35 / 12), 20, 25])  # the variance of n in a row: (n^2 - 1) / 12


def test_a_group_of_its_own_is_a_column(tmp_path: Path) -> None:
    told = {f"s{row:02d}": {"described": {"sex": "F"}, "group": "xy"[row % 2]} for row in range(4)}
    assert list(labels_by_column(store_of(tmp_path / "v", images(4), told).subjects)) == ["sex", "group"]


def test_one_label_for_all_scans_of_a_subject_is_told(tmp_path: Path) -> None:
    told = {f"s{row:02d}": {"subject": f"p{row // 2}", "label": 30.0 + row // 2} for row in range(5)}
    (problem,) = label_problems(store_of(tmp_path / "same", images(5), told).subjects)
    assert problem.severity == "warning"
    assert problem.text == "subjects with several scans, and one label for all of them (2): p0, p1"
    told["s03"]["label"] = 31.5
    assert not label_problems(store_of(tmp_path / "other", images(5), told).subjects)
    assert not label_problems(store_of(tmp_path / "single", images(5)).subjects)


def test_a_column_that_explains_the_label_is_told(tmp_path: Path) -> None:
    told = {
        f"s{row:02d}": {"described": {"site": "ab"[row // 15], "sex": "FM"[row % 2]}, "label": 20.0 + row}
        for row in range(30)
    }
    (problem,) = explained_problems(store_of(tmp_path / "v", images(30), told).subjects)
    assert (problem.severity, problem.text) == (
        "note",
        "site explains 74 % of the label's variance; a model may learn it instead",
    )
    one = {f"s{row:02d}": {"described": {"site": "a"}} for row in range(30)}
    assert not explained_problems(store_of(tmp_path / "other", images(30), one).subjects)
