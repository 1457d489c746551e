"""Kendall's tau-b against scipy's, and verdicts on planted orders."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau

from contrasweep.trainers.metrics import pearson
from contrasweep.trainers.order_told import order_told, tau_b

NUMBERS = st.lists(st.integers(0, 4), min_size=6, max_size=6)


@given(NUMBERS, NUMBERS)
def test_tau_b_is_scipys(one: list[int], other: list[int]) -> None:
    assert tau_b(one, other) == pytest.approx(kendalltau(one, other).statistic, nan_ok=True)


def errors(*means: float, seeds: int = 3, subjects: int = 60) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    hard = rng.normal(0, 1, subjects)
    return {f"row {n}": mean + hard + rng.normal(0, 0.5, (seeds, subjects)) for n, mean in enumerate(means)}


def published(*values: float) -> dict[str, float]:
    return {f"row {n}": value for n, value in enumerate(values)}


@pytest.mark.parametrize(
    ("theirs", "verdict"),
    [((2.0, 3.0, 4.0, 5.0), "agrees"), ((5.0, 4.0, 3.0, 2.0), "disagrees"), ((3.0, 5.0, 2.0, 4.0), "cannot tell")],
)
def test_planted_orders(theirs: tuple[float, ...], verdict: str) -> None:
    told = order_told(errors(4.0, 5.0, 6.0, 7.0), published(*theirs), range(60), repeats=200)
    assert (told.rows, told.verdict) == (4, verdict)


def test_rows_that_are_alike_cannot_be_told_apart() -> None:
    told = order_told(errors(4.0, 4.0), published(2.0, 3.0), range(60), repeats=200)
    assert (told.tau.low, told.tau.high, told.verdict) == (-1, 1, "cannot tell")


def test_rows_that_are_not_published_do_not_count() -> None:
    told = order_told(errors(4.0, 5.0, 1.0), published(2.0, 3.0), range(60), repeats=50)
    assert (told.rows, told.verdict) == (2, "agrees")


@pytest.mark.parametrize("theirs", [(2.0,), (2.0, 2.0)])
def test_too_few_rows_or_ties_alone_tell_nothing(theirs: tuple[float, ...]) -> None:
    told = order_told(errors(4.0, 5.0), published(*theirs), range(60), repeats=20)
    assert math.isnan(told.tau.value) and told.verdict == "cannot tell"


def test_seeds_that_differ_more_than_methods_tell_nothing() -> None:
    """One lucky seed of three; over subjects alone the methods would differ beyond doubt."""
    alike = np.random.default_rng(0).normal(5, 1, 60)
    ours = {"row 0": alike + np.array([[-2.0], [0.1], [0.1]]), "row 1": np.tile(alike, (3, 1))}
    assert order_told(ours, published(2.0, 3.0), range(60), repeats=200).verdict == "cannot tell"


def test_another_figure_of_what_rows_predict() -> None:
    rng = np.random.default_rng(0)
    y = rng.uniform(20, 80, 60)
    said = {f"row {n}": y + rng.normal(0, noise, (2, 60)) for n, noise in enumerate((5.0, 15.0, 40.0))}
    told = order_told(
        said, published(0.9, 0.7, 0.5), range(60), lambda own, rows: float(pearson(y[rows], own).mean()), repeats=100
    )
    assert (told.tau.value, told.verdict) == (1, "agrees")


@pytest.mark.slow
def test_two_copies_of_one_method_are_seldom_in_an_order() -> None:
    rng = np.random.default_rng(0)

    def study() -> str:
        hard = np.abs(rng.normal(4, 3, 60))
        ours = {
            name: hard + rng.normal(0, 0.1, (5, 1)) + rng.normal(0, 0.5, 60) + rng.normal(0, 1.5, (5, 60))
            for name in ("row 0", "row 1")
        }
        return order_told(ours, published(2.0, 3.0), range(60), repeats=300).verdict

    told = sum(study() != "cannot tell" for _ in range(200))
    assert told <= 0.05 * 200
