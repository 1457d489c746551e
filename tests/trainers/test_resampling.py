import math
from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

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


def test_runs_are_drawn_so_that_their_mean_varies_as_it_does() -> None:
    """Three seeds on one subject: the interval is as wide as that of a mean of three with their variance."""
    values = np.array([[1.0], [2.0], [4.0]])
    drawn: list[float] = []

    def mean(own: Sequence[np.ndarray], rows: np.ndarray) -> float:
        drawn.append(float(own[0].mean()))
        return drawn[-1]

    found = crossed_bootstrap(mean, [values], ["a"], repeats=4000)
    assert found.value == drawn[-1] == values.mean()
    np.testing.assert_allclose(np.var(drawn[:-1]), values.var(ddof=1) / 3, rtol=0.1)


def test_all_methods_are_seen_on_the_same_subjects() -> None:
    alike = np.random.default_rng(0).normal(size=(1, 30))
    found = crossed_bootstrap(lambda own, rows: float((own[0] - own[1]).mean()), [alike + 1, alike], range(30), 50)
    np.testing.assert_allclose((found.low, found.value, found.high), 1)
