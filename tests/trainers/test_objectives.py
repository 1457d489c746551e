"""What configurations are compared by: figures by hand, and directions."""

import numpy as np
import pytest
from numpy.typing import NDArray

from contrasweep.trainers.errors import UserError
from contrasweep.trainers.metrics import METRICS
from contrasweep.trainers.objectives import FOLDS, OBJECTIVES, Judged


def judged(groups: NDArray[np.int64], features: NDArray[np.float64]) -> Judged:
    zeros = np.zeros(len(groups))
    return Judged(zeros, zeros, groups, features)


def test_each_metric_is_one_and_what_is_not_has_its_own_measure() -> None:
    assert OBJECTIVES.keys() - METRICS.keys() == {"worst_group_mae", "site"}
    assert {name for name, one in OBJECTIVES.items() if one.measure is None} == METRICS.keys()
    assert {name for name, one in OBJECTIVES.items() if one.higher} == {"pearson", "r2"}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_what_is_better_ranks_lower_and_turns_back(name: str) -> None:
    one = OBJECTIVES[name]
    better, worse = (0.9, 0.1) if name in ("pearson", "r2") else (0.1, 0.9)
    assert one.turned(better) < one.turned(worse)
    assert one.turned(one.turned(0.3)) == 0.3


def test_differences_are_in_proportion_to_what_is_left_to_gain() -> None:
    """Errors that are 10 % larger: MSE by about 20 %, 1 - R² by as much, and 1 - r² of a calibrated prediction."""
    rng = np.random.default_rng(0)
    y, noise = rng.normal(0, 10, 20000), rng.normal(0, 4, 20000)
    one, other = ({name: float(METRICS[name](y, y + size * noise)) for name in METRICS} for size in (1, 1.1))
    for name, tolerance in (("mae", 0.1), ("mse", 0.1), ("gm", 0.1), ("r2", 0.1), ("pearson", 0.3)):
        expected = 0.1 * OBJECTIVES[name].scale(one[name])
        assert abs(other[name] - one[name]) == pytest.approx(expected, rel=tolerance), name


def test_the_worst_group() -> None:
    said = Judged(
        np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 4.0, 4.0, 4.0]), np.array([7, 7, 9, 9]), np.empty((4, 0))
    )
    measure = OBJECTIVES["worst_group_mae"].measure
    assert measure and measure(said) == 1.0, "(0 + 2) / 2 of group 7, (1 + 0) / 2 of group 9"


def test_a_site_that_shows_is_read_and_one_that_does_not_is_guessed() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat([0, 1, 2], [20, 30, 150])
    noise, measure = rng.normal(size=(200, 8)), OBJECTIVES["site"].measure
    assert measure
    assert measure(judged(groups, noise + 6 * np.eye(8)[groups])) == pytest.approx(1, abs=0.02)
    hidden = measure(judged(groups, noise))
    assert hidden == pytest.approx(1 / 3, abs=0.12), "balanced: the large one alone would be right three times of four"
    assert measure(judged(groups, noise)) == hidden


def test_units_of_features_do_not_count() -> None:
    rng = np.random.default_rng(1)
    groups, features = np.arange(40) % 2, rng.normal(size=(40, 3))
    features[:, 0] += groups
    measure = OBJECTIVES["site"].measure
    assert measure and measure(judged(groups, features)) == measure(judged(groups, features * [1e-6, 1.0, 1e6]))


def test_groups_too_small_to_be_in_each_fold_are_left_out() -> None:
    measure, features = OBJECTIVES["site"].measure, np.random.default_rng(0).normal(size=(3 * FOLDS - 1, 2))
    assert measure
    large = np.repeat([0, 1], FOLDS)
    with_small = np.concatenate([large, [2] * (FOLDS - 1)])
    assert measure(judged(with_small, features)) == measure(judged(large, features[: 2 * FOLDS]))
    with pytest.raises(
        UserError, match=r"^search\.objective: site is not allowed: it needs two groups of at least 5 scans"
    ):
        measure(judged(with_small[FOLDS:], features[FOLDS:]))
