import numpy as np
import pytest

from contrasweep.trainers.baselines import Scans, Training
from contrasweep.trainers.baselines._components import principal_components
from contrasweep.trainers.baselines.base import tuned


def training(subjects: list[int], voxels: int = 4) -> Training:
    rng = np.random.default_rng(0)
    images = rng.normal(size=(len(subjects), voxels)).astype(np.float32)
    return Training(Scans(images, [{}] * len(subjects)), rng.uniform(20, 80, len(subjects)), subjects)


@pytest.mark.parametrize("subjects", [[0, 0, 0, 1, 1, 2], [row // 3 for row in range(30)]])
def test_no_subject_is_on_two_sides_and_everyone_is_in_one_fold(subjects: list[int]) -> None:
    folds = training(subjects).folds
    assert len(folds) == min(5, len(set(subjects)))
    assert sorted(row for _, inside in folds for row in inside) == list(range(len(subjects)))
    for outside, inside in folds:
        assert not {subjects[row] for row in outside} & {subjects[row] for row in inside}


def test_components_of_a_fold_are_learned_without_it() -> None:
    given = training([*range(10)])
    (outside, inside), (known, held_out) = given.folds[0], given.components.folds[0]
    encode = principal_components(given.scans.voxels[outside], 0)
    np.testing.assert_allclose(known, encode(given.scans.voxels[outside]))
    np.testing.assert_allclose(held_out, encode(given.scans.voxels[inside]))


def test_scores_are_those_of_a_singular_value_decomposition() -> None:
    voxels = np.random.default_rng(0).normal(size=(20, 6)).astype(np.float32) * [5, 4, 3, 2, 1, 0.5]
    scores = principal_components(voxels.astype(np.float32), 0)(voxels.astype(np.float32))
    left, sizes, _ = np.linalg.svd(voxels - voxels.mean(0), full_matrices=False)
    expected = left * sizes / (sizes[0] / np.sqrt(19))
    np.testing.assert_allclose(abs(scores), abs(expected), atol=1e-4)


class Always:
    """A regressor that predicts what it is told to."""

    def __init__(self, value: float) -> None:
        self.value = value

    def fit(self, _features: object, _labels: object) -> "Always":
        return self

    def predict(self, features: np.ndarray) -> np.ndarray:
        return np.full(len(features), self.value)


def test_the_candidate_with_the_least_cross_validated_error_is_fitted() -> None:
    given = training([*range(10)])
    fitted = tuned(given, given.components, [Always(0.0), Always(50.0), Always(90.0)])
    assert fitted.predict(given.scans).tolist() == [50.0] * 10
    assert fitted.cross_validated_mae == pytest.approx(abs(given.labels - 50).mean())


def test_some_of_the_scans() -> None:
    given = training([*range(30)])
    some, own = given.some(12), dict(zip(given.subjects, given.labels.tolist(), strict=True))
    assert len(some.scans) == len(some.labels) == len({*some.subjects}) == 12
    assert [own[subject] for subject in some.subjects] == some.labels.tolist()
    assert given.some(30) is given
