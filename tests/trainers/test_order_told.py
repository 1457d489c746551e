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
    said = {f"row {n}": y + rng.normal(0, noise, (5, 60)) for n, noise in enumerate((5.0, 15.0, 40.0))}
    told = order_told(said, published(0.9, 0.7, 0.5), range(60), lambda own, rows: pearson(y[rows], own), repeats=100)
    assert (told.tau.value, told.verdict) == (1, "agrees")


def test_one_seed_tells_nothing() -> None:
    ours, theirs = errors(4.0, 5.0, seeds=1), published(2.0, 3.0)
    told = order_told(ours, theirs, range(60), repeats=50)
    assert (told.tau.low, told.runs, told.verdict) == (1, 1, "cannot tell")
    alone = order_told({row: own[:, :1] for row, own in ours.items()}, theirs, "s", repeats=50)
    assert alone.verdict == "cannot tell"


def test_readings_of_one_training_are_compared_on_its_seeds() -> None:
    """Seeds differ by years, and in each the second reading is half a year worse."""
    seeds = np.array([[0.0], [3.0], [6.0]]) + np.zeros((3, 60))
    ours, theirs = {"row 0": seeds, "row 1": seeds + 0.5}, published(2.0, 3.0)
    assert order_told(ours, theirs, range(60), repeats=50).verdict == "cannot tell"
    one = {"row 0": "a", "row 1": "a"}
    assert order_told(ours, theirs, range(60), trainings=one, repeats=50).verdict == "agrees"


def test_only_pairs_of_one_chain_count() -> None:
    """Between the chains the order is the other way round."""
    ours, theirs = errors(8.0, 9.0, 4.0, 5.0), published(1.0, 2.0, 3.0, 4.0)
    chains = {"row 0": 0, "row 1": 0, "row 2": 1, "row 3": 1}
    told = order_told(ours, theirs, range(60), repeats=50, chains=chains)
    assert (told.tau.value, told.verdict) == (1, "agrees")
    assert order_told(ours, theirs, range(60), repeats=50).tau.value < 0


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("seed_sd", [0.0, 0.1, 0.3, 0.6])
@pytest.mark.parametrize("folds", [0, 2])
def test_two_copies_of_one_method_are_seldom_in_an_order(folds: int, seed_sd: float, seeds: int) -> None:
    """On 60 people, whose mean error has a standard error of 0.4; what folds train on differs as seeds do."""
    rng = np.random.default_rng(0)
    runs = seeds * max(1, folds)

    def study() -> str:
        hard = np.abs(rng.normal(4, 3, 60))
        ours = {
            name: hard + rng.normal(0, seed_sd, (runs, 1)) + rng.normal(0, 0.5, 60) + rng.normal(0, 1.5, (runs, 60))
            for name in ("row 0", "row 1")
        }
        return order_told(ours, published(2.0, 3.0), range(60), folds=folds, repeats=300).verdict

    told = sum(study() != "cannot tell" for _ in range(200))
    assert told <= 0.07 * 200


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_figures_of_seeds_alone_are_seldom_in_an_order(seeds: int) -> None:
    rng = np.random.default_rng(0)

    def study() -> str:
        ours = {name: rng.normal(0, 1, (seeds, 1)) for name in ("row 0", "row 1")}
        return order_told(ours, published(2.0, 3.0), "s", repeats=500).verdict

    told = sum(study() != "cannot tell" for _ in range(200))
    assert told <= 0.07 * 200
