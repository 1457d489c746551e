"""What runs predict together, whoever adds it up."""

import numpy as np
import pytest

from contrasweep.trainers.weighted import weighted_mean


@pytest.mark.parametrize("weighted", [False, True])
def test_one_scan_is_what_it_is_among_many_to_the_last_bit(weighted: bool) -> None:
    rng = np.random.default_rng(0)
    said = {run: rng.normal(60, 10, 40) for run in range(19)}
    weights = dict(enumerate(rng.dirichlet(np.ones(19)).tolist())) if weighted else {}
    together = weighted_mean(said, weights)
    alone = [weighted_mean({run: float(of[scan]) for run, of in said.items()}, weights) for scan in range(40)]
    assert together.tolist() == alone
    assert together == pytest.approx(np.average(list(said.values()), axis=0, weights=list(weights.values()) or None))


def test_where_all_count_alike_it_is_the_mean() -> None:
    said = {run: np.array(values) for run, values in enumerate(([0.1, 0.7], [0.2, 1e9], [0.4, -3.0]))}
    assert weighted_mean(said, {}).tolist() == np.mean(list(said.values()), axis=0).tolist()
