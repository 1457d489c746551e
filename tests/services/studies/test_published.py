"""Which published number is a row's."""

from pathlib import Path
from typing import Any

import pytest

from contrasweep.services.studies.published import (
    Published,
    further_in,
    further_of,
    numbers_of,
    published_of,
    published_rows,
)
from contrasweep.services.studies.study import load_study, names
from contrasweep.trainers.errors import UserError
from tests.services.studies.left import STUDY, study_in


def row(table: str, setting: str, method: str, metric: str, value: str) -> dict[str, str]:
    said = {"paper": "dynlocrep", "table": table, "dataset": "mre_stiffness", "setting": setting, "method": method}
    return said | {"metric": metric, "value": value, "sd": "0.5"}


ROWS = [
    row("table3", "a", "dynlocrep", "mae", "3"),
    row("table3", "b", "dynlocrep", "mae", "4"),
    row("table3", "b", "simclr", "mae", "5"),
    row("table3", "b", "simclr", "mse", "6"),
]


def found(tmp_path: Path, said: dict[str, Any]) -> dict[str, Published]:
    study = study_in(tmp_path, rows=[STUDY["rows"][0] | {"published": said}])
    return published_of(study, study.rows[0], ROWS)


def test_it_is_chosen_by_what_the_row_says(tmp_path: Path) -> None:
    told = found(tmp_path, {"setting": "a"})["mae"]
    assert (told.value, told.sd, told.dataset, str(told)) == (3.0, 0.5, "mre_stiffness", "3 ± 0.5")


def test_of_several_methods_the_rows_own_is_meant(tmp_path: Path) -> None:
    assert found(tmp_path, {"setting": "b"})["mae"].value == 4.0
    assert found(tmp_path, {"setting": "b", "method": "simclr"})["mae"].value == 5.0


def test_one_that_is_not_there_is_named_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"three.yaml: rows: DynLocRep: published: method: unknown 'simcl'; did you mean"
    ):
        found(tmp_path, {"method": "simcl"})


def test_two_are_told_apart_by_a_column(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="2 numbers of mae; setting tells them apart"):
        found(tmp_path, {})


def test_what_says_nothing_has_nothing(tmp_path: Path) -> None:
    assert published_of(study_in(tmp_path), study_in(tmp_path).rows[1], ROWS) == {}


def test_a_metric_or_part_may_be_published_elsewhere(tmp_path: Path) -> None:
    study = study_in(
        tmp_path,
        rows=[STUDY["rows"][2] | {"published": {"setting": "b"}}],
        metrics=["mae", "mse", "old.mae"],
        parts={"old": {"label": [[60, 80]]}},
        published={"old": {"setting": "c"}, "mse": {"table": "fig1"}},
    )
    rows = [*ROWS, row("table3", "c", "simclr", "mae", "7"), row("fig1", "b", "simclr", "mse", "8")]
    assert {metric: one.value for metric, one in published_of(study, study.rows[0], rows).items()} == {
        "mae": 5.0,
        "mse": 8.0,
        "old.mae": 7.0,
    }


def test_further_numbers_say_of_what_they_are() -> None:
    told = further_of(load_study("srm-table18"))
    assert [(one.row, one.of) for one in told[:3]] == [("C-Mixup", name) for name in ("hcp", "echonet", "rsna")]
    assert told[-1].figures["mae"].value == 4.15
    whole = further_of(load_study("srm-fig8"))
    assert {one.row for one in whole} == {"whole table"} and whole[1].of == "ukb, most of its architectures"


def test_further_numbers_that_are_not_there_are_named(tmp_path: Path) -> None:
    study = study_in(tmp_path, also=[{"dataset": "ukb"}])
    with pytest.raises(UserError, match=r"three.yaml: rows: DynLocRep: also: dataset: unknown 'ukb'"):
        further_of(study)


def test_every_published_number_stands_in_a_study() -> None:
    shown = set()
    for study in map(load_study, names()):
        for one, also in (*((one, None) for one in study.rows), *further_in(study)):
            shown |= {id(line) for line in numbers_of(study, one, also, published_rows()).values()}
    assert [dict(line) for line in published_rows() if id(line) not in shown] == []


@pytest.mark.parametrize("name", names())
def test_each_study_names_only_rows_that_are_published(name: str) -> None:
    study = load_study(name)
    for one in study.rows:
        assert bool(published_of(study, one)) == (one.published is not None)


def test_data_sets_tell_how_many_were_tested() -> None:
    study = load_study("dlr-fig4a")
    assert published_of(study, study.rows[0])["mae"].n == 62 and len(published_rows()) > 300
