import pytest

from services.text import count, duration, number, spread


@pytest.mark.parametrize(
    ("value", "text"),
    [(8, "8.000"), (0.18573, "0.1857"), (151, "151.0"), (9999.4, "9999"), (12345.6, "12,346"), (float("inf"), "–")],
)
def test_numbers_have_four_digits(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("mean", "sd", "text"),
    [
        (4.8134, 0.2, "4.81 ± 0.20"),
        (7.4049, 0.0412, "7.405 ± 0.041"),
        (120.0, 31.4, "120 ± 31"),
        (5.0, 0.0, "5.000 ± 0.000"),
    ],
)
def test_a_spread_has_two_digits_of_the_deviation(mean: float, sd: float, text: str) -> None:
    assert spread(mean, sd) == text


@pytest.mark.parametrize(
    ("hours", "text"), [(0.0125, "45 s"), (0.38, "23 min"), (1.6, "1.6 h"), (240, "10 d"), (1.49, "89 min")]
)
def test_durations_have_a_unit_of_their_size(hours: float, text: str) -> None:
    assert duration(hours) == text


def test_counts_agree_with_their_noun() -> None:
    assert (count(1, "epoch"), count(0, "epoch"), count(1200, "epoch")) == ("1 epoch", "0 epochs", "1,200 epochs")
