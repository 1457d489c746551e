from dataclasses import asdict

import numpy as np
import pytest
import torch

from contrasweep.trainers.covariates import Cells, Covariates, beside

TRAINING: list[Cells] = [{"tiv": 10.0, "site": "B"}, {"tiv": 20.0, "site": "A"}, {"tiv": 60.0, "site": "B"}]


def test_the_training_split_has_mean_0_and_sd_1_in_every_number() -> None:
    told = Covariates.fit(["tiv", "site"], TRAINING).encode(TRAINING)
    assert told.shape == (3, 3), "a number and two sites"
    assert told.dtype == np.float32
    np.testing.assert_allclose(told.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(told.std(0), 1, rtol=1e-6)


def test_other_scans_are_told_on_the_training_splits_scale() -> None:
    told = Covariates.fit(["tiv"], TRAINING).encode([{"tiv": 30.0}, {"tiv": 30.0 + float(np.std([10, 20, 60]))}])
    np.testing.assert_allclose(told, [[0], [1]], atol=1e-6)


def test_categories_are_equally_far_apart_whatever_their_names() -> None:
    sites: list[Cells] = [{"site": site} for site in "ABCABC"]
    told = Covariates.fit(["site"], sites).encode(sites[:3])
    assert {round(float(np.linalg.norm(told[a] - told[b])), 5) for a, b in ((0, 1), (0, 2), (1, 2))} == {3.0}


def test_a_category_that_training_has_not_is_told_as_the_mean() -> None:
    told = Covariates.fit(["tiv", "site"], TRAINING).encode([{"tiv": 60.0, "site": "C"}])
    assert told[0, 0] > 1
    assert told[0, 1:].tolist() == [0, 0]


def test_a_column_that_is_constant_in_training_stays_finite() -> None:
    told = Covariates.fit(["tiv"], [{"tiv": 5.0}] * 3)
    assert told.encode([{"tiv": 5.0}, {"tiv": 7.0}]).tolist() == [[0], [2]]


def test_what_a_checkpoint_keeps_is_enough() -> None:
    fitted = Covariates.fit(["tiv", "site"], TRAINING)
    state = asdict(fitted)
    assert Covariates.of({**state, "mean": list(state["mean"])}) == fitted
    assert len(fitted) == 3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_covariates_stand_behind_the_features(dtype: torch.dtype) -> None:
    features = torch.ones(2, 3, dtype=dtype)
    both = beside(features, torch.tensor([[5.0], [6.0]]))
    assert both.dtype == dtype
    assert both[:, 3].tolist() == [5, 6]
    assert beside(features, None) is features
