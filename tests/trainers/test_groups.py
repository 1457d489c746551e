"""Errors of groups, by hand and against the objectives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contrasweep.trainers.groups import FEW, errors_by_group, label_bands
from contrasweep.trainers.metrics import bootstrap
from contrasweep.trainers.objectives import OBJECTIVES, Judged


@pytest.fixture
def sample() -> tuple[np.ndarray, np.ndarray, list[str]]:
    rng = np.random.default_rng(0)
    y = rng.uniform(20, 80, 90)
    return y, y + rng.normal(1, 4, (3, 90)), ["F"] * 50 + ["M"] * 30 + ["n/a"] * 10


def test_each_group_has_the_figures_of_its_scans_alone(sample: tuple[np.ndarray, np.ndarray, list[str]]) -> None:
    y, said, sex = sample
    women, men, unknown = errors_by_group(said, y, sex, repeats=200)
    assert [one.group for one in (women, men, unknown)] == ["F", "M", "n/a"]
    assert (women.scans, men.scans, unknown.scans) == (50, 30, 10)
    assert [one.few for one in (women, men, unknown)] == [False, False, True]
    expected = bootstrap(y[50:80], said[:, 50:80], repeats=200)["mae"]
    np.testing.assert_allclose(
        (men.mae.value, men.mae.low, men.mae.high), (expected.value, expected.low, expected.high)
    )
    assert men.bias.value == pytest.approx(np.mean(said[:, 50:80] - y[50:80]))
    assert men.bias.low < men.bias.value < men.bias.high


def test_the_worst_group_is_that_of_the_objective(sample: tuple[np.ndarray, np.ndarray, list[str]]) -> None:
    y, said, sex = sample
    measure = OBJECTIVES["worst_group_mae"].measure
    groups = np.unique(sex, return_inverse=True)[1]
    worst = max(one.mae.value for one in errors_by_group(said[0], y, sex, repeats=2))
    assert measure and worst == pytest.approx(measure(Judged(y, said[0], groups, np.empty((90, 0)))))


def test_a_person_scanned_often_is_one_person(sample: tuple[np.ndarray, np.ndarray, list[str]]) -> None:
    y, said, _ = sample
    whose = np.repeat(np.arange(FEW - 1), 4).tolist()
    (one,) = errors_by_group(said[0, : len(whose)], y[: len(whose)], ["x"] * len(whose), whose, repeats=50)
    assert (one.scans, one.subjects, one.few) == (4 * (FEW - 1), FEW - 1, True)


def test_bias_is_signed() -> None:
    old, young = errors_by_group([60.0, 70.0, 30.0], [70.0, 80.0, 20.0], ["old", "old", "young"])
    assert (old.group, old.bias.value, young.group, young.bias.value) == ("old", -10, "young", 10)


@given(st.lists(st.floats(0, 100), min_size=3, max_size=60, unique=True))
def test_bands_are_thirds_in_the_order_of_labels(labels: list[float]) -> None:
    bands = label_bands(labels)
    counts = [bands.count(band) for band in dict.fromkeys(bands)]
    assert max(counts) - min(counts) <= 1 and len(counts) == 3
    lower = [label for label, band in zip(labels, bands, strict=True) if band.startswith("below")]
    assert max(lower) < min(set(labels) - set(lower))


def test_any_number_of_bands() -> None:
    assert label_bands([10.0, 20.0, 30.0, 40.0, 50.0], 5) == [
        "below 18", "18 to 26", "26 to 34", "34 to 42", "42 and above"
    ]  # fmt: skip
    assert label_bands([1.0, 2.0, 3.0, 4.0], 2) == ["below 2.5", "below 2.5", "2.5 and above", "2.5 and above"]
