"""Other tables' columns, codes for missing values and conditions decide who is in the study, by name."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contrasweep.trainers.config import Condition, DataConfig
from contrasweep.trainers.data.participants import read_scans
from contrasweep.trainers.data.select import holds
from contrasweep.trainers.errors import UserError

IMAGE: dict[str, Any] = {"participants": "people.csv", "image": "{id}.png", "id": "id", "label": "age"}


def study(folder: Path, people: str, **tables: str) -> Path:
    """`people` as people.csv with a picture for each row, and the other tables beside it."""
    (folder / "people.csv").write_text(people)
    for line in people.splitlines()[1:]:
        (folder / f"{line.split(',')[0]}.png").touch()
    for name, content in tables.items():
        (folder / f"{name}.csv").write_text(content)
    return folder


def found(folder: Path, **changes: Any) -> tuple[dict[str, float | None], dict[str, str], int]:
    """Labels and reasons by id, and how many are left out."""
    subjects, rejected, left_out = read_scans(DataConfig(**IMAGE | changes), folder)
    return {s.id: s.label for s in subjects}, {r.subject: r.reason for r in rejected}, left_out


def test_columns_come_from_other_tables_by_one_key_or_several(tmp_path: Path) -> None:
    folder = study(
        tmp_path,
        "id,RID,visit\na,1,bl\nb,1,m12\nc,2,bl\n",
        visits="rid,visit,site\n1,bl,X\n1,m12,Y\n2,bl,X\n",
        ages="site,age\nX,20\nY,30\n",
    )
    joins = [{"table": "visits.csv", "on": {"RID": "rid", "visit": "visit"}}, {"table": "ages.csv", "on": "site"}]
    assert found(folder, join=joins) == ({"a": 20, "b": 30, "c": 20}, {}, 0)


def test_rows_without_a_partner_or_with_two_that_differ_are_told_by_name(tmp_path: Path) -> None:
    folder = study(
        tmp_path,
        "id\na\nb\nc\nd\n",
        ages="id,age,note\na,20,x\nb,30,x\nb,31,x\nc,40,x\nc,40,y\ne,9,x\n",
    )
    join = [{"table": "ages.csv", "on": "id", "columns": ["age"]}]
    labels, reasons, _ = found(folder, join=join)
    assert labels == {"a": 20, "c": 40}
    assert reasons == {
        "b": "ages.csv has 2 rows with id 'b', in lines 3, 4, which differ in age",
        "d": "ages.csv has no row with id 'd'",
    }


def test_a_label_of_a_subject_is_not_given_to_later_visits(tmp_path: Path) -> None:
    tables = {"ages": "who,age,sex\na,20,F\nb,30,M\n", "more": "who,tiv\na,1\nb,2\n"}
    folder = study(tmp_path, "id,who,visit\na1,a,1\na2,a,2\nb1,b,1\n", **tables)
    image = {"id": "who", "session": "visit", "image": "{id}.png", "group": "sex"}
    joins = [{"table": "ages.csv", "on": "who"}, {"table": "more.csv", "on": "who"}]
    labels, reasons, _ = found(folder, join=joins, **image)
    assert labels == {"a_1": 20, "b_1": 30}
    told = "ages.csv has one 'age' for several scans of a, which is that of a_1"
    assert reasons == {"a_2": f"{told}; data.join's on must name the visit, too"}


@pytest.mark.parametrize(
    ("join", "message"),
    [
        ({"table": "gone.csv", "on": "id"}, r"data.join\[0\].table: no such file"),
        ({"table": "ages.csv", "on": "ID"}, r"data.join\[0\].on: people.csv has no column 'ID'; allowed: id, sex"),
        ({"table": "ages.csv", "on": {"id": "ID"}}, r"data.join\[0\].on: ages.csv has no column 'ID'"),
        ({"table": "ages.csv", "on": "id", "columns": ["agee"]}, r"columns: ages.csv has no column 'agee'"),
        ({"table": "ages.csv", "on": "id"}, r"columns: people.csv has a column 'sex' already; name the others"),
    ],
)
def test_a_join_that_cannot_be_is_one_line(tmp_path: Path, join: dict[str, Any], message: str) -> None:
    folder = study(tmp_path, "id,sex\na,F\n", ages="id,age,sex\na,20,F\n")
    with pytest.raises(UserError, match=message):
        found(folder, join=[join])


def test_codes_are_missing_values_but_no_names(tmp_path: Path) -> None:
    folder = study(tmp_path, "id,age,sex\n-9,20,F\nb,-9999.0,F\nc,30,999\nd,40,unknown\n")
    labels, reasons, _ = found(folder, missing=[-9999, -9, 999, "unknown"], group="sex")
    assert labels == {"-9": 20}
    assert reasons == {
        "b": "missing label: column 'age' is 'n/a'",
        "c": "missing value: column 'sex' is 'n/a'",
        "d": "missing value: column 'sex' is 'n/a'",
    }


PEOPLE = "id,age,split,site\na,20,train,1\nb,30,test,01\nc,40,train,2\nd,50,train,\n"


@pytest.mark.parametrize(
    ("where", "kept"),
    [
        ({"split": "train"}, "acd"),
        ({"split": ["train", "test"], "age": {"min": 30}}, "bcd"),
        ({"site": 1}, "ab"),
        ({"site": {"not": [1]}}, "cd"),
        ({"site": None}, "d"),
        ({"site": {"not": [None]}}, "abc"),
        ({"age": {"min": 25, "max": 45, "not": 40}}, "b"),
        ({"site": {"values": [1, 2], "max": 1.5}}, "ab"),
    ],
)
def test_only_those_who_fulfil_every_condition_are_in_the_study(tmp_path: Path, where: Any, kept: str) -> None:
    labels, reasons, left_out = found(study(tmp_path, PEOPLE), where=where)
    assert ("".join(labels), reasons, left_out) == (kept, {}, 4 - len(kept))


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"agee": 1}, "data.where.agee: people.csv has no column 'agee'; did you mean 'age'"),
        ({"age": {"min": 90}}, "data.where: none of the 4 scans in people.csv fulfils it"),
    ],
)
def test_a_condition_of_no_column_or_that_nobody_fulfils(tmp_path: Path, where: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        found(study(tmp_path, PEOPLE), where=where)


@given(st.floats(-100, 100), st.floats(-100, 100), st.floats(0, 100))
def test_ends_are_inside(value: float, low: float, width: float) -> None:
    within = holds(Condition(min=low, max=low + width), repr(value))
    assert within == (low <= value <= low + width)


def test_a_joined_label_that_is_not_there_leaves_a_scan_without_one(tmp_path: Path) -> None:
    folder = study(tmp_path, "id,visit\na,1\na,2\nb,1\nc,1\n", ages="id,age\na,30\nb,40\n")
    for name in ("a_1", "a_2", "b_1", "c_1"):
        (folder / f"{name}.png").touch()
    image = {"image": "{id}_{visit}.png", "session": "visit", "join": [{"table": "ages.csv", "on": "id"}]}
    labels, reasons, _ = found(folder, **image, unlabelled="train")
    assert labels == {"a_1": 30, "a_2": None, "b_1": 40, "c_1": None}, (
        "the second visit is older, by how much is not told"
    )
    assert not reasons
