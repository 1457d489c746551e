import pytest

from contrasweep.services.sweep_page.intervals import mean_interval


def test_one_seed_has_no_interval() -> None:
    assert mean_interval([5.0]) == (5.0, 5.0, 5.0)


def test_the_interval_of_three_is_student_s() -> None:
    mean, low, high = mean_interval([1.0, 2.0, 3.0])
    assert (mean, high - mean) == pytest.approx((2.0, 4.303 / 3**0.5), abs=1e-3)
    assert mean - low == pytest.approx(high - mean)
