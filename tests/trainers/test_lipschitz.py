"""Lipschitz factors by hand."""

import math

import numpy as np
import pytest

from contrasweep.trainers.lipschitz import lipschitz_factors, z_gap


def test_four_points_by_hand() -> None:
    """A rectangle of 2 by 4: both coordinates are standardised to -1 and 1, so that all four are corners of a square.

    Then each corner has two neighbours at distance 2, of which the first counts, and d is 2.
    """
    corners = [[0.0, 0.0], [0.0, 4.0], [2.0, 0.0], [2.0, 4.0]]
    factors = lipschitz_factors(corners, [10.0, 13.0, 17.0, 11.0], "abcd")
    gaps = np.array([3.0, 3.0, 7.0, 2.0])
    np.testing.assert_allclose(factors, math.sqrt(2) * gaps / 2)


def test_points_on_a_line_by_hand() -> None:
    """0, 1 and 3 have the variance 14/9; of the last the neighbour is the second."""
    factors = lipschitz_factors([[0.0], [1.0], [3.0]], [10.0, 12.0, 20.0], "abc")
    np.testing.assert_allclose(factors, math.sqrt(14 / 9) * np.array([2 / 1, 2 / 1, 8 / 2]))


def test_neither_the_scale_of_a_coordinate_nor_a_copy_of_it_changes_them() -> None:
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(700, 3)), rng.uniform(20, 80, 700)
    once = lipschitz_factors(features, labels, range(700))
    scaled = lipschitz_factors(features * [1, 10, 1000] + [5, 0, -3], labels, range(700))
    twice = lipschitz_factors(np.hstack([features, features]), labels, range(700))
    dead = lipschitz_factors(np.hstack([features, np.full((700, 9), 0.3)]), labels, range(700))
    for other in (scaled, twice, dead):
        np.testing.assert_allclose(other, once)


def test_the_neighbour_is_of_another_subject() -> None:
    factors = lipschitz_factors([[0.0], [0.1], [1.0]], [10.0, 50.0, 11.0], "aab")
    between = np.std([0.0, 0.1, 1.0])
    np.testing.assert_allclose(factors, between * np.array([1 / 1.0, 39 / 0.9, 39 / 0.9]))


def test_places_without_distance_have_none() -> None:
    factors = lipschitz_factors([[0.0], [0.0], [1.0]], [10.0, 50.0, 11.0], "abc")
    assert np.isnan(factors).tolist() == [True, True, False]
    assert np.isnan(lipschitz_factors(np.ones((3, 2)), [1.0, 2.0, 3.0], "abc")).all()
    assert np.isnan(lipschitz_factors([[0.0], [1.0]], [1.0, 2.0], "aa")).all()


def test_z_gap_by_hand() -> None:
    assert z_gap([1.0, 3.0, 5.0], [1.0, 2.0, math.nan]) == pytest.approx((3 - 1.5) / math.sqrt(8 / 3 + 1 / 4))
    assert math.isnan(z_gap([math.nan], [1.0])) and math.isnan(z_gap([1.0], [2.0]))
