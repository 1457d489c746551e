import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import curve_fit

from contrasweep.trainers.power_law import PowerLaw, fit_power_law

SIZES = [50, 100, 200, 400, 800]


@given(st.floats(0, 5), st.floats(1, 50), st.floats(0.2, 2))
def test_a_planted_law_is_found(a: float, b: float, c: float) -> None:
    planted = PowerLaw(a, b, c)
    found = fit_power_law(SIZES, planted.at(SIZES))
    np.testing.assert_allclose(found.at([50, 800, 1000]), planted.at([50, 800, 1000]), rtol=1e-3, atol=1e-3)


def test_with_noise_it_is_that_of_nonlinear_least_squares() -> None:
    errors = PowerLaw(2.0, 20.0, 0.5).at(SIZES) + np.array([0.05, -0.08, 0.06, -0.02, 0.01])
    expected, _ = curve_fit(lambda n, a, b, c: a + b * n**-c, np.array(SIZES, float), errors, (1.0, 10.0, 0.7))
    assert [*fit_power_law(SIZES, errors)] == pytest.approx([*expected], rel=1e-2)


def test_an_error_that_does_not_fall_is_a_constant() -> None:
    law = fit_power_law(SIZES, [3.0, 3.1, 3.0, 3.1, 3.2])
    assert law.at(50) == pytest.approx(3.08) and law.at(5000) == pytest.approx(3.08)
