"""What a step takes, measured on noise."""

import pytest

from contrasweep.trainers import rehearsal
from contrasweep.trainers.config import ModelConfig, TrainingConfig
from contrasweep.trainers.rehearsal import Rehearsal, rehearse, step_seconds

NETWORK = ModelConfig(encoder="mlp", spatial_dims=1, width=0.1, head_hidden=8, embedding=4)
TRAINING = TrainingConfig(batch_size=8, gpus_per_worker=1, precision="bf16")


def test_a_step_and_its_checkpoints_are_measured() -> None:
    """Also of a training that asks for a GPU where there is none."""
    measured = rehearse(NETWORK, TRAINING, (2, 9))
    assert measured.scan_s > 0 and measured.step_s > 0
    assert measured.checkpoint_bytes > measured.weights_bytes > 1000


def test_a_step_with_one_view_is_measured() -> None:
    assert rehearse(NETWORK, TRAINING.model_copy(update={"views": 1}), (2, 9)).step_s > 0


def test_a_step_that_is_slow_from_the_beginning_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def measured(model: ModelConfig, training: TrainingConfig, shape: tuple[int, ...]) -> Rehearsal:
        seen.append(shape)
        return Rehearsal(3.0, 0, 0.0)

    monkeypatch.setattr(rehearsal, "rehearse", measured)
    assert step_seconds(NETWORK, TRAINING, (1, 64)) == pytest.approx(3.0 * 8 * 64 / (2 * 32))
    assert len(seen) == 1


def test_a_quick_step_is_measured_whole_and_a_slow_one_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step takes a tenth of a second, and a millionth for each value of the batch."""
    seen = []

    def measured(model: ModelConfig, training: TrainingConfig, shape: tuple[int, ...]) -> Rehearsal:
        values = training.batch_size * shape[0] * shape[1] * shape[2]
        seen.append(values)
        return Rehearsal(0.1 + 1e-6 * values, 0, 0.0)

    monkeypatch.setattr(rehearsal, "rehearse", measured)
    assert step_seconds(NETWORK, TRAINING, (1, 40, 40)) == pytest.approx(0.1 + 1e-6 * 8 * 1600)
    assert seen[-1] == 8 * 1600
    seen.clear()
    assert step_seconds(NETWORK, TRAINING, (1, 4000, 4000)) == pytest.approx(0.1 + 8 * 16)
    assert seen[-1] < 8 * 16e6 / 100
