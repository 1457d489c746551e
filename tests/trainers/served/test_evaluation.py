import numpy as np
import pytest

from contrasweep.trainers.conformal import fit_conformal
from contrasweep.trainers.metrics import mae
from contrasweep.trainers.served import Calibration, SampleEvaluation, evaluate_sample
from contrasweep.trainers.served.evaluation import BY_BANDS, BY_LINE, OF_LABEL, RAW

REPEATS = 200


def shrunk(people: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and predictions that are drawn halfway to their mean."""
    rng = np.random.default_rng(seed)
    y = rng.uniform(20, 80, people)
    return y, 25 + 0.5 * y + rng.normal(0, 3, people)


def names(people: int) -> list[str]:
    return [f"s{row}" for row in range(people)]


def calibration() -> Calibration:
    y, said = shrunk(300, seed=1)
    found = Calibration.fit(said, y, names(300))
    assert found
    return found


def test_intervals_hold_whom_they_promise_and_a_correction_takes_the_labels_part_off() -> None:
    y, said = shrunk(400)
    found = evaluate_sample(y, said, names(400), calibration=calibration(), repeats=REPEATS)
    assert found.coverage and found.coverage.share.low <= 0.9 <= found.coverage.share.high
    low, high = fit_conformal(*shrunk(300, seed=1)[::-1]).interval(said)
    assert found.coverage.share.value == np.mean((low <= y) & (y <= high))
    assert found.gaps[RAW].correlation.high < -0.8
    assert found.gaps[RAW].slope.value == pytest.approx(-0.5, abs=0.05)
    for corrected in (BY_LINE, BY_BANDS):
        assert abs(found.gaps[corrected].slope.value) < 0.03
    assert found.metrics["mae"].value == pytest.approx(float(mae(y, said)))
    assert found.bias.value == pytest.approx(float(np.mean(said - y)))


def test_without_a_calibration_nothing_is_corrected_and_nothing_promised() -> None:
    y, said = shrunk(30)
    found = evaluate_sample(y, said, names(30), repeats=REPEATS)
    assert found.coverage is None and list(found.gaps) == [RAW] and not found.retest


def test_groups_are_in_the_columns_order_and_numbers_in_thirds() -> None:
    y, said = shrunk(30)
    columns = {
        "site": ["b", "a", "", "n/a", "a", "b"] * 5,
        "grade": ["10", "9", "n/a"] * 10,
        "Scanner": [str(row // 2) for row in range(30)],
        "bmi": [str(20 + row) if row else "n/a" for row in range(30)],
    }
    found = evaluate_sample(y, said, names(30), columns=columns, repeats=REPEATS)
    groups = {column: [(one.group, one.scans) for one in own] for column, own in found.groups.items()}
    assert groups["site"] == [("a", 10), ("b", 10), ("n/a", 10)]
    assert groups["grade"] == [("9", 10), ("10", 10), ("n/a", 10)]
    assert groups["Scanner"] == [(str(scanner), 2) for scanner in range(15)]
    assert [scans for _, scans in groups["bmi"]] == [10, 9, 10, 1] and groups["bmi"][-1] == ("n/a", 1)
    assert groups["bmi"][0][0].startswith("below 30.")
    assert [scans for _, scans in groups[OF_LABEL]] == [10, 10, 10]
    whole = sum(one.mae.value * one.scans for one in found.groups["site"]) / 30
    assert whole == pytest.approx(found.metrics["mae"].value)


def test_sessions_of_a_person_are_compared_and_resampled_together() -> None:
    rng = np.random.default_rng(0)
    age = np.repeat(rng.uniform(20, 80, 40), 2)
    said = age + np.repeat(rng.normal(0, 5, 40), 2) + rng.normal(0, 1, 80)
    subjects = [name for name in names(40) for _ in range(2)]
    found = evaluate_sample(age, said, subjects, sessions=["1", "2"] * 40, repeats=REPEATS)
    assert (found.scans, found.subjects) == (80, 40)
    assert found.retest["gap"].icc.value == pytest.approx(25 / 26, abs=0.03)
    assert found.retest["prediction"].icc.value > found.retest["gap"].icc.value
    alone = evaluate_sample(age, said, names(80), repeats=REPEATS)
    width, of_scans = (one.metrics["mae"].high - one.metrics["mae"].low for one in (found, alone))
    assert width > 1.2 * of_scans


def test_it_is_kept_as_json_whatever_is_undefined() -> None:
    found = evaluate_sample(
        [50.0], [51.0], ["s"], sessions=["1"], columns={"sex": ["F"]}, calibration=calibration(), repeats=REPEATS
    )
    again = SampleEvaluation.model_validate_json(found.model_dump_json())
    assert again.groups["sex"][0].mae.value == 1.0 and np.isnan(again.metrics["pearson"].value)
