"""What is left of a gap's dependence on age in people whom the correction never saw."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter
from scipy import stats

from contrasweep.trainers.age_gap import Correction, dependence, fit_bands, fit_linear
from contrasweep.trainers.errors import UserError
from contrasweep.trainers.metrics import mae

Fit = Callable[[np.ndarray, np.ndarray], Correction]


def shrunk(rng: np.random.Generator, count: int, curved: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Ages from 18 to 88, and predictions drawn to their mean, with errors that grow with age."""
    y = np.clip(rng.normal(50, 17, count), 18, 88)
    z = (y - 50) / 17
    noise = np.clip(1 + 0.3 * z, 0.3, None) * rng.normal(0, 8, count)
    return y, 50 + 17 * (0.8 * np.tanh(0.8 * z) if curved else 0.6 * z) + noise


@pytest.mark.parametrize("fit", [fit_linear, fit_bands])
@pytest.mark.parametrize("curved", [False, True])
def test_the_corrected_gap_of_new_people_does_not_go_with_age(fit: Fit, curved: bool) -> None:
    before, after = [], []
    for seed in range(60):
        y, said = shrunk(np.random.default_rng(seed), 800, curved)
        gap = fit(said[:300], y[:300]).apply(said[300:], y[300:])
        before.append(stats.pearsonr(said[300:] - y[300:], y[300:]).statistic)
        after.append(stats.pearsonr(gap, y[300:]).statistic)
    assert np.mean(before) < -0.5
    assert abs(np.mean(after)) < 0.05
    assert np.std(after) < 2 / np.sqrt(300), "what one correction is off by is the error of its 300 people"


def test_bands_follow_a_curve_that_a_line_does_not() -> None:
    y, said = shrunk(np.random.default_rng(0), 20_000, curved=True)
    middle = (y > 30) & (y < 45)
    straight, banded = (fit(said, y).apply(said, y)[middle].mean() for fit in (fit_linear, fit_bands))
    assert abs(banded) < 0.2 < abs(straight)


def test_a_line_is_the_regression_of_the_gap() -> None:
    y, said = shrunk(np.random.default_rng(1), 200)
    line = stats.linregress(y, said - y)
    found = fit_linear(said, y)
    assert (found.intercept, found.slope) == pytest.approx((line.intercept, line.slope))
    alpha = stats.linregress(y, said)
    np.testing.assert_allclose(found.apply(said, y), said - (alpha.slope * y + alpha.intercept), atol=1e-9)


@given(st.lists(st.tuples(st.floats(18, 88), st.floats(-200, 200)), min_size=2, max_size=60))
def test_bands_rise_with_age_and_stay_where_nobody_was_seen(people: list[tuple[float, float]]) -> None:
    y, said = np.array(people).T
    if np.ptp(y) == 0:
        with pytest.raises(
            UserError, match=r"^the gap cannot be corrected: the labels of \d+ people are all the same$"
        ):
            fit_bands(said, y)
        return
    expected = -fit_bands(said, y).apply(np.zeros(80), np.linspace(0, 110, 80))
    assert np.isfinite(expected).all()
    assert (np.diff(expected) >= -1e-6).all()
    assert expected[0] == expected[1] and expected[-1] == expected[-2]


def test_a_few_predictions_far_off_do_not_move_bands() -> None:
    y, said = shrunk(np.random.default_rng(2), 400)
    wild = said.copy()
    wild[::60] = 1e4
    moved = fit_bands(wild, y).apply(np.zeros(5), np.linspace(25, 80, 5)) - fit_bands(said, y).apply(
        np.zeros(5), np.linspace(25, 80, 5)
    )
    assert np.abs(moved).max() < 4


def test_why_there_is_no_corrected_error() -> None:
    """A model that knows nothing would be perfect."""
    y = np.linspace(20, 80, 30)
    gap = fit_linear(np.full(30, 50.0), y).apply(np.full(30, 50.0), y)
    assert float(mae(y, y + gap)) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("fit", [fit_linear, fit_bands])
def test_a_correction_is_kept_as_json_and_takes_all_seeds_at_once(fit: Fit) -> None:
    y, said = shrunk(np.random.default_rng(3), 100)
    fitted = fit(said, y)
    kept = TypeAdapter[Correction](Correction).validate_json(fitted.model_dump_json())
    assert kept == fitted
    together = kept.apply(np.stack([said, said + 1]), y)
    np.testing.assert_allclose(together[1] - together[0], 1)
    np.testing.assert_allclose(together[0], fitted.apply(said, y))


def test_dependence_of_a_gap_is_that_of_scipy_with_an_interval_around() -> None:
    y, said = shrunk(np.random.default_rng(4), 200)
    found, line = dependence(said - y, y, repeats=200), stats.linregress(y, said - y)
    assert (found.slope.value, found.correlation.value) == pytest.approx((line.slope, line.rvalue))
    assert found.slope.low < line.slope < found.slope.high < 0
    assert found.correlation.low < line.rvalue < found.correlation.high < 0
    normal = np.tanh(np.arctanh(line.rvalue) + np.array([-1.96, 1.96]) / np.sqrt(197))
    assert (found.correlation.low, found.correlation.high) == pytest.approx(normal, abs=0.05)


def test_seeds_are_averaged_and_scans_of_a_person_drawn_together() -> None:
    y, said = shrunk(np.random.default_rng(5), 40)
    gaps = np.stack([said - y, 3 * (said - y)])
    both, one = dependence(gaps, y, repeats=50), dependence(gaps[0], y, repeats=50)
    assert both.slope.value == pytest.approx(2 * one.slope.value)
    twice = dependence(np.repeat(gaps[0], 2), np.repeat(y, 2), np.repeat(np.arange(40), 2).tolist(), repeats=50)
    assert (twice.slope.low, twice.slope.high) == pytest.approx((one.slope.low, one.slope.high))


def test_people_of_one_age_are_in_one_band() -> None:
    rng = np.random.default_rng(0)
    ages = np.concatenate([np.zeros(180), np.ones(20)])
    correction = fit_bands(ages + rng.normal(0, 0.1, 200), ages)
    assert len({*correction.labels[1:-1]}) == 2 and correction.apply([0.0, 1.0], [0.0, 1.0]) == pytest.approx(
        0, abs=0.1
    )
