"""What every registered encoder must do; a new one inherits all of it."""

import copy

import pytest
import torch
from torch import Tensor, nn

from trainers import encoders
from trainers.errors import UserError

SPATIAL = {1: (32,), 2: (16, 12), 3: (8, 9, 10)}
WIDTH = 0.0625

every = pytest.mark.parametrize("name", encoders.names())
each_dimension = pytest.mark.parametrize("dims", SPATIAL)


def build(name: str, dims: int = 2, *, channels: int = 1, width: float = WIDTH, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return encoders.build(name, spatial_dims=dims, in_channels=channels, width=width)


def images(dims: int = 2, *, channels: int = 1, count: int = 4) -> Tensor:
    return torch.randn(count, channels, *SPATIAL[dims], generator=torch.Generator().manual_seed(1))


@every
@each_dimension
@pytest.mark.parametrize("channels", [1, 3])
def test_features_have_the_promised_width(name: str, dims: int, channels: int) -> None:
    encoder = build(name, dims, channels=channels)
    features = encoder(images(dims, channels=channels))
    assert isinstance(encoder.feature_dim, int)
    assert (features.shape, features.dtype) == ((4, encoder.feature_dim), torch.float32)
    assert features.isfinite().all()


@every
@each_dimension
def test_the_size_of_the_image_is_free(name: str, dims: int) -> None:
    encoder = build(name, dims).eval()
    for side in (1, 5, 24):
        assert encoder(torch.randn(2, 1, *[side] * dims)).shape == (2, encoder.feature_dim)


@every
def test_width_scales_the_features(name: str) -> None:
    narrow, wide = (build(name, width=width) for width in (WIDTH, 2 * WIDTH))
    assert wide.feature_dim == 2 * narrow.feature_dim  # type: ignore[operator]


@every
def test_a_width_that_leaves_nothing_is_refused(name: str) -> None:
    with pytest.raises(UserError, match=f"encoder '{name}': width is 0.0001; allowed: numbers from "):
        build(name, width=1e-4)


@every
@each_dimension
def test_every_parameter_has_a_gradient(name: str, dims: int) -> None:
    encoder, given = build(name, dims), images(dims).requires_grad_()
    features = encoder(given)
    (features * torch.randn_like(features)).sum().backward()
    assert given.grad is not None and given.grad.any()
    for key, parameter in encoder.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), key
    assert sum(bool(p.grad.any()) for p in encoder.parameters() if p.grad is not None) > 0.8 * len(
        list(encoder.parameters())
    )


@every
def test_evaluation_is_deterministic_and_knows_no_neighbours(name: str) -> None:
    encoder, given = build(name).eval(), images()
    before = copy.deepcopy(encoder.state_dict())
    features = encoder(given)
    assert torch.equal(encoder(given), features)
    torch.testing.assert_close(torch.cat([encoder(image[None]) for image in given]), features)
    assert all(torch.equal(value, before[key]) for key, value in encoder.state_dict().items())
    assert not torch.allclose(features[0], features[1])


@every
def test_weights_travel_in_the_state(name: str) -> None:
    trained, fresh = build(name), build(name, seed=1)
    trained(images())
    assert not torch.equal(trained.eval()(images()), fresh.eval()(images()))
    fresh.load_state_dict(trained.state_dict())
    assert torch.equal(trained(images()), fresh(images()))


@every
def test_weights_come_from_torchs_generator(name: str) -> None:
    one, same, other = (build(name, seed=seed).eval()(images()) for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_resnet18_is_the_published_one() -> None:
    encoder = encoders.build("resnet18", spatial_dims=2)
    assert encoder.feature_dim == 512
    layers = [m for m in encoder.modules() if isinstance(m, nn.Conv2d) and m.kernel_size != (1, 1)]
    assert len(layers) == 17, "and the classifier, which is left out, is the 18th"
    assert (layers[0].kernel_size, layers[0].stride) == ((7, 7), (2, 2))
