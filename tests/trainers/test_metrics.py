import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as reference

from contrasweep.trainers.metrics import METRICS, bootstrap, geometric_mean, mae, mse, pearson, r2, shot_mae


@pytest.fixture
def sample() -> tuple[np.ndarray, np.ndarray]:
    draws = np.random.default_rng(3)
    y = draws.normal(50, 20, 40)
    return y, y + draws.normal(0, 6, (3, 40))


def test_metrics_agree_with_scikit_learn_and_scipy(sample: tuple[np.ndarray, np.ndarray]) -> None:
    y, predictions = sample
    for prediction in predictions:
        assert float(mae(y, prediction)) == pytest.approx(reference.mean_absolute_error(y, prediction), rel=1e-12)
        assert float(mse(y, prediction)) == pytest.approx(reference.mean_squared_error(y, prediction), rel=1e-12)
        assert float(r2(y, prediction)) == pytest.approx(reference.r2_score(y, prediction), rel=1e-12)
        assert float(pearson(y, prediction)) == pytest.approx(stats.pearsonr(y, prediction).statistic, rel=1e-12)
        assert float(geometric_mean(y, prediction)) == pytest.approx(stats.gmean(np.abs(y - prediction)), rel=1e-8)


def test_one_exact_prediction_does_not_make_the_geometric_mean_zero() -> None:
    assert float(geometric_mean([1.0, 2.0], [1.0, 3.0])) == pytest.approx(math.sqrt(1e-10), rel=1e-6)


@pytest.mark.parametrize("name", sorted(METRICS))
def test_metrics_reduce_the_last_axis_alone(name: str, sample: tuple[np.ndarray, np.ndarray]) -> None:
    y, predictions = sample
    together = METRICS[name](y, predictions)
    assert together.shape == (3,)
    assert together.tolist() == pytest.approx([float(METRICS[name](y, row)) for row in predictions])


@given(st.floats(-1e6, 1e6), st.integers(2, 9))
def test_correlation_and_r2_of_a_constant_are_undefined(constant: float, count: int) -> None:
    ramp, flat = np.arange(float(count)), np.full(count, constant)
    assert math.isnan(float(pearson(ramp, flat)))
    assert math.isnan(float(pearson(flat, ramp)))
    assert math.isnan(float(r2(flat, ramp)))
    assert math.isfinite(float(r2(ramp, flat)))


def test_bootstrap_equals_a_plain_loop_over_resamples(sample: tuple[np.ndarray, np.ndarray]) -> None:
    y, predictions = sample
    found = bootstrap(y, predictions, repeats=50, seed=7)
    draws = np.random.default_rng(7).integers(40, size=(50, 40))
    for name, metric in METRICS.items():
        plain = [np.mean([float(metric(y[rows], one[rows])) for one in predictions]) for rows in draws]
        assert found[name].value == pytest.approx(np.mean([float(metric(y, one)) for one in predictions]))
        assert (found[name].low, found[name].high) == pytest.approx(tuple(np.percentile(plain, [2.5, 97.5])))


def test_bootstrap_interval_covers_the_true_error() -> None:
    # |N(0, 1)| has the mean sqrt(2 / pi); 95 % intervals of 100 subjects cover it in about 93 of 100 experiments.
    covered = 0
    for experiment in range(100):
        errors = np.random.default_rng(experiment).normal(size=100)
        interval = bootstrap(np.zeros(100), errors[None], repeats=300, seed=experiment)["mae"]
        covered += interval.low <= math.sqrt(2 / math.pi) <= interval.high
    assert 86 <= covered <= 99


