"""What every registered augmentation must do; a new one inherits all of it."""

import inspect

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainers import augmentations
from trainers.augmentations import Augmenter
from trainers.errors import UserError

SHAPES = {"series": (2, 64), "image": (1, 16, 12), "volume": (1, 8, 9, 10)}
UNSUPPORTED = {("affine", "series")}
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
) -> Tensor:
    augment = Augmenter({name: {}}, SHAPES[kind], seed)
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
def test_draws_depend_on_the_row_and_not_on_the_batch(name: str, kind: str) -> None:
    order = torch.tensor([6, 1, 3])
    some = apply(name, kind, rows=ROWS[order.numpy()], given=images(kind)[order])
    assert torch.equal(some, apply(name, kind)[torch.cat([order, order + 8])])


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
    assert not torch.equal(first, first[:1].expand_as(first)), "rows"
    assert not torch.equal(drawn, apply(name, kind, given=same, epoch=1)), "epochs"
    assert not torch.equal(drawn, apply(name, kind, given=same, seed=1)), "seeds"


@pytest.mark.parametrize(("name", "kind"), sorted(UNSUPPORTED))
def test_what_it_cannot_do_is_refused_at_once(name: str, kind: str) -> None:
    with pytest.raises(UserError, match=f"augmentation '{name}': the images have .* spatial dimension; allowed: "):
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
