"""What every registered baseline must do; a new one inherits all of it."""

import numpy as np
import pytest
from numpy.typing import NDArray

from contrasweep.trainers import baselines
from contrasweep.trainers.baselines import Fitted, Scans, Training
from contrasweep.trainers.errors import UserError

PEOPLE, HELD_OUT = 60, 40


def planted(*, voxels: int = 30, constant: bool = False) -> tuple[Scans, NDArray[np.float64]]:
    """Scans whose voxels and cells follow their labels; held-out ones come last."""
    rng = np.random.default_rng(0)
    labels = rng.uniform(20, 80, PEOPLE + HELD_OUT)
    pattern = rng.normal(size=voxels)
    images = 100 + (labels[:, None] - 50) / 18 * pattern + 0.3 * rng.normal(size=(len(labels), voxels))
    if constant:
        images = np.full_like(images, 7.0)
    cells = [{"tiv": label + rng.normal(0, 5), "sex": "FM"[row % 2]} for row, label in enumerate(labels)]
    return Scans(images.astype(np.float32), cells), labels


def split(scans: Scans, labels: NDArray[np.float64], scans_each: int = 1) -> tuple[Training, Scans]:
    """What to fit on, `scans_each` of a subject, and the scans that are held out."""
    subjects = [row // scans_each for row in range(PEOPLE)]
    known, others = np.arange(PEOPLE), np.arange(PEOPLE, len(scans))
    return Training(scans.at(known), labels[known], subjects), scans.at(others)


def fit(name: str, training: Training) -> Fitted:
    fitted = baselines.build(name).fit(training)
    assert fitted is not None
    return fitted


@pytest.fixture(params=baselines.names())
def name(request: pytest.FixtureRequest) -> str:
    """Every registered baseline in turn."""
    return str(request.param)


def test_all_baselines_are_found_and_titles_differ() -> None:
    names = baselines.names()
    assert {"predict_mean", "predict_median", "covariates", "pca_ridge", "pca_svr"} <= set(names)
    assert len({baselines.build(name).title for name in names}) == len(names)


def test_held_out_scans_are_predicted_about_as_well_as_cross_validation_says(name: str) -> None:
    scans, labels = planted()
    training, others = split(scans, labels)
    fitted = fit(name, training)
    predicted = fitted.predict(others)
    assert predicted.shape == (HELD_OUT,) and predicted.dtype == np.float64
    error, guess = (abs(told - labels[PEOPLE:]).mean() for told in (predicted, labels[:PEOPLE].mean()))
    assert error <= 1.02 * guess
    assert fitted.cross_validated_mae == pytest.approx(error, rel=0.35)


def test_same_seed_same_predictions(name: str) -> None:
    scans, labels = planted()
    one, other = (fit(name, split(scans, labels)[0]).predict(scans) for _ in range(2))
    np.testing.assert_array_equal(one, other)


def test_images_and_cells_that_are_all_alike(name: str) -> None:
    scans, labels = planted(constant=True)
    scans = Scans(scans.voxels, [{"sex": "F"}] * len(scans))
    predicted = fit(name, split(scans, labels)[0]).predict(scans)
    assert np.ptp(predicted) == pytest.approx(0, abs=1e-9)
    assert labels[:PEOPLE].min() < predicted[0] < labels[:PEOPLE].max()


@pytest.mark.parametrize("people", [1, 2, 3])
def test_few_people(name: str, people: int) -> None:
    scans, labels = planted()
    rows = np.arange(people)
    fitted = fit(name, Training(scans.at(rows), labels[rows], [*rows]))
    assert np.isfinite(fitted.predict(scans)).all()
    assert np.isnan(fitted.cross_validated_mae) == (people == 1)


def test_one_constant_label(name: str) -> None:
    scans, labels = planted()
    training, others = split(scans, np.full_like(labels, 71.0))
    np.testing.assert_allclose(fit(name, training).predict(others), 71.0, rtol=1e-6)


def test_categories_and_columns_that_training_has_not(name: str) -> None:
    scans, labels = planted()
    described = Scans(scans.voxels, [{"site": "AB"[row % 2]} for row in range(len(scans))])
    fitted = fit(name, split(described, labels)[0])
    assert np.isfinite(fitted.predict(Scans(scans.voxels, [{"site": "Z"}, {}] * (len(scans) // 2)))).all()


def test_without_cells_only_what_reads_none_is_fitted() -> None:
    scans, labels = planted()
    training, _ = split(Scans(scans.voxels, [{}] * len(scans)), labels)
    assert {*baselines.fit_all(training)} == {*baselines.names()} - {"covariates"}


def test_an_unknown_baseline() -> None:
    with pytest.raises(UserError, match="unknown baseline 'pca_rigde'; did you mean 'pca_ridge'"):
        baselines.build("pca_rigde")
