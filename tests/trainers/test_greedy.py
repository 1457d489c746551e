"""Ensembles of runs: never worse where they were chosen, and better for others where errors differ."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contrasweep.trainers.errors import UserError
from contrasweep.trainers.greedy import Error, greedy_weights
from contrasweep.trainers.metrics import mae, mse


def sweep(rng: np.random.Generator, people: int, trials: int, seeds: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and what runs say [trials * seeds, people]: errors in common, of the trial and of the seed."""
    y, common = rng.uniform(20, 85, people), rng.normal(0, 4, people)
    said = []
    for _ in range(trials):
        skill, own = rng.gamma(2, 1.2), rng.normal(0, 3, people)
        shrinkage = rng.uniform(0.6, 0.95)
        drawn = y.mean() + shrinkage * (y - y.mean()) + common + own
        said += [drawn + rng.normal(0, 1.5 + skill, people) for _ in range(seeds)]
    return y, np.array(said)


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(1, 5), st.sampled_from([mae, mse]))
def test_never_worse_than_the_best_run_on_what_chose_it(seed: int, runs: int, members: int, error: Error) -> None:
    rng = np.random.default_rng(seed)
    y, said = rng.normal(size=20), rng.normal(size=(runs, 20))
    weights = greedy_weights(said, y, members, error)
    assert weights.sum() == pytest.approx(1) and (weights >= 0).all()
    assert np.count_nonzero(weights) <= members
    assert float(error(y, weights @ said)) <= float(error(y, said).min()) + 1e-12
    assert (greedy_weights(said, y, members, error) == weights).all()


def test_never_worse_than_a_rival_of_more_runs_than_it_may_have() -> None:
    y = np.arange(30.0)
    said = y + np.random.default_rng(0).normal(0, 5, (8, 30))
    rival = np.full(8, 1 / 8)
    assert greedy_weights(said, y, members=1, rival=rival).tolist() == rival.tolist()
    poor = np.eye(8)[np.argmax(mae(y, said))]
    assert (greedy_weights(said, y, members=3, rival=poor) == greedy_weights(said, y, members=3)).all()


def test_other_people_gain() -> None:
    gains, of_trial = [], []
    for seed in range(6):
        y, said = sweep(np.random.default_rng(seed), 1100, 20, 3)
        weights = greedy_weights(said[:, :150], y[:150])
        chosen = mae(y[:150], said[:, :150])
        trial = said.reshape(20, 3, -1)[np.argmin(chosen.reshape(20, 3).mean(1))].mean(0)
        ensemble = mae(y[150:], weights @ said[:, 150:])
        gains.append(ensemble / mae(y[150:], said[np.argmin(chosen), 150:]))
        of_trial.append(ensemble / mae(y[150:], trial[150:]))
    assert np.mean(gains) < 0.9
    assert np.mean(of_trial) < 0.95


def test_runs_that_err_apart_are_taken_together_and_the_useless_left_out() -> None:
    y = np.arange(40.0)
    up = np.where(np.arange(40) % 2, 2.0, -2.0)
    weights = greedy_weights([y + up, y - up, y + 30, 0 * y], y)
    assert weights[:2] == pytest.approx(0.5, abs=0.2)
    assert weights[2:].max() < 0.1


def test_a_run_without_all_its_folds_is_no_candidate() -> None:
    y = np.arange(10.0)
    said = np.stack([np.where(y < 5, y, np.nan), y + 1])
    assert greedy_weights(said, y).tolist() == [0, 1]
    with pytest.raises(UserError, match="none of 1 runs has a prediction of every validation scan"):
        greedy_weights(said[:1], y)
