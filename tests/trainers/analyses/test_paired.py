"""Paired differences: against the parts that they are made of, and in studies of which it is known what differs."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from contrasweep.trainers.analyses import Evidence, Reading, build
from contrasweep.trainers.errors import UserError
from contrasweep.trainers.order_told import order_told
from contrasweep.trainers.paired import paired_difference
from contrasweep.trainers.significance import crossed_p, holm
from tests.trainers.analyses.evidence import evidence


def rows(given: Evidence, **params: Any) -> list[dict[str, Any]]:
    (table,) = build("paired", **params).run(given).tables.values()
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


def errors_of(given: Evidence, point: str) -> np.ndarray:
    readings = [reading for reading in given.predictions if reading.point == point and reading.epoch == 0]
    return np.abs(np.array([given.predictions[reading] for reading in readings]) - given.labels)


def with_errors(errors: Mapping[str, np.ndarray]) -> Evidence:
    """Of absolute errors [S, N]."""
    (scans,) = {own.shape[1] for own in errors.values()}
    given = evidence([*errors], scans=scans)
    readings = {
        Reading(point, seed, probe="ridge"): given.labels + own
        for point, runs in errors.items()
        for seed, own in enumerate(runs)
    }
    return replace(given, predictions=readings)


def test_to_a_reference_over_seeds_and_subjects() -> None:
    given = evidence(scans=40, scans_of_each=2)
    found = rows(given, reference="n200")
    assert [row["configuration"] for row in found] == ["n50", "n100", "n400"]
    reference = errors_of(given, "n200")
    for row in found:
        own = errors_of(given, row["configuration"])
        expected = paired_difference(own.mean(0), reference.mean(0), given.subjects)
        assert (row["difference"], row["low"], row["high"]) == (expected.value, expected.low, expected.high)
        assert row["p"] == crossed_p(own - reference, given.subjects)
    assert [row["p of all"] for row in found] == holm([row["p"] for row in found])


def test_all_pairs_where_there_is_no_reference() -> None:
    found = rows(evidence(seeds=5))
    assert len(found) == 6 and {(row["configuration"], row["reference"]) for row in found} >= {("n50", "n400")}
    assert {row["verdict"] for row in found if row["reference"] == "n400"} == {"larger"}


def test_many_pairs_are_a_table_alone() -> None:
    found = build("paired").run(evidence([f"n{size}" for size in range(9)]))
    assert len(found.tables["Differences in MAE"].rows) == len(found.apart) == 36 and not found.figures


def test_over_folds_p_is_of_runs_that_share_training_sets() -> None:
    given = evidence(["n50", "n100"], seeds=2, folds=3)
    (row,) = rows(given)
    differences = errors_of(given, "n50") - errors_of(given, "n100")
    assert row["runs"] == 6 and row["p"] == crossed_p(differences, given.subjects, folds=3)


def test_one_run_tells_nothing() -> None:
    found = rows(evidence(scans=200, seeds=1))
    assert min(row["p of all"] for row in found) < 0.001
    assert {row["verdict"] for row in found} == {"cannot tell"}


def test_only_seeds_that_both_have_count() -> None:
    given = evidence(["n50", "n100"], seeds=3)
    fewer = {reading: said for reading, said in given.predictions.items() if reading[:2] != ("n50", 2)}
    (row,) = rows(replace(given, predictions=fewer))
    of_two = errors_of(given, "n50")[:2].mean() - errors_of(given, "n100")[:2].mean()
    assert row["difference"] == pytest.approx(of_two)
    apart = {reading: said for reading, said in fewer.items() if (reading.point == "n50") == (reading.seed == 0)}
    with pytest.raises(UserError, match="'n50' and 'n100' have no seed in common"):
        rows(replace(given, predictions=apart))


def test_copies_under_two_names_do_not_differ() -> None:
    errors = np.abs(np.random.default_rng(0).normal(4, 2, (3, 40)))
    (row,) = rows(with_errors({"one": errors, "same": errors}))
    assert (row["difference"], row["p"], row["verdict"]) == (0, 1, "cannot tell")


def test_a_reference_that_is_not_there() -> None:
    with pytest.raises(UserError, match="no configuration is called 'n5'; did you mean 'n50'"):
        rows(evidence(), reference="n5")


def test_what_is_not_read() -> None:
    with pytest.raises(UserError, match=r"'n50': .* `read: \{probes: \[linear\], features: \[encoder\]\}` has it read"):
        rows(evidence(), probe="linear", features="encoder")


SEEDS, SUBJECTS = 3, 80


@pytest.mark.slow
@pytest.mark.parametrize("seed_sd", [0.15, 0.3, 0.6])
def test_two_copies_of_one_method_seldom_differ(seed_sd: float) -> None:
    """Trained anew under another name, so that seeds differ; by the paired test, and by either verdict on an order."""
    rng = np.random.default_rng(0)
    differ = ordered = 0
    for _ in range(200):
        hard = np.abs(rng.normal(4, 3, SUBJECTS))
        errors = {
            name: hard
            + rng.normal(0, seed_sd, (SEEDS, 1))
            + rng.normal(0, 0.5, SUBJECTS)
            + rng.normal(0, 1, (SEEDS, SUBJECTS))
            + 5
            for name in ("one", "copy")
        }
        (row,) = rows(with_errors(errors))
        differ += row["verdict"] != "cannot tell"
        ordered += order_told(errors, {"one": 3.9, "copy": 4.1}, range(SUBJECTS), repeats=500).verdict != "cannot tell"
    assert differ <= 0.05 * 200 and ordered <= 0.05 * 200, (differ, ordered)


@pytest.mark.slow
def test_a_gain_of_half_a_year_is_found_as_often_as_was_computed() -> None:
    """Of a test of Behrens and Fisher's whose standard errors are those that are planted."""
    gain, of_subjects, rest = 0.5, 1.5, 1.0
    by_subjects = of_subjects**2 / SUBJECTS + rest**2 / (SEEDS * SUBJECTS)
    by_seeds = rest**2 / (SEEDS * SUBJECTS)
    alike = sum(
        np.sqrt(variance) * stats.t.rvs(count - 1, size=400_000, random_state=count)
        for variance, count in ((by_subjects, SUBJECTS), (by_seeds, SEEDS))
    )
    critical = np.quantile(np.abs(alike), 0.95)
    power = stats.norm.sf((critical - gain) / np.sqrt(by_subjects))
    assert 0.55 < power < 0.65
    rng = np.random.default_rng(1)

    def found() -> bool:
        plain = 10 + rng.normal(0, 1, (SEEDS, SUBJECTS))
        difference = -gain + rng.normal(0, of_subjects, SUBJECTS) + rng.normal(0, rest, (SEEDS, SUBJECTS))
        (row,) = rows(with_errors({"better": plain + difference, "plain": plain}))
        return bool(row["verdict"] == "smaller")

    times = sum(found() for _ in range(200))
    low, high = stats.binom.interval(0.999, 200, power)
    assert low <= times <= high


def test_a_baseline_is_a_reference_too_and_the_same_for_all_runs() -> None:
    given = evidence(["n50", "n400"], seeds=3)
    given = replace(given, baselines={"PCA + ridge": given.labels + 8.0})
    found = rows(given, reference="PCA + ridge")
    assert [(row["configuration"], row["reference"]) for row in found] == [
        ("n50", "PCA + ridge"),
        ("n400", "PCA + ridge"),
    ]
    for row in found:
        assert row["difference"] == pytest.approx(errors_of(given, row["configuration"]).mean() - 8.0)
    assert found[1]["verdict"] == "smaller", "errors of about 3 years in place of 8"


def test_one_configuration_alone_is_compared_with_a_baseline() -> None:
    given = evidence(["n50"])
    given = replace(given, baselines={"PCA + SVR": given.labels + 1.0})
    assert len(rows(given, reference="PCA + SVR")) == 1
    with pytest.raises(UserError, match="or to a baseline: reference"):
        rows(given)
