"""Errors by shots, ranges and groups."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from contrasweep.trainers.analyses import Evidence, Findings, build
from contrasweep.trainers.errors import UserError
from contrasweep.trainers.metrics import shot_mae
from tests.trainers.analyses.evidence import evidence


def told(findings: Findings, point: str = "n50") -> dict[str, float]:
    """The MAE of each group, by the table, which by seeds is that of `values`."""
    (table,) = findings.tables.values()
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    found = {row["group"]: row["mae"] for row in rows if row["configuration"] == point}
    for group, mae in found.items():
        of_seeds = [value for (name, _), value in findings.values[str(group)].items() if name == point]
        assert mae == pytest.approx(np.mean(of_seeds))
    return {str(group): float(str(mae)) for group, mae in found.items()}


def judged(given: Evidence, point: str = "n50") -> np.ndarray:
    return np.array([said for reading, said in given.predictions.items() if reading[0] == point and not reading.epoch])


def test_shots_are_those_of_shot_mae() -> None:
    given = evidence(["n50"])
    train = np.concatenate([np.repeat(np.arange(20.0, 35.0), 101), np.repeat(np.arange(35.0, 50.0), 50)])
    found = told(build("shots").run(replace(given, train_labels=train)))
    assert [*found] == ["many", "medium", "few"]
    assert found == pytest.approx(shot_mae(given.labels, judged(given), train))


def test_shots_need_training_labels() -> None:
    with pytest.raises(UserError, match="the training labels, of which shots are, are not there any more"):
        build("shots").run(replace(evidence(), train_labels=np.array([])))


def test_ranges_are_thirds_or_so_wide() -> None:
    given = evidence(["n50"])
    thirds = told(build("ranges").run(given))
    assert len(thirds) == 3 and next(iter(thirds)).startswith("below")
    decades = told(build("ranges", width=10.0).run(given))
    assert [*decades] == ["20 to 30", "30 to 40", "40 to 50", "50 to 60"]
    inside = (given.labels >= 30) & (given.labels < 40)
    assert decades["30 to 40"] == pytest.approx(np.abs(judged(given) - given.labels)[:, inside].mean())
    assert len(told(build("ranges", bands=5).run(given))) == 5


def test_groups_are_the_cells_of_a_column() -> None:
    given = evidence(["n50"])
    found = told(build("groups", column="site").run(given))
    first = np.abs(judged(given) - given.labels)[:, :20].mean()
    assert [*found] == ["A", "B"] and found["A"] == pytest.approx(first)


def test_a_column_that_is_not_there() -> None:
    with pytest.raises(UserError, match="column 'sexe' is not in the table of participants; did you mean 'sex'"):
        build("groups", column="sexe").run(evidence())


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("shots", {"bin_size": 0.0}, "bin_size is 0.0; allowed: numbers above 0, or null"),
        ("ranges", {"bands": 1}, "bands is 1; allowed: whole numbers from 2"),
        ("ranges", {"width": -5.0}, "width is -5.0; allowed: numbers above 0, or null"),
        ("groups", {"column": 3}, "column is 3; allowed: names"),
    ],
)
def test_parameters_are_checked(name: str, params: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=f"analysis '{name}': {message}"):
        build(name, **params)
