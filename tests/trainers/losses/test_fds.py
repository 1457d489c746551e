"""Feature distribution smoothing against plain loops over bins."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from contrasweep.trainers import losses
from contrasweep.trainers.errors import UserError
from contrasweep.trainers.losses.base import Rows
from contrasweep.trainers.losses.fds import FDS

WIDTH = 3
TRAIN_LABELS = [20.0, 21.0, 21.5, 22.0, 24.0, 40.0]


def fds(**params: Any) -> FDS:
    torch.manual_seed(0)
    return FDS(train_labels=TRAIN_LABELS, width=WIDTH, **params)


def epoch(seed: int, rows: int = 120, *, ages: list[int] | None = None) -> tuple[Tensor, Tensor]:
    """Features whose mean and spread follow age, in float64, and ages that the training split has."""
    rng = np.random.default_rng(seed)
    y = rng.choice(ages or [20, 21, 22, 24, 40], rows).astype(float)
    z = rng.normal(size=(rows, WIDTH)) * (1 + y[:, None] / 10) + y[:, None]
    return torch.from_numpy(z), torch.from_numpy(y)


def train(loss: FDS, *epochs: tuple[Tensor, Tensor], batches: int = 3) -> None:
    for number, (z, y) in enumerate(epochs):
        for part_z, part_y in zip(z.chunk(batches), y.chunk(batches), strict=True):
            loss.remember(Rows(part_z, part_y, number, 1, None, None))
        loss.end_epoch(number)


def calibrated(loss: FDS, z: Tensor, y: Tensor, number: int = 9) -> Tensor:
    return loss.calibrated(Rows(z, y, number, 1, None, None))


def plain(
    epochs: list[tuple[np.ndarray, np.ndarray]],
    z: np.ndarray,
    y: np.ndarray,
    *,
    reach: int,
    sigma: float,
    momentum: float,
) -> np.ndarray:
    """Features z recoloured: the equations, one bin and one row at a time."""
    mean: dict[int, np.ndarray] = {}
    variance: dict[int, np.ndarray] = {}
    for features, labels in epochs:
        for place in set(labels.astype(int)):
            own = features[labels.astype(int) == place]
            now = own.mean(0), own.var(0, ddof=1 if len(own) > 1 else 0)
            keep = momentum if place in mean else 0.0
            mean[place] = keep * mean.get(place, now[0]) + (1 - keep) * now[0]
            variance[place] = keep * variance.get(place, now[1]) + (1 - keep) * now[1]

    def smooth(statistic: dict[int, np.ndarray], place: int) -> np.ndarray:
        near = [other for other in statistic if abs(other - place) <= reach]
        kernel = [math.exp(-((other - place) ** 2) / (2 * sigma**2)) for other in near]
        return np.asarray(sum(k * statistic[other] for k, other in zip(kernel, near, strict=True)) / sum(kernel))

    out = z.copy()
    for row, place in enumerate(y.astype(int)):
        for f in range(z.shape[1]):
            if place in variance and variance[place][f] > 0:
                ratio = np.clip(smooth(variance, place)[f] / variance[place][f], 0.1, 10)
                out[row, f] = np.sqrt(ratio) * (z[row, f] - mean[place][f]) + smooth(mean, place)[f]
    return out


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_features_are_recoloured_to_smoothed_statistics(momentum: float) -> None:
    loss = fds(momentum=momentum, kernel_size=5, sigma=2.0)
    epochs = [epoch(0), epoch(1, ages=[20, 21, 22, 24]), epoch(2)]
    train(loss, *epochs)
    z, y = epoch(7, 40)
    arrays = [(features.numpy(), labels.numpy()) for features, labels in epochs]
    expected = plain(arrays, z.numpy(), y.numpy(), reach=2, sigma=2.0, momentum=momentum)
    np.testing.assert_allclose(calibrated(loss, z, y).numpy(), expected, rtol=1e-9)
    assert not np.allclose(expected, z.numpy())


def plain_reference(epochs: list[tuple[np.ndarray, np.ndarray]], z: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The authors' code, whose statistics of the last epoch are the running ones once these have been smoothed."""
    first, bins = 20, 21
    spike = gaussian_filter1d(np.eye(5)[2], 2.0)
    running = {"mean": np.zeros((bins, WIDTH)), "variance": np.ones((bins, WIDTH))}
    last = smoothed = {name: own.copy() for name, own in running.items()}

    def recoloured(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
        out = features.copy()
        for row, place in enumerate(labels.astype(int) - first):
            ratio = np.clip(smoothed["variance"][place] / last["variance"][place], 0.1, 10)
            out[row] = np.sqrt(ratio) * (features[row] - last["mean"][place]) + smoothed["mean"][place]
        return out

    for number, (features, labels) in enumerate(epochs):
        told = recoloured(features, labels) if number >= 1 else features
        if number >= 1:
            padded = {name: np.pad(own, ((2, 2), (0, 0)), mode="reflect") for name, own in running.items()}
            smoothed = {
                name: np.stack([spike / spike.sum() @ own[place : place + 5] for place in range(bins)])
                for name, own in padded.items()
            }
            last = running
        for place in set(labels.astype(int) - first):
            own = told[labels.astype(int) - first == place]
            keep = 0.9 if number else 0.0
            running["mean"][place] = (1 - keep) * own.mean(0) + keep * running["mean"][place]
            running["variance"][place] = (1 - keep) * own.var(0, ddof=1) + keep * running["variance"][place]
    return recoloured(z, y)


@pytest.mark.parametrize("trained", [1, 2, 3, 4])
def test_the_authors_code(trained: int) -> None:
    """Ages 23 and 25 to 39 are never seen, and 24 and 40 not in the first epoch."""
    epochs = [epoch(0, ages=[20, 21, 22]), epoch(1), epoch(2, ages=[20, 21, 40]), epoch(3)][:trained]
    loss = fds(variant="reference")
    train(loss, *epochs)
    z, y = epoch(7, 40)
    expected = plain_reference([(f.numpy(), ages.numpy()) for f, ages in epochs], z.numpy(), y.numpy())
    np.testing.assert_allclose(calibrated(loss, z, y).numpy(), expected, rtol=1e-8, atol=1e-8)
    assert (trained == 1) == np.allclose(expected, z.numpy())


def test_one_bin_is_smoothed_with_itself() -> None:
    torch.manual_seed(0)
    loss = FDS(train_labels=[20.0, 20.5], width=WIDTH, variant="reference")
    z = epoch(0)[0]
    train(loss, *[(z, torch.full((len(z),), 20.2))] * 3)
    assert calibrated(loss, z, torch.full((len(z),), 20.2)).isfinite().all()


def test_gradients_of_the_authors_code_match_finite_differences() -> None:
    loss = fds(variant="reference", reweight=True)
    train(loss, epoch(0), epoch(1), epoch(2))
    z, y = epoch(1, 6)
    assert torch.autograd.gradcheck(lambda z: loss(z, y, epoch=3), z.requires_grad_())


def test_the_ratio_of_variances_is_clipped() -> None:
    loss = fds(kernel_size=3, sigma=1e6)
    wide, narrow = torch.tensor([[-1000.0], [1000.0]]).expand(2, WIDTH), torch.tensor([[-1.0], [1.0]]).expand(2, WIDTH)
    train(loss, (torch.cat([wide, narrow]).double(), torch.tensor([20.0, 20.0, 21.0, 21.0])), batches=1)
    recoloured = calibrated(loss, narrow.double(), torch.tensor([21.0, 21.0]))
    torch.testing.assert_close(recoloured, math.sqrt(10) * narrow.double())


def test_the_head_reads_recoloured_features_from_start_smooth_on() -> None:
    loss = fds(start_smooth=2)
    train(loss, epoch(0))
    z, y = epoch(1, 16)
    assert loss.head is not None
    plain_value = loss.head.errors(loss.head(z), y).mean()
    torch.testing.assert_close(loss(z, y, epoch=1), plain_value)
    smoothed = loss.head.errors(loss.head(calibrated(loss, z, y)), y).mean()
    torch.testing.assert_close(loss(z, y, epoch=2), smoothed)
    assert not torch.isclose(smoothed, plain_value)


def test_what_is_not_known_stays_as_it_is() -> None:
    loss = fds()
    z, y = epoch(1)
    torch.testing.assert_close(calibrated(loss, z, y), z)
    train(loss, epoch(0, ages=[20, 21]))
    unknown = y == 40
    torch.testing.assert_close(calibrated(loss, z, y)[unknown], z[unknown])


def test_a_dead_feature_stays_dead() -> None:
    loss = fds()
    z, y = epoch(0)
    z[:, 1] = 0
    train(loss, (z, y))
    assert not calibrated(loss, z, y)[:, 1].any()


def test_statistics_serve_from_the_next_epoch() -> None:
    loss = fds()
    z, y = epoch(0)
    before = calibrated(loss, z, y)
    loss.remember(Rows(z, y, 0, 1, None, None))
    assert torch.equal(calibrated(loss, z, y), before)
    loss.end_epoch(0)
    assert not torch.equal(calibrated(loss, z, y), before)


@pytest.mark.parametrize("variant", ["paper", "reference"])
def test_statistics_are_saved_with_the_weights(variant: str) -> None:
    loss, other = fds(variant=variant), fds(variant=variant)
    train(loss, epoch(0))
    loss.remember(Rows(*epoch(1), 1, 1, None, None))
    other.load_state_dict(loss.state_dict())
    for one in (loss, other):
        train(one, epoch(2))
    z, y = epoch(3)
    assert torch.equal(calibrated(other, z, y), calibrated(loss, z, y))


def test_gradients_match_finite_differences() -> None:
    loss = fds(reweight=True)
    train(loss, epoch(0))
    z, y = epoch(1, 6)
    assert torch.autograd.gradcheck(lambda z: loss(z, y, epoch=2), z.requires_grad_())


def test_the_probe_reads_plain_features() -> None:
    loss = fds()
    train(loss, epoch(0))
    z, _ = epoch(1)
    probe, head = loss.probe(), loss.head
    assert probe is not None and head is not None
    torch.testing.assert_close(probe.predict(z), head.predict(head(z)).detach())


@pytest.mark.parametrize("variant", ["paper", "reference"])
def test_reweight_adds_the_weights_of_lds(variant: str) -> None:
    z, y = torch.randn(5, 1), torch.tensor([30.0, 30.0, 30.0, 30.0, 31.0])
    weighted = losses.build("fds", reweight=True, variant=variant)(z, y)
    torch.testing.assert_close(weighted, losses.build("lds", variant=variant)(z, y))
    torch.testing.assert_close(losses.build("fds")(z, y), losses.build("vanilla")(z, y))


def test_predictions_are_not_smoothed() -> None:
    loss = FDS()
    rows = Rows(torch.randn(4, 1), torch.tensor([30.0, 31.0, 32.0, 33.0]), 5, 1, None, None)
    before = loss(*rows)
    loss.remember(rows)
    loss.end_epoch(5)
    assert torch.equal(loss(*rows), before)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"momentum": 1.0}, "momentum is 1.0; allowed: numbers from 0 to below 1"),
        ({"start_smooth": -1}, "start_smooth is -1; allowed: whole numbers from 0"),
    ],
)
def test_parameters_are_checked(params: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=f"loss 'fds': {message}"):
        losses.build("fds", **params)
