"""What every registered encoder must do, in every number of dimensions that it takes; a new one inherits all of it."""

import copy
import pickle

import pytest
import torch
from torch import Tensor, nn

from contrasweep.trainers import encoders
from contrasweep.trainers.errors import UserError

SPATIAL = {1: (32,), 2: (16, 12), 3: (8, 9, 10)}
WIDTH, DEPTH = 1 / 16, 1 / 4


def dimensions(name: str) -> tuple[int, ...]:
    return getattr(encoders.get(name), "spatial_dims", (1, 2, 3))


def shape(name: str, dims: int, *, channels: int = 1) -> tuple[int, ...]:
    """Of images that are small, or as small as the encoder takes them."""
    least_side = getattr(encoders.get(name), "least_side", 1)
    return (channels, *(max(side, least_side) for side in SPATIAL[dims]))


def build(
    name: str, dims: int, *, channels: int = 1, width: float = WIDTH, depth: float = DEPTH, seed: int = 0
) -> nn.Module:
    torch.manual_seed(seed)
    return encoders.build(name, shape(name, dims, channels=channels), width=width, depth=depth)


def images(name: str, dims: int, *, channels: int = 1, count: int = 4) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, *shape(name, dims, channels=channels), generator=generator)


def size(encoder: nn.Module) -> int:
    return sum(parameter.numel() for parameter in encoder.parameters())


every = pytest.mark.parametrize("name", encoders.names())
each = pytest.mark.parametrize(
    ("name", "dims"), [(name, dims) for name in encoders.names() for dims in dimensions(name)]
)


@each
@pytest.mark.parametrize("channels", [1, 3])
def test_features_have_the_promised_width(name: str, dims: int, channels: int) -> None:
    encoder = build(name, dims, channels=channels)
    features = encoder(images(name, dims, channels=channels))
    assert isinstance(encoder.feature_dim, int)
    assert (features.shape, features.dtype) == ((4, encoder.feature_dim), torch.float32)
    assert features.isfinite().all()


@each
def test_one_image_can_be_evaluated(name: str, dims: int) -> None:
    encoder = build(name, dims).eval()
    features = encoder(images(name, dims, count=1))
    assert features.shape == (1, encoder.feature_dim)
    assert features.isfinite().all()


@each
@pytest.mark.parametrize("side", [1, 2, 5, 17])
def test_small_images_work_or_are_refused(name: str, dims: int, side: int) -> None:
    image_shape = (1, *[side] * dims)
    try:
        encoder = encoders.build(name, image_shape, width=WIDTH, depth=DEPTH).eval()
    except UserError as error:
        assert f"encoder '{name}': " in str(error)
        assert "; allowed: " in str(error)
    else:
        assert encoder(torch.randn(2, *image_shape)).shape == (2, encoder.feature_dim)


@pytest.mark.parametrize(
    ("name", "dims"), [(name, dims) for name in encoders.names() for dims in {0, 1, 2, 3, 4} - {*dimensions(name)}]
)
def test_other_dimensions_are_refused(name: str, dims: int) -> None:
    plural = "" if dims == 1 else "s"
    allowed = ", ".join(map(str, dimensions(name)))
    with pytest.raises(
        UserError, match=f"^encoder '{name}': images have {dims} spatial dimension{plural}; allowed: {allowed}$"
    ):
        encoders.build(name, (1, *[96] * dims), width=WIDTH, depth=DEPTH)


@each
def test_width_widens_the_features(name: str, dims: int) -> None:
    narrow, wide, wider = (build(name, dims, width=factor * WIDTH) for factor in (1, 2, 4))
    assert narrow.feature_dim < wide.feature_dim < wider.feature_dim  # type: ignore[operator]
    assert size(narrow) < size(wide) < size(wider)


@each
def test_depth_adds_blocks(name: str, dims: int) -> None:
    shallow, published, deep = (build(name, dims, depth=depth) for depth in (0.25, 1, 2))
    assert size(shallow) <= size(published) < size(deep)
    assert len(list(shallow.modules())) <= len(list(published.modules())) < len(list(deep.modules()))


@every
def test_a_width_that_leaves_nothing_is_refused(name: str) -> None:
    with pytest.raises(UserError, match=f"encoder '{name}': width is 0.0001; allowed: numbers from "):
        build(name, dimensions(name)[0], width=1e-4)


@every
def test_an_unknown_parameter_is_refused(name: str) -> None:
    with pytest.raises(UserError, match=f"encoder '{name}' has no parameter 'widht'; allowed: "):
        encoders.build(name, shape(name, dimensions(name)[0]), widht=1.0)


@each
def test_every_parameter_has_a_gradient(name: str, dims: int) -> None:
    encoder, given = build(name, dims), images(name, dims).requires_grad_()
    features = encoder(given)
    (features * torch.randn_like(features)).sum().backward()
    assert given.grad is not None and given.grad.any()
    gradients = {key: parameter.grad for key, parameter in encoder.named_parameters()}
    for key, gradient in gradients.items():
        assert gradient is not None and gradient.isfinite().all(), key
    assert sum(bool(gradient.any()) for gradient in gradients.values() if gradient is not None) > 0.8 * len(gradients)


@each
def test_evaluation_is_deterministic_and_knows_no_neighbours(name: str, dims: int) -> None:
    encoder, given = build(name, dims).eval(), images(name, dims)
    before = copy.deepcopy(encoder.state_dict())
    features = encoder(given)
    assert torch.equal(encoder(given), features)
    torch.testing.assert_close(torch.cat([encoder(image[None]) for image in given]), features)
    assert all(torch.equal(value, before[key]) for key, value in encoder.state_dict().items())
    assert not torch.allclose(features[0], features[1])


@each
def test_weights_travel_in_the_state(name: str, dims: int) -> None:
    trained, fresh, given = build(name, dims), build(name, dims, seed=1), images(name, dims)
    trained(given)
    assert not torch.equal(trained.eval()(given), fresh.eval()(given))
    fresh.load_state_dict(trained.state_dict())
    assert torch.equal(trained(given), fresh(given))


@each
def test_copies_do_the_same(name: str, dims: int) -> None:
    encoder, given = build(name, dims).eval(), images(name, dims)
    for twin in (copy.deepcopy(encoder), pickle.loads(pickle.dumps(encoder))):
        assert torch.equal(twin(given), encoder(given))


@each
def test_all_chance_comes_from_torchs_generator(name: str, dims: int) -> None:
    given = images(name, dims)
    one, same, other = (build(name, dims, seed=seed)(given) for seed in (0, 0, 1))  # in training: dropout too
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


@each
def test_half_precision_is_finite(name: str, dims: int) -> None:
    encoder, given = build(name, dims), images(name, dims)
    with torch.autocast(
        "cpu", torch.bfloat16
    ):  # forward alone: oneDNN's gradients of one-pixel images are not filled in
        features = encoder(given)
    assert features.shape == (4, encoder.feature_dim)
    assert features.isfinite().all()
