from pathlib import Path

import numpy as np
import pytest

from contrasweep.services.sweep_page.importance import FEWEST, importances
from tests.services.past import EPOCHS, leave
from tests.services.sweep_page.left import Left, study


def leave_many(left: Left, count: int, epochs: int = EPOCHS) -> None:
    """Configurations whose objective is their temperature, whatever their sigma."""
    rng = np.random.default_rng(0)
    for number in range(count):
        temperature, sigma = rng.uniform(0, 1, 2).tolist()
        seeds = {seed: [9.0 + temperature] * epochs for seed in (0, 1, 2)}
        params = {"temperature": temperature, "sigma": sigma, "variant": "paper"}
        leave(left.sweep, number, seeds, params=params)


def test_what_decides_has_the_larger_share(tmp_path: Path) -> None:
    left = Left(tmp_path, study())
    leave_many(left, 3 * FEWEST)
    (one,) = importances(left.content())
    assert (one.method, one.count, one.compared) == ("dynlocrep", 3 * FEWEST, "complete")
    assert list(one.shares) == ["temperature", "sigma"], "and nothing of what is the same in all"
    assert one.shares["temperature"] > 0.8
    assert sum(one.shares.values()) == pytest.approx(1)


def test_few_say_nothing(tmp_path: Path) -> None:
    left = Left(tmp_path, study())
    leave_many(left, FEWEST - 1)
    (one,) = importances(left.content())
    assert one.count == FEWEST - 1 and not one.shares


def test_where_racing_left_few_whole_all_are_compared_before_it_began(tmp_path: Path) -> None:
    left = Left(tmp_path, study(racing={"rungs": [2]}))
    leave_many(left, FEWEST, epochs=2)
    (one,) = importances(left.content())
    assert one.compared.startswith("that ran seed 0 for 2 epochs")
    assert one.count == FEWEST and one.shares["temperature"] > 0.7


def test_a_sweep_that_searches_nothing_has_none(tmp_path: Path) -> None:
    left = Left(tmp_path, study())
    leave(left.sweep, 0, {0: [9.0] * EPOCHS}, params={"variant": "paper"})
    assert importances(left.content()) == []
