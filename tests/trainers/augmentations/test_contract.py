"""What every registered augmentation must do; a new one inherits all of it."""

import inspect
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from contrasweep.trainers import augmentations
from contrasweep.trainers.augmentations import Augmenter
from contrasweep.trainers.errors import UserError

SHAPES = {"series": (2, 64), "image": (1, 16, 12), "volume": (1, 8, 9, 10)}
UNSUPPORTED = {("affine", "series"), ("rotation", "series"), ("frame_jitter", "image")}
SUPPORTED = [(name, kind) for name in augmentations.names() for kind in SHAPES if (name, kind) not in UNSUPPORTED]
ROWS = np.arange(3, 27, 3)

every = pytest.mark.parametrize(("name", "kind"), SUPPORTED)


def images(kind: str) -> Tensor:
    """Eight different images [8, C, *spatial]."""
    return torch.randn(8, *SHAPES[kind], generator=torch.Generator().manual_seed(0))


def apply(
    name: str,
    kind: str,
    *,
    rows: NDArray[np.int64] = ROWS,
    seed: int = 0,
    epoch: int = 0,
    views: int = 2,
    given: Tensor | None = None,
    **params: Any,
) -> Tensor:
    augment = Augmenter({name: params}, SHAPES[kind], seed)
    return augment(images(kind) if given is None else given, rows, epoch=epoch, views=views)


@every
def test_keeps_shape_and_type(name: str, kind: str) -> None:
    views = apply(name, kind)
    assert (type(views), views.shape, views.dtype) == (Tensor, (16, *SHAPES[kind]), torch.float32)
    assert views.isfinite().all()


@every
def test_changes_something(name: str, kind: str) -> None:
    changed = (apply(name, kind) != images(kind).repeat(2, *[1] * (len(SHAPES[kind])))).flatten(1).any(1)
    assert changed.sum() >= 4, "of 16"


@every
def test_leaves_the_given_images_alone(name: str, kind: str) -> None:
    given = images(kind)
    views = apply(name, kind, given=given)
    assert torch.equal(given, images(kind))
    views.zero_()
    assert torch.equal(given, images(kind))


@every
def test_applying_it_makes_new_images(name: str, kind: str) -> None:
    augmentation = augmentations.build(name, image_shape=SHAPES[kind])
    given, rng = images(kind), np.random.default_rng(0)
    views = augmentation.apply(given, np.stack([augmentation.draw(rng) for _ in given]))
    assert torch.equal(given, images(kind))
    views.zero_()
    assert torch.equal(given, images(kind))


@every
@pytest.mark.parametrize("places", [[6, 1, 3], [4]])
def test_draws_depend_on_the_row_and_not_on_the_batch(name: str, kind: str, places: list[int]) -> None:
    order = torch.tensor(places)
    some = apply(name, kind, rows=ROWS[order.numpy()], given=images(kind)[order], prob=0.7)
    assert torch.equal(some, apply(name, kind, prob=0.7)[torch.cat([order, order + 8])])


@every
def test_draws_do_not_depend_on_other_generators(name: str, kind: str) -> None:
    np.random.seed(0)
    torch.manual_seed(0)
    one = apply(name, kind)
    np.random.seed(1)
    torch.manual_seed(1)
    assert torch.equal(apply(name, kind), one)


@every
def test_the_first_of_two_views_is_the_view_alone(name: str, kind: str) -> None:
    assert torch.equal(apply(name, kind, views=2)[:8], apply(name, kind, views=1))


@every
def test_view_row_epoch_and_seed_each_draw_anew(name: str, kind: str) -> None:
    same = images(kind)[:1].expand(8, *SHAPES[kind])
    drawn = apply(name, kind, given=same)
    first, second = drawn.chunk(2)
    assert not torch.equal(first, second), "views"
    if name != "flip":  # it has no more draws than axes
        assert (first != second).flatten(1).any(1).all(), "both views of a row saw one draw"
    assert not torch.equal(first, first[:1].expand_as(first)), "rows"
    assert not torch.equal(drawn, apply(name, kind, given=same, epoch=1)), "epochs"
    assert not torch.equal(drawn, apply(name, kind, given=same, seed=1)), "seeds"


@every
def test_probability_zero_changes_nothing_and_one_everything(name: str, kind: str) -> None:
    copies = images(kind).repeat(2, *[1] * len(SHAPES[kind]))
    assert torch.equal(apply(name, kind, prob=0), copies)
    changed = (apply(name, kind, prob=1) != copies).flatten(1).any(1)
    assert changed.sum() >= 15, "of 16: a draw may be the identity"


@every
def test_a_row_is_left_alone_or_changed_as_ever(name: str, kind: str) -> None:
    copies = images(kind).repeat(2, *[1] * len(SHAPES[kind]))
    half, always = apply(name, kind, prob=0.5), apply(name, kind, prob=1)
    alone, changed = ((half == one).flatten(1).all(1) for one in (copies, always))
    assert (alone | changed).all() and 2 <= alone.sum() <= 14, "8 of 16 expected, deviation 2"


@every
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_sees_what_a_cpu_sees(name: str, kind: str) -> None:
    views = apply(name, kind, given=images(kind).cuda(), prob=0.7)
    assert views.is_cuda
    assert torch.equal(views, apply(name, kind, given=images(kind).cuda(), prob=0.7))
    if name != "noise":  # white noise comes from the device's own generator
        torch.testing.assert_close(views.cpu(), apply(name, kind, prob=0.7), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("name", "kind"), sorted(UNSUPPORTED))
def test_what_it_cannot_do_is_refused_at_once(name: str, kind: str) -> None:
    with pytest.raises(UserError, match=f"augmentation '{name}': the images have . spatial dimensions?; allowed: "):
        Augmenter({name: {}}, SHAPES[kind], 0)


NUMBERS = [
    (name, field)
    for name in augmentations.names()
    for field, parameter in inspect.signature(augmentations.get(name)).parameters.items()
    if isinstance(parameter.default, float)
]


@pytest.mark.parametrize("value", [-0.5, float("nan"), float("inf"), "big", None, True])
@pytest.mark.parametrize(("name", "field"), NUMBERS)
def test_wrong_numbers_are_refused(name: str, field: str, value: object) -> None:
    with pytest.raises(UserError, match=rf"^augmentation '{name}': {field} is {value!r}; allowed: numbers from 0"):
        Augmenter({name: {field: value}}, SHAPES["volume"], 0)


@pytest.mark.parametrize(("name", "field"), NUMBERS)
def test_zero_is_allowed(name: str, field: str) -> None:
    views = Augmenter({name: {field: 0}}, SHAPES["volume"], 0)(images("volume"), ROWS, epoch=0, views=1)
    assert views.shape == images("volume").shape


@pytest.mark.parametrize("name", augmentations.names())
def test_unknown_parameters_are_refused(name: str) -> None:
    with pytest.raises(UserError, match=f"augmentation '{name}' has no parameter 'porb'; did you mean 'prob'"):
        Augmenter({name: {"porb": 1}}, SHAPES["volume"], 0)
