from dataclasses import replace

import numpy as np
import pytest

from contrasweep.trainers.analyses import Evidence, build
from contrasweep.trainers.errors import UserError
from contrasweep.trainers.power_law import PowerLaw
from tests.trainers.analyses.evidence import SIZES, evidence


def following(law: PowerLaw) -> Evidence:
    """Every scan's error is the law's."""
    given = evidence()
    at = dict(zip(given.points, SIZES, strict=True))
    said = {reading: given.labels + law.at(at[reading.point]) for reading in given.predictions}
    return replace(given, predictions=said)


def test_a_line_for_each_method_by_the_only_number_that_differs() -> None:
    findings = build("curve").run(evidence(("s50", "s100", "s200", "s400", "v50")))
    table = findings.tables["mae over people"]
    assert [row[:4] for row in table.rows] == [
        ("s50", "supremix", 50, 2),
        ("s100", "supremix", 100, 2),
        ("s200", "supremix", 200, 2),
        ("s400", "supremix", 400, 2),
        ("v50", "vanilla", 50, 2),
    ]
    axes = findings.figures["mae over people"].axes[0]
    assert axes.get_legend_handles_labels()[1] == ["supremix", "vanilla"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("people", "MAE (years)")


def test_options_of_a_choice_may_be_numbers() -> None:
    given = evidence()
    values = {name: {"size": str(size)} for name, size in zip(given.points, SIZES, strict=True)}
    table = build("curve", over="size", metric="r2").run(replace(given, values=values)).tables["r2 over size"]
    assert [row[2] for row in table.rows] == [*SIZES]


def test_which_number_is_meant() -> None:
    given = evidence()
    values = {name: {**own, "gamma": size / 10} for (name, own), size in zip(given.values.items(), SIZES, strict=True)}
    with pytest.raises(UserError, match="over: is needed; allowed: gamma, people"):
        build("curve").run(replace(given, values=values))
    with pytest.raises(
        UserError, match="over: 'gama' is no number in which configurations differ; did you mean 'gamma'"
    ):
        build("curve", over="gama").run(replace(given, values=values))


def test_a_law_that_errors_follow_is_extended() -> None:
    law = PowerLaw(2.0, 30.0, 0.6)
    findings = build("curve", law=True, more=100).run(following(law))
    (row,) = findings.tables["Power law"].rows
    told = dict(zip(findings.tables["Power law"].columns, row, strict=True))
    assert (told["method"], told["people"]) == ("supremix", 500)
    figures = np.array([told[name] for name in ("mae", "low", "high", "gain")], float)
    np.testing.assert_allclose(figures, [*[law.at(500)] * 3, law.at(400) - law.at(500)], atol=1e-3)
    assert findings.words[0].startswith("With 100 people more than 400 the MAE of supremix would fall by 0.10")


def test_a_law_needs_four_numbers() -> None:
    with pytest.raises(UserError, match="law: no method has 4 numbers of people"):
        build("curve", law=True).run(evidence(("n50", "n100", "n200")))


def test_a_law_is_of_people_and_not_of_shares() -> None:
    given = evidence()
    shares = {name: {"size": size / SIZES[-1]} for name, size in zip(given.points, SIZES, strict=True)}
    with pytest.raises(UserError, match=r"law: over: 0\.125 is no number of people; .* `over: people`"):
        build("curve", over="size", law=True).run(replace(given, values=shares))
