"""Coverage of new people, of everyone and in each third of the label."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold

from contrasweep.trainers.conformal import Conformal, fit_conformal, quantile
from contrasweep.trainers.errors import UserError


def shrunk(
    rng: np.random.Generator, count: int, r2: float, growth: float, skewed: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Bounded labels, and predictions drawn to their mean, whose errors grow with the label by `growth`."""
    y = np.clip(88 - rng.gamma(2.2, 9, count), 20, 88) if skewed else np.clip(rng.normal(50, 17, count), 18, 88)
    z = (y - y.mean()) / y.std()
    noise = np.clip(1 + growth * z, 0.3, None) * rng.normal(0, np.sqrt(r2 * (1 - r2)), count)
    return y, y.mean() + y.std() * (r2 * z + noise)


def coverage(intervals: Conformal, said: np.ndarray, y: np.ndarray) -> list[float]:
    """Of everyone, and of each third of the label."""
    low, high = intervals.interval(said)
    inside, thirds = (low <= y) & (y <= high), np.digitize(y, np.quantile(y, [1 / 3, 2 / 3]))
    return [inside.mean(), *(inside[thirds == third].mean() for third in range(3))]


@pytest.mark.parametrize("skewed", [False, True])
@pytest.mark.parametrize(("r2", "growth"), [(0.35, 0.3), (0.6, -0.3), (0.85, 0.3), (0.6, 0.0)])
def test_nine_of_ten_are_inside_in_each_third_of_the_label(r2: float, growth: float, skewed: bool) -> None:
    covered = []
    for seed in range(20):
        y, said = shrunk(np.random.default_rng(seed), 1200, r2, growth, skewed)
        covered.append(coverage(fit_conformal(said[:200], y[:200]), said[200:], y[200:]))
    everyone, *thirds = np.mean(covered, axis=0)
    assert 0.87 <= everyone <= 0.93
    assert min(thirds) >= 0.84


def test_out_of_fold_predictions_serve_new_people_of_all_folds_models() -> None:
    covered = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        y = np.clip(rng.normal(50, 17, 700), 18, 88)
        features = np.outer((y - 50) / 17, rng.normal(0, 0.25, 40)) + rng.normal(size=(700, 40))
        out_of_fold, new = np.empty(200), np.zeros(500)
        for train, held_out in KFold(5).split(features[:200]):
            model = RidgeCV(np.logspace(-1, 4, 6)).fit(features[train], y[train])
            out_of_fold[held_out] = model.predict(features[held_out])
            new += model.predict(features[200:]) / 5
        covered.append(coverage(fit_conformal(out_of_fold, y[:200]), new, y[200:]))
    everyone, *thirds = np.mean(covered, axis=0)
    assert 0.87 <= everyone <= 0.94
    assert min(thirds) >= 0.84


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=60), st.floats(0.05, 0.98))
def test_the_quantile_is_the_least_that_holds(scores: list[float], level: float) -> None:
    """One of N + 1 that are alike is at or below the k-th of the others with probability k / (N + 1)."""
    found, needed = quantile(scores, level), level * (len(scores) + 1)
    at_or_below = sum(score <= found for score in scores)
    if np.isinf(found):
        assert needed > len(scores) - 1e-6
    else:
        assert at_or_below >= needed - 1e-6
        assert sum(score < found for score in scores) < needed


@pytest.mark.parametrize("level", [0.8, 0.9, 0.95])
def test_few_people_have_one_band_and_no_fewer_than_the_level_needs(level: float) -> None:
    y, said = shrunk(np.random.default_rng(0), 59, 0.6, 0.0, False)
    few = fit_conformal(said, y, level)
    assert few.edges == () and few.lowest is None
    least = round(level / (1 - level))
    fit_conformal(said[:least], y[:least], level)
    with pytest.raises(UserError, match=f"intervals of {level:.0%} need {least} people, not {least - 1}"):
        fit_conformal(said[: least - 1], y[: least - 1], level)


def test_few_people_are_covered_as_everyone() -> None:
    covered = []
    for seed in range(60):
        y, said = shrunk(np.random.default_rng(seed), 1040, 0.6, 0.3, False)
        covered.append(coverage(fit_conformal(said[:40], y[:40]), said[40:], y[40:])[0])
    assert 0.87 <= np.mean(covered) <= 0.93


@given(st.integers(0, 10_000), st.sampled_from([30, 60, 200]), st.booleans())
def test_ends_are_in_order_within_the_labels_and_rise_with_the_prediction(seed: int, count: int, skewed: bool) -> None:
    y, said = shrunk(np.random.default_rng(seed), count, 0.6, 0.3, skewed)
    low, high = fit_conformal(said, y).interval(np.linspace(-50, 150, 50))
    assert (low <= high).all() and np.isfinite([low, high]).all()
    if count >= 100:
        assert low.min() >= y.min() and high.max() <= y.max()


def test_units_of_predictions_do_not_count() -> None:
    y, said = shrunk(np.random.default_rng(1), 200, 0.6, 0.3, False)
    one, other = fit_conformal(said, y).interval(said), fit_conformal(3 - said / 50, -y).interval(3 - said / 50)
    assert np.ptp(one, axis=0).mean() == pytest.approx(np.ptp(other, axis=0).mean(), rel=0.05)


def test_a_model_that_says_the_same_of_everyone_knows_nothing() -> None:
    y = np.random.default_rng(2).uniform(20, 80, 300)
    low, high = fit_conformal(np.full(300, 50.0), y).interval([50.0])
    assert low[0] < 26 and high[0] > 74


def test_what_was_kept_is_read_also_of_before_when_it_had_a_floor() -> None:
    y, said = shrunk(np.random.default_rng(3), 200, 0.6, 0.3, False)
    fitted = fit_conformal(said, y)
    assert Conformal.model_validate_json(fitted.model_dump_json()) == fitted
    assert Conformal.model_validate(fitted.model_dump() | {"floor": None}) == fitted
