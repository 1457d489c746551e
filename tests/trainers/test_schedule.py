import math
from typing import Any

import pytest

from contrasweep.trainers.config import TrainingConfig
from contrasweep.trainers.schedule import learning_rate


def rates(**training: Any) -> list[float]:
    config = TrainingConfig(**{"lr": 1.0, **training})
    return [learning_rate(config, epoch) for epoch in range(config.epochs)]


def test_step_multiplies_every_few_epochs() -> None:
    assert rates(epochs=6, schedule="step", step_epochs=2, step_factor=0.1) == pytest.approx(
        [1, 1, 0.1, 0.1, 0.01, 0.01]
    )


def test_step_is_the_papers_by_default() -> None:
    dynlocrep = TrainingConfig()
    assert [learning_rate(dynlocrep, epoch) for epoch in (0, 9, 10, 49)] == pytest.approx(
        [1e-4, 1e-4, 0.9e-4, 0.6561e-4]
    )


def test_cosine_falls_from_the_rate_to_nearly_zero() -> None:
    half = math.sqrt(0.5)
    expected = [1, (1 + half) / 2, 0.5, (1 - half) / 2]
    assert rates(epochs=4, schedule="cosine") == pytest.approx(expected)


def test_cosine_begins_after_the_warmup() -> None:
    expected = [0.5, 1.0, 1.0, 0.75, 0.25]
    assert rates(epochs=5, schedule="cosine", warmup_epochs=2) == pytest.approx(expected)


def test_warmup_is_linear_and_reaches_the_rate() -> None:
    expected = [0.025, 0.05, 0.075, 0.1, 0.1]
    assert rates(epochs=5, lr=0.1, schedule="step", step_epochs=10, warmup_epochs=4) == pytest.approx(expected)


def test_steps_are_counted_from_the_first_epoch() -> None:
    assert rates(epochs=4, step_epochs=1, step_factor=0.5, warmup_epochs=2) == pytest.approx([0.5, 1, 0.25, 0.125])
