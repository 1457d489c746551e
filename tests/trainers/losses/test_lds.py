"""Label distribution smoothing against a plain loop over bins."""

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter1d

from contrasweep.trainers import losses
from contrasweep.trainers.errors import UserError
from contrasweep.trainers.losses.lds import LDS


def ages(count: int = 300) -> np.ndarray:
    """Ages that pile up about 35, with gaps among the old."""
    return np.random.default_rng(0).gamma(9.0, 4.0, count)


def plain_weights(
    labels: np.ndarray, bin_size: float, kernel_size: int, sigma: float, *, inverse: bool, reference: bool = False
) -> dict[int, float]:
    """Weight of each bin; of the `reference` with SciPy's filter of a spike for a kernel."""
    spike = gaussian_filter1d(np.eye(kernel_size)[kernel_size // 2], sigma)
    count: dict[int, int] = {}
    for label in labels:
        count[math.floor(label / bin_size)] = count.get(math.floor(label / bin_size), 0) + 1

    def mass(place: int) -> float:
        number = count.get(place, 0)
        return min(max(number, 5), 1000) if inverse else math.sqrt(number)

    def density(place: int) -> float:
        near = range(-(kernel_size // 2), kernel_size // 2 + 1)
        gauss = {k: math.exp(-(k**2) / (2 * sigma**2)) for k in near}
        kernel = dict(zip(near, spike / spike.max(), strict=True)) if reference else gauss
        return sum(kernel[k] * mass(place + k) for k in near)

    total = sum(count[place] / density(place) for place in count)
    return {place: len(labels) / total / density(place) for place in count}


@pytest.mark.parametrize("variant", ["paper", "reference"])
@pytest.mark.parametrize("reweight", ["sqrt_inverse", "inverse"])
@pytest.mark.parametrize(
    ("bin_size", "kernel_size", "sigma"), [(1.0, 5, 2.0), (0.5, 9, 1.0), (4.0, 1, 2.0), (1.0, 3, 2.3), (1.0, 9, 0.5)]
)
def test_weights(variant: str, reweight: str, bin_size: float, kernel_size: int, sigma: float) -> None:
    labels = ages()
    settings = {"bin_size": bin_size, "kernel_size": kernel_size, "sigma": sigma, "variant": variant}
    loss = LDS(reweight=reweight, train_labels=labels.tolist(), **settings)  # type: ignore[arg-type]
    expected = plain_weights(
        labels, bin_size, kernel_size, sigma, inverse=reweight == "inverse", reference=variant == "reference"
    )
    weights = loss.weights(torch.from_numpy(labels)).numpy()
    np.testing.assert_allclose(weights, [expected[math.floor(label / bin_size)] for label in labels], rtol=1e-12)
    assert weights.mean() == pytest.approx(1)


def test_rare_labels_weigh_more() -> None:
    loss = LDS(train_labels=[30.0] * 100 + [60.0])
    common, rare = loss.weights(torch.tensor([30.0, 60.0])).tolist()
    assert rare == pytest.approx(10 * common)


def test_loss_is_the_weighted_error() -> None:
    loss = LDS(train_labels=[30.0] * 100 + [60.0])
    common, rare = loss.weights(torch.tensor([30.0, 60.0])).tolist()
    value = loss(torch.tensor([[31.0], [55.0]]), torch.tensor([30.0, 60.0]))
    assert float(value) == pytest.approx((1 * common + 5 * rare) / 2)


def test_without_training_labels_the_batch_is_counted() -> None:
    y = torch.tensor([30.0, 30.0, 30.0, 30.0, 60.0])
    z = torch.randn(5, 1)
    torch.testing.assert_close(losses.build("lds")(z, y), losses.build("lds", train_labels=y.tolist())(z, y))


def test_equal_labels_weigh_as_one() -> None:
    assert LDS(train_labels=[50.0] * 7).weights(torch.tensor([50.0])).tolist() == [1.0]


@pytest.mark.parametrize("name", ["lds", "fds"])
@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"bin_size": 0.0}, "bin_size is 0.0; allowed: numbers above 0"),
        ({"kernel_size": 4}, "kernel_size is 4; allowed: odd numbers from 1"),
        ({"kernel_size": 0}, "kernel_size is 0; allowed: odd numbers from 1"),
    ],
)
def test_parameters_are_checked(name: str, params: dict[str, float], message: str) -> None:
    with pytest.raises(UserError, match=f"loss '{name}': {message}"):
        losses.build(name, **params)


def test_reweight_is_checked() -> None:
    with pytest.raises(UserError, match="loss 'lds': unknown reweight 'sqrt'; allowed: inverse, sqrt_inverse"):
        losses.build("lds", reweight="sqrt")
