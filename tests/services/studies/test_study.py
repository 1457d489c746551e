"""Study files: what is wrong with one is a line that names it."""

from pathlib import Path
from typing import Any

import pytest

from contrasweep.services.studies.study import load_study, names, read_study
from contrasweep.trainers.errors import UserError
from tests.services.studies.left import STUDY, study_in

OLD = {"old": {"label": [[60, 80]]}}
ROWS: list[dict[str, Any]] = STUDY["rows"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"tittle": "x"}, "three.yaml: tittle: unknown key; did you mean 'title'?"),
        ({"title": None}, "three.yaml: title: is missing"),
        ({"metrics": ["maee"]}, "unknown metric 'maee'; did you mean 'mae'?"),
        ({"metrics": ["order.spearman"]}, "metrics: order.spearman: 'order' is none of parts and analyses"),
        ({"metrics": ["old.mae"]}, "metrics: old.mae: 'old' is none of parts and analyses"),
        ({"metrics": ["old.maee"], "parts": OLD}, "metrics: old.maee: unknown metric 'maee'; did you mean 'mae'?"),
        ({"parts": OLD}, "parts: old: no metric is of it; such as old.mae"),
        ({"metrics": ["old.mae"], "parts": {"old": {}}}, "parts.old: is the whole; label, shots or where is needed"),
        ({"metrics": ["old.mae"], "parts": {"old": {"label": [[9, 1]]}}}, "must be [low, high) with low below high"),
        ({"parts": {"old": {"shots": "fewer"}}}, "parts.old.shots: fewer is not allowed; did you mean 'few'?"),
        ({"published": {"mea": {}}}, "published: unknown metric or part 'mea'; did you mean 'mae'?"),
        ({"also": [{"data": "ukb"}]}, "also[0].data: unknown key; did you mean 'dataset'?"),
        ({"analyses": ["pared"]}, "unknown analysis 'pared'; did you mean 'paired'?"),
        ({"spec": {"trainings": {}}}, "unknown section 'trainings'; did you mean 'training'?"),
        ({"order": ["SimCLRR"]}, "order: unknown row 'SimCLRR'; did you mean 'SimCLR'?"),
        ({"order": [["SimCLR", "encoder"], ["SimCLR"]]}, "order: SimCLR is there 2 times"),
        ({"seeds": "5"}, "three.yaml: seeds: 5 is not allowed: must be a whole number"),
        ({"rows": [ROWS[0], ROWS[0]]}, "rows: DynLocRep is there 2 times"),
        ({"rows": [{"name": "x"}]}, "method is missing; or `of`, the row that this is another reading of"),
        ({"rows": [ROWS[0], {"name": "x", "of": "DynLocRep"}]}, "read is missing: which reading of `of` it is"),
        ({"rows": [ROWS[0], ROWS[3] | {"method": "simclr"}]}, "method is not allowed with `of`"),
        (
            {"rows": [ROWS[0], ROWS[3] | {"of": "Dynlocrep"}]},
            "of: no row 'Dynlocrep' is trained; did you mean 'DynLocRep'?",
        ),
        ({"rows": [ROWS[0] | {"start": "DynLocRep"}]}, "start: no earlier row 'DynLocRep'; allowed: none"),
        ({"tuned": 0}, "three.yaml: tuned: 0 is not allowed"),
        ({"tuned": 4}, "rows: SupReMix: params is not allowed with `tuned`, which searches for them"),
        (
            {"tuned": 4, "rows": [ROWS[0], {"name": "again", "method": "dynlocrep"}]},
            "rows: DynLocRep: with `tuned` no other row may have its method, dynlocrep",
        ),
        ({"rows": [ROWS[0] | {"methods": "simclr"}]}, "rows[0].methods: unknown key; did you mean 'method'?"),
    ],
)
def test_mistakes_are_one_line(changes: dict[str, Any], says: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        study_in(tmp_path, **changes)
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_an_unknown_study_has_a_nearest_name() -> None:
    with pytest.raises(
        UserError, match=r"unknown study 'dlr-tabel3'; did you mean 'dlr-table3'. `contrasweep study list`"
    ):
        load_study("dlr-tabel3")


@pytest.mark.parametrize("name", names())
def test_each_study_that_is_there_can_be_read(name: str) -> None:
    study = load_study(name)
    assert study.name == name and study.title and list(study.trained)


def test_a_name_is_that_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text("name: two")
    with pytest.raises(UserError, match=r"one\.yaml: name is not allowed: a study is called as its file"):
        read_study(tmp_path / "one.yaml")


def test_readings_are_of_their_rows(tmp_path: Path) -> None:
    study = study_in(tmp_path)
    assert [study.point_of(row) for row in study.rows] == ["DynLocRep", "SupReMix", "SimCLR", "DynLocRep"]
    assert study.method_of(study.rows[3]) == "dynlocrep"