def test_bootstrap_in_blocks_is_the_bootstrap(
    sample: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = bootstrap(*sample, repeats=100)
    monkeypatch.setattr("contrasweep.trainers.metrics._BLOCK_BYTES", 5000)
    assert bootstrap(*sample, repeats=100) == whole


def test_bootstrap_leaves_out_resamples_without_a_correlation() -> None:
    # Of two subjects, half the resamples draw one of them twice.
    interval = bootstrap([1.0, 2.0], [[1.5, 1.7]], repeats=64)["pearson"]
    assert (interval.value, interval.low, interval.high) == pytest.approx((1.0, 1.0, 1.0))


def test_bootstrap_of_an_undefined_metric_is_nan_and_not_an_error() -> None:
    interval = bootstrap([1.0, 2.0, 3.0], [[2.0, 2.0, 2.0]], repeats=16)["pearson"]
    assert all(map(math.isnan, (interval.value, interval.low, interval.high)))


def test_clusters_of_one_are_the_bootstrap_of_subjects(sample: tuple[np.ndarray, np.ndarray]) -> None:
    names = [f"sub-{place:02d}" for place in reversed(range(40))]
    assert bootstrap(*sample, repeats=50, clusters=names) == bootstrap(*sample, repeats=50)


@given(st.lists(st.integers(0, 5), min_size=4, max_size=20))
def test_bootstrap_of_clusters_is_a_plain_loop_over_drawn_clusters(whose: list[int]) -> None:
    y = np.random.default_rng(1).normal(size=len(whose))
    predictions = y + np.random.default_rng(2).normal(size=(2, len(whose)))
    scans = {subject: [row for row, other in enumerate(whose) if other == subject] for subject in dict.fromkeys(whose)}
    draws = np.random.default_rng(0).integers(len(scans), size=(30, len(scans)))
    errors = []
    for drawn in draws:
        rows = [row for one in drawn for row in list(scans.values())[one]]
        errors.append(np.mean(np.abs(y[rows] - predictions[:, rows])))
    found = bootstrap(y, predictions, repeats=30, clusters=whose)["mae"]
    assert (found.low, found.high) == pytest.approx(tuple(np.percentile(errors, [2.5, 97.5])))
    assert found.value == pytest.approx(np.mean(np.abs(y - predictions)))


def test_a_subject_scanned_often_is_not_many_subjects() -> None:
    errors = np.random.default_rng(0).normal(size=30)
    often = np.repeat(errors, 9)
    once = bootstrap(np.zeros(30), errors[None])["mae"]
    nine_times = bootstrap(np.zeros(270), often[None], clusters=list(np.repeat(np.arange(30), 9)))["mae"]
    assert (nine_times.low, nine_times.high) == pytest.approx((once.low, once.high))
    assert bootstrap(np.zeros(270), often[None])["mae"].high < once.high


@pytest.mark.parametrize("bin_size", [1.0, 2.5])
def test_shot_mae_is_a_plain_loop_over_subjects(bin_size: float) -> None:
    draws = np.random.default_rng(0)
    train_labels, y = draws.gamma(9.0, 4.0, 2000), draws.uniform(0, 90, 200)
    predictions = y + draws.normal(size=200)
    errors: dict[str, list[float]] = {"many": [], "medium": [], "few": []}
    for label, prediction in zip(y, predictions, strict=True):
        low = math.floor(label / bin_size) * bin_size
        shots = sum(low <= other < low + bin_size for other in train_labels)
        errors["many" if shots > 100 else "few" if shots < 20 else "medium"].append(abs(label - prediction))
    expected = {region: np.mean(values) for region, values in errors.items() if values}
    assert shot_mae(y, predictions, train_labels, bin_size) == pytest.approx(expected)
    assert expected.keys() >= {"medium", "few"}


@pytest.mark.parametrize(("shots", "region"), [(19, "few"), (20, "medium"), (100, "medium"), (101, "many")])
def test_bounds_of_the_shot_regions(shots: int, region: str) -> None:
    assert shot_mae([30.2], [31.2], [30.9] * shots) == {region: pytest.approx(1.0)}


def test_shot_mae_of_several_seeds_is_their_mean() -> None:
    assert shot_mae([30.2], [[31.2], [33.2]], [30.9] * 101) == {"many": pytest.approx(2.0)}


def test_shot_mae_of_small_label_units_has_bins_of_their_size() -> None:
    """SUVR from 0.5 to 2.5: one bin a unit would make every label frequent."""
    train = np.concatenate([np.full(150, 1.0), [0.5, 2.5]])
    assert shot_mae([1.0, 2.5], [1.1, 2.7], train) == {"many": pytest.approx(0.1), "few": pytest.approx(0.2)}
