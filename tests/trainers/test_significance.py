"""p of differences against formulas written out, statsmodels, and studies in which nothing differs."""

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from contrasweep.trainers.significance import crossed_p, holm

RNG = np.random.default_rng(0)


def test_where_runs_alone_vary_it_is_nadeau_and_bengios_corrected_t() -> None:
    """Ten times ten folds: each run leaves out n/10 of n people, and trains on 9 n/10."""
    differences = RNG.normal(0.3, 1.0, 100)
    people = 500
    left_out, trained_on = people / 10, people * 9 / 10
    mean = sum(differences) / 100
    variance = sum((one - mean) ** 2 for one in differences) / 99
    t = mean / math.sqrt((1 / 100 + left_out / trained_on) * variance)
    alike = np.tile(differences[:, None], 20)
    assert crossed_p(alike, range(20), folds=10) == pytest.approx(2 * (1 - stats.t.cdf(abs(t), df=99)))
    assert crossed_p(alike, range(20), folds=10) > crossed_p(alike, range(20))


def test_of_one_seed_it_is_the_paired_t_test() -> None:
    one, other = RNG.normal(size=(2, 30))
    assert crossed_p(one - other, range(30)) == pytest.approx(stats.ttest_rel(one, other).pvalue)


def test_scans_of_a_subject_count_once() -> None:
    differences = RNG.normal(size=20)
    thrice, whose = np.tile(differences, 3), np.tile(np.arange(20), 3).tolist()
    assert crossed_p(thrice, whose) == pytest.approx(crossed_p(differences, range(20)))


def test_where_seeds_alone_vary_it_is_the_t_test_over_seeds() -> None:
    of_seeds = np.array([0.2, 0.5, 0.9])
    differences = of_seeds[:, None] + RNG.normal(0, 1e-6, (3, 40))
    assert crossed_p(differences, range(40)) == pytest.approx(stats.ttest_1samp(of_seeds, 0).pvalue, rel=1e-3)


def test_it_is_behrens_and_fishers() -> None:
    """As often as two errors that are drawn from both t distributions are together as large as the mean."""
    differences = RNG.normal(0.2, 1, (4, 25)) + RNG.normal(0, 0.3, (4, 1)) + RNG.normal(0, 0.5, 25)
    drawn = sum(
        stats.sem(differences.mean(axis)) * stats.t.rvs(count - 1, size=400_000, random_state=axis)
        for axis, count in ((0, 25), (1, 4))
    )
    expected = np.mean(np.abs(drawn) >= abs(differences.mean()))
    assert crossed_p(differences, range(25)) == pytest.approx(expected, abs=0.004)


@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize("seed_sd", [0.0, 0.1, 0.3, 0.6])
def test_where_nothing_differs_one_in_twenty_is_below_one_in_twenty(seed_sd: float, seeds: int) -> None:
    def study() -> float:
        own, subjects, rest = RNG.normal(0, seed_sd, (seeds, 1)), RNG.normal(0, 0.5, 60), RNG.normal(0, 1, (seeds, 60))
        return crossed_p(own + subjects + rest, range(60))

    below = sum(study() < 0.05 for _ in range(500))
    assert below <= stats.binom.ppf(0.999, 500, 0.05)


def test_what_cannot_vary_or_differ() -> None:
    assert crossed_p(np.zeros((2, 5)), range(5)) == crossed_p(np.zeros((4, 5)), range(5), folds=2) == 1
    assert crossed_p(np.full((2, 5), 0.5), range(5)) == 0
    assert math.isnan(crossed_p([[1.0, 2.0]], "aa"))


def test_holm_is_that_of_statsmodels() -> None:
    ps = [*RNG.uniform(0, 0.1, 10), 0.03, 0.03, 0.0, 1.0]
    np.testing.assert_allclose(holm(ps), multipletests(ps, method="holm")[1], rtol=1e-12)


def test_holm_leaves_out_what_is_unknown() -> None:
    first, unknown, last = holm([0.02, math.nan, 0.03])
    assert (first, last) == (0.04, 0.04) and math.isnan(unknown)
