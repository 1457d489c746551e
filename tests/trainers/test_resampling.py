import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from contrasweep.trainers.metrics import bootstrap, mae
from contrasweep.trainers.resampling import crossed_bootstrap, subject_bootstrap


@given(st.lists(st.integers(0, 4), min_size=3, max_size=12))
def test_it_is_the_bootstrap_of_metrics(whose: list[int]) -> None:
    y, said = np.random.default_rng(len(whose)).normal(size=(2, len(whose)))
    found = subject_bootstrap(lambda rows: float(mae(y[rows], said[rows])), whose, repeats=20, seed=3)
    expected = bootstrap(y, said[None], repeats=20, seed=3, clusters=whose)["mae"]
    np.testing.assert_allclose((found.value, found.low, found.high), (expected.value, expected.low, expected.high))


def test_resamples_without_a_figure_do_not_count() -> None:
    def once(rows: np.ndarray) -> float:
        return 1.0 if len(set(rows.tolist())) == 2 else math.nan

    assert subject_bootstrap(once, ["a", "b"], repeats=64).low == 1.0
    nowhere = subject_bootstrap(lambda rows: math.nan, ["a", "b"], repeats=4)
    assert all(map(math.isnan, (nowhere.value, nowhere.low, nowhere.high)))


def means(own: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return np.asarray(own.mean(1))


@pytest.mark.parametrize("folds", [0, 3])
def test_the_mean_of_few_runs_is_as_uncertain_as_t_says(folds: int) -> None:
    """Three runs on one subject: the interval is that of a t test, over folds that of Nadeau and Bengio's."""
    runs = np.array([1.0, 2.0, 4.5])
    found = crossed_bootstrap(means, lambda told: told[0], [runs[:, None]], ["a"], folds=folds, repeats=20000)
    error = runs.std(ddof=1) * math.sqrt(1 / 3 + (1 / 2 if folds else 0))
    low, high = stats.t.interval(0.95, 2, runs.mean(), error)
    np.testing.assert_allclose((found.low, found.value, found.high), (low, runs.mean(), high), atol=0.03 * (high - low))


def test_all_methods_are_seen_on_the_same_subjects() -> None:
    alike = np.random.default_rng(0).normal(size=(1, 30))
    found = crossed_bootstrap(means, lambda told: told[0] - told[1], [alike + 1, alike], range(30), repeats=50)
    np.testing.assert_allclose((found.low, found.value, found.high), 1)


def test_readings_of_one_training_share_its_runs() -> None:
    runs = np.random.default_rng(0).normal(size=(3, 1)) + np.zeros((3, 30))
    both = [runs + 1, runs]
    shared = crossed_bootstrap(means, lambda told: told[0] - told[1], both, range(30), trainings="aa", repeats=500)
    apart = crossed_bootstrap(means, lambda told: told[0] - told[1], both, range(30), trainings="ab", repeats=500)
    np.testing.assert_allclose((shared.low, shared.high), 1)
    assert apart.low < 0 < 2 < apart.high
