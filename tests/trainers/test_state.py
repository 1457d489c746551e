"""One step of the optimiser, and the groups it works on."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from contrasweep.trainers import checkpoint
from contrasweep.trainers.probes.ridge import Ridge
from contrasweep.trainers.state import TrainState, parameter_groups
from tests.trainers import tiny

CPU = torch.device("cpu")


def start(folder: Path, **training: Any) -> TrainState:
    return TrainState.start(tiny.run(**training), tiny.feed(), folder, CPU)


def weights(module: nn.Module) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in module.parameters()]


def distance(state: TrainState, scale: float = 1.0) -> Tensor:
    """A loss whose gradient is `scale` in every parameter."""
    return scale * torch.stack([parameter.sum() for parameter in state.model.parameters()]).sum()


def test_biases_and_norms_have_no_decay() -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))
    groups = parameter_groups(network, 0.5)
    decayed, others = (group["params"] for group in groups)
    conv, norm, _, linear = network
    assert {id(p) for p in decayed} == {id(conv.weight), id(linear.weight)}
    assert {id(p) for p in others} == {id(p) for p in (conv.bias, norm.weight, norm.bias, linear.bias)}
    assert [group["weight_decay"] for group in groups] == [0.5, 0.0]


def test_every_parameter_is_optimised_once(tmp_path: Path) -> None:
    state = start(tmp_path, weight_decay=0.1)
    optimised = [id(p) for group in state.optimizer.param_groups for p in group["params"]]
    assert sorted(optimised) == sorted(id(p) for p in state.model.parameters())


def test_decay_acts_on_weights_alone(tmp_path: Path) -> None:
    """With no gradient from the loss, Adam moves by the rate whatever has decay and is not zero."""
    state = start(tmp_path, weight_decay=0.1)
    before = weights(state.model)
    state.begin_epoch(0.01)
    state.step(distance(state, scale=0.0))
    for old, new in zip(before, weights(state.model), strict=True):
        if old.ndim > 1:
            torch.testing.assert_close(new[old.abs() > 1e-3], (old - 0.01 * old.sign())[old.abs() > 1e-3])
        else:
            assert torch.equal(new, old)


@pytest.mark.parametrize("clip", [0.5, None])
def test_gradients_are_clipped_to_the_norm(clip: float | None, tmp_path: Path) -> None:
    state = start(tmp_path, clip_norm=clip)
    state.step(distance(state, scale=3.0))
    gradients = torch.cat([p.grad.flatten() for p in state.model.parameters() if p.grad is not None])
    expected = clip or 3.0 * len(gradients) ** 0.5
    assert float(gradients.norm()) == pytest.approx(expected, rel=1e-4)
    torch.testing.assert_close(gradients, gradients[:1].expand_as(gradients))


def test_gradients_below_the_norm_stay(tmp_path: Path) -> None:
    state = start(tmp_path, clip_norm=1e9)
    state.step(distance(state, scale=3.0))
    assert all(bool((p.grad == 3.0).all()) for p in state.model.parameters() if p.grad is not None)


def test_gradients_do_not_add_up_over_steps(tmp_path: Path) -> None:
    state = start(tmp_path, clip_norm=None)
    for _ in range(2):
        state.step(distance(state))
    assert all(bool((p.grad == 1.0).all()) for p in state.model.parameters() if p.grad is not None)


def test_the_rate_is_set_for_every_group(tmp_path: Path) -> None:
    state = start(tmp_path, weight_decay=0.0)
    before = weights(state.model)
    state.begin_epoch(0.25)
    state.step(distance(state))
    for old, new in zip(before, weights(state.model), strict=True):
        torch.testing.assert_close(new, old - 0.25, rtol=1e-4, atol=1e-4)
    assert state.model.training


def test_the_average_follows_the_weights(tmp_path: Path) -> None:
    """The first step is copied; then average <- 0.9 * average + 0.1 * weights. Buffers are the latest."""
    state = start(tmp_path, ema=0.9)
    state.begin_epoch(0.1)
    steps = []
    for _ in range(3):
        state.step(state.network(torch.randn(8, *tiny.IMAGE_SHAPE)).output.square().sum())
        steps.append(weights(state.model))
    first, second, third = steps
    for average, a, b, c in zip(weights(state.evaluated), first, second, third, strict=True):
        after_two = (2 * a + 9 * b) / 11  # decays (1 + n) / (10 + n), below 0.9 for so few steps
        torch.testing.assert_close(average, (3 * after_two + 9 * c) / 12)
    statistics = [name for name, _ in state.model.named_buffers() if name.endswith("running_mean")]
    averaged, latest = (dict(network.named_buffers()) for network in (state.evaluated, state.model))
    assert statistics
    assert not any(torch.equal(averaged[name], latest[name]) for name in statistics), "of the averaged weights, too"


def test_without_average_the_weights_themselves_are_evaluated(tmp_path: Path) -> None:
    state = start(tmp_path)
    assert state.evaluated is state.model


def test_the_start_depends_on_the_seed_alone(tmp_path: Path) -> None:
    torch.manual_seed(5)
    one = weights(start(tmp_path).model)
    torch.manual_seed(6)
    two = weights(start(tmp_path).model)
    other = weights(TrainState.start(tiny.run(seed=1), tiny.feed(), tmp_path, CPU).model)
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    assert not torch.equal(one[0], other[0])


def test_the_checkpoint_restores_what_the_next_step_needs(tmp_path: Path) -> None:
    state = start(tmp_path, ema=0.9, weight_decay=0.1)
    state.begin_epoch(0.1)
    state.step(distance(state))
    state.history.epochs.append({"epoch": 0.0})
    state.save_latest(tmp_path)
    restored = start(tmp_path, ema=0.9, weight_decay=0.1)
    assert restored.history == state.history
    for either in (state, restored):
        either.begin_epoch(0.05)
        either.step(distance(either, scale=2.0))
    for one, two in ((state.model, restored.model), (state.evaluated, restored.evaluated)):
        assert all(torch.equal(a, b) for a, b in zip(weights(one), weights(two), strict=True))


def test_the_best_checkpoint_holds_the_average(tmp_path: Path) -> None:
    state = start(tmp_path, ema=0.9)
    state.begin_epoch(0.1)
    for _ in range(2):
        state.step(distance(state))
    probe = Ridge().fit(torch.randn(5, 2), torch.randn(5))
    state.save_best(tmp_path, probe, {"epoch": 4, "validation_mae": 2.5})
    best = checkpoint.load(tmp_path / "best.pt")
    assert (best["epoch"], best["validation_mae"], best["probe"]["kind"]) == (4, 2.5, "ridge")
    average = state.evaluated.network.state_dict()
    assert best["model"].keys() == average.keys()
    assert all(torch.equal(best["model"][name], average[name]) for name in average)
    assert not torch.equal(best["model"]["head.0.weight"], state.model.network.state_dict()["head.0.weight"])


def test_full_precision_on_a_cpu(tmp_path: Path) -> None:
    state = start(tmp_path)
    with state.autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
    assert not state.scaler.is_enabled()
