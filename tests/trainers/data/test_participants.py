from pathlib import Path
from typing import Any

import pytest

from trainers.config import DataConfig
from trainers.data.participants import read_subjects
from trainers.errors import UserError


def table(folder: Path, *rows: str, header: str = "id\tage\tsex") -> Path:
    path = folder / "people.tsv"
    path.write_text("\n".join([header, *rows]) + "\n")
    for row in rows:
        (folder / f"{row.split()[0]}.png").touch()
    return path


def config(**changes: Any) -> DataConfig:
    given: dict[str, Any] = {"participants": "people.tsv", "id": "id", "image": "{id}.png", "label": "age"}
    return DataConfig(**{**given, **changes})


def test_subjects_come_sorted_by_id_with_group_and_strata(tmp_path: Path) -> None:
    table(tmp_path, "b\t30\tM", "a\t20.5\tF")
    subjects, rejected = read_subjects(config(group="sex", split={"stratify": ["age", "sex"]}), tmp_path)
    assert [(s.id, s.label, s.group, s.strata) for s in subjects] == [
        ("a", 20.5, "F", {"age": 20.5, "sex": "F"}),
        ("b", 30.0, "M", {"age": 30.0, "sex": "M"}),
    ]
    assert subjects[0].path == tmp_path / "a.png"
    assert not rejected


@pytest.mark.parametrize("label", ["n/a", "", "old", "nan", "inf"])
def test_a_label_that_is_no_number_rejects_its_subject(tmp_path: Path, label: str) -> None:
    table(tmp_path, "a\t20\tF", f"b\t{label}\tF", "c\t30\tM")
    subjects, rejected = read_subjects(config(), tmp_path)
    assert [s.id for s in subjects] == ["a", "c"]
    assert [r.subject for r in rejected] == ["b"]
    assert f"column 'age' is '{label}'" in rejected[0].reason


def test_a_missing_image_and_a_missing_group_reject_their_subjects(tmp_path: Path) -> None:
    table(tmp_path, "a\t20\tF", "b\t25\tF", "c\t30\tn/a", "d\t35\tF")
    (tmp_path / "b.png").unlink()
    subjects, rejected = read_subjects(config(group="sex"), tmp_path)
    assert [s.id for s in subjects] == ["a", "d"]
    assert [(r.subject, r.reason) for r in rejected] == [
        ("b", "no such image"),
        ("c", "missing value: column 'sex' is 'n/a'"),
    ]


def test_csv_and_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("\ufeffid,age\na,20\nb,30\n")
    for name in "ab":
        (tmp_path / f"{name}.png").touch()
    assert len(read_subjects(config(participants="people.csv"), tmp_path)[0]) == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"participants": "peple.tsv"}, "no such file: .*peple.tsv; did you mean 'people.tsv'"),
        ({"participants": "nowhere/people.tsv"}, "the folder .*nowhere does not exist"),
        ({"label": "agee"}, "data.label: people.tsv has no column 'agee'; did you mean 'age'"),
        ({"id": "sid"}, "data.id: people.tsv has no column 'sid'"),
        ({"group": "gender"}, "data.group: people.tsv has no column 'gender'"),
        ({"split": {"stratify": ["site"]}}, "data.split.stratify: people.tsv has no column 'site'"),
        ({"image": "{idd}.png"}, "data.image: people.tsv has no column 'idd'; did you mean 'id'"),
        ({"image": "scan.png"}, "names no column"),
        ({"image": "{id.png"}, "is no template"),
        ({"image": "{id:03d}.png"}, "more than plain column names"),
        ({"label": "sex"}, "column 'sex' of people.tsv holds no numbers; the first value is 'F'"),
    ],
)
def test_a_wrong_setup_is_one_line_that_names_it(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    table(tmp_path, "a\t20\tF", "b\t30\tM")
    with pytest.raises(UserError, match=message) as caught:
        read_subjects(config(**changes), tmp_path)
    assert "\n" not in str(caught.value)


def test_a_subject_twice_is_refused_with_both_lines(tmp_path: Path) -> None:
    table(tmp_path, "a\t20\tF", "b\t30\tM", "a\t21\tF")
    with pytest.raises(UserError, match="subject 'a' twice, in lines 2 and 4"):
        read_subjects(config(), tmp_path)


def test_equal_labels_are_refused(tmp_path: Path) -> None:
    table(tmp_path, "a\t20\tF", "b\t20\tM")
    with pytest.raises(UserError, match="range of 'age' is zero: all 2 labels are 20"):
        read_subjects(config(), tmp_path)


def test_an_empty_table_and_a_ragged_row_are_refused(tmp_path: Path) -> None:
    table(tmp_path)
    with pytest.raises(UserError, match="has no rows"):
        read_subjects(config(), tmp_path)
    table(tmp_path, "a\t20\tF\textra")
    with pytest.raises(UserError, match="line 2 has more values than the 3 columns"):
        read_subjects(config(), tmp_path)
