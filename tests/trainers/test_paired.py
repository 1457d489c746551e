import numpy as np
import pytest

from contrasweep.trainers.metrics import bootstrap
from contrasweep.trainers.paired import paired_difference


def test_it_is_the_bootstrap_of_the_differences() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.uniform(5, 9, 50), rng.uniform(2, 4, 50)
    found = paired_difference(one, other, range(50))
    plain = bootstrap(np.zeros(50), [one - other])["mae"]
    assert found.value == pytest.approx(plain.value)
    assert [found.low, found.high] == pytest.approx([plain.low, plain.high], abs=0.1)


def test_scans_of_a_subject_are_drawn_together() -> None:
    """Resamples are of one of two subjects, of the other, or of both."""
    found = paired_difference([1.0, 1.0, 1.0, 7.0], [0.0] * 4, "aaab")
    assert (found.value, found.low, found.high) == (2.5, 1.0, 7.0)
