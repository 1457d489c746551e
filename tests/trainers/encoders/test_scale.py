import pytest

from contrasweep.trainers.encoders._scale import scaled


@pytest.mark.parametrize(
    ("factor", "expected"), [(1, [3, 4, 6, 3]), (2, [6, 8, 12, 6]), (0.75, [2, 3, 4, 2]), (0.01, [1, 1, 1, 1])]
)
def test_counts_are_rounded_and_never_nothing(factor: float, expected: list[int]) -> None:
    assert scaled((3, 4, 6, 3), factor) == expected
