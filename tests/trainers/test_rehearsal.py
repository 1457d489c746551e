"""What a step takes, measured on noise."""

import pytest

from contrasweep.trainers import rehearsal
from contrasweep.trainers.config import ModelConfig, TrainingConfig
from contrasweep.trainers.rehearsal import SUSTAINED_TFLOPS, Rehearsal, forward_flops, reckon, rehearse, step_seconds

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


def test_the_operations_of_an_encoder_are_counted() -> None:
    network = ModelConfig(encoder="resnet18", spatial_dims=2, width=0.25)
    first = 2 * 16 * 3 * 7 * 7 * 32 * 32  # the 7 x 7 convolution of stride 2 from 3 channels to 16
    assert forward_flops(network, (3, 64, 64)) > first
    assert forward_flops(network, (3, 128, 128)) == pytest.approx(4 * forward_flops(network, (3, 64, 64)), rel=0.01)


def test_a_step_is_reckoned_for_a_gpu_by_what_its_batch_computes() -> None:
    reckoned = reckon(NETWORK, TRAINING, (2, 9))
    each = forward_flops(NETWORK, (2, 9)) / (SUSTAINED_TFLOPS * 1e12)
    assert reckoned.scan_s == each
    assert reckoned.step_s == pytest.approx(3 * each * 8 * TRAINING.views)
    assert reckoned.weights_bytes == rehearse(NETWORK, TRAINING, (2, 9)).weights_bytes
