import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from contrasweep.trainers.metrics import bootstrap, mae
from contrasweep.trainers.resampling import subject_bootstrap


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
