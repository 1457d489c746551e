"""What each augmentation does, and the order of several."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from trainers.augmentations import Augmenter
from trainers.errors import UserError

ROWS = np.arange(32)


def augmented(config: dict[str, dict[str, Any]], image: Tensor, *, views: int = 1) -> Tensor:
    """The views of 32 people who share one image [C, *spatial]."""
    images = image.expand(32, *image.shape)
    return Augmenter(config, image.shape, seed=0)(images, ROWS, epoch=0, views=views)


def test_cutout_blanks_one_box_and_nothing_else() -> None:
    views = augmented({"cutout": {"size": 0.5}}, torch.ones(1, 8, 6, 4), views=2)
    for view in views:
        blank = (view == 0).nonzero()
        low, high = blank.min(0).values, blank.max(0).values
        assert (high - low + 1).tolist() == [1, 4, 3, 2]
        assert len(blank) == 4 * 3 * 2
        assert (view == 1).sum() == view.numel() - len(blank)


def test_cutout_leaves_as_many_alone_as_told() -> None:
    views = augmented({"cutout": {"prob": 0.25}}, torch.ones(1, 8, 8), views=4)
    changed = int((views == 0).flatten(1).any(1).sum())
    assert 16 <= changed <= 48, "32 of 128 expected, deviation 5"


@pytest.mark.parametrize("axis", [0, 1])
def test_flip_mirrors_the_axis(axis: int) -> None:
    image = torch.arange(20.0).reshape(1, 4, 5)
    views = augmented({"flip": {"axis": axis, "prob": 1}}, image)
    assert all(torch.equal(view, image.flip(axis + 1)) for view in views)


def test_flip_draws_the_axis() -> None:
    image = torch.arange(20.0).reshape(1, 4, 5)
    views = augmented({"flip": {"prob": 1}}, image)
    along = [[torch.equal(view, image.flip(axis)) for axis in (1, 2)] for view in views]
    assert all(sum(one) == 1 for one in along)
    assert 4 < sum(first for first, _ in along) < 28


@pytest.mark.parametrize("axis", [2, -1, 0.0, "x", True])
def test_flip_refuses_other_axes(axis: object) -> None:
    with pytest.raises(UserError, match=f"flip': axis is {axis!r}; allowed: whole numbers from 0 to 1, or null"):
        augmented({"flip": {"axis": axis}}, torch.ones(1, 4, 5))


def test_intensity_scales_and_shifts_within_its_limits() -> None:
    image = torch.linspace(-1, 1, 16).reshape(1, 16)
    views = augmented({"intensity": {"scale": 0.2, "shift": 0.3}}, image)
    scale = (views[:, 0, -1] - views[:, 0, 0]) / 2
    shift = views.mean((1, 2))
    torch.testing.assert_close(views, scale.view(-1, 1, 1) * image + shift.view(-1, 1, 1))
    assert ((scale - 1).abs() <= 0.2 + 1e-6).all() and scale.std() > 0.05
    assert (shift.abs() <= 0.3 + 1e-6).all() and shift.std() > 0.08


def test_noise_is_white_and_below_its_limit() -> None:
    views = augmented({"noise": {"std": 0.5}}, torch.full((1, 64, 64), 3.0))
    deviations = views.std((1, 2, 3))
    assert (deviations < 0.52).all() and deviations.max() > 0.35 and deviations.min() < 0.15
    assert ((views.mean((1, 2, 3)) - 3).abs() < 5 * 0.5 / 64).all()


def test_affine_moves_by_no_more_than_told() -> None:
    image = torch.zeros(1, 21, 41)
    image[0, 10, 20] = 1
    views = augmented({"affine": {"degrees": 0, "zoom": 0, "shift": 0.1}}, image)
    places = torch.stack(
        [(views[:, 0].sum(2) * torch.arange(21)).sum(1), (views[:, 0].sum(1) * torch.arange(41)).sum(1)]
    )
    moved = (places - torch.tensor([[10.0], [20.0]])).abs()
    assert (moved.max(1).values <= torch.tensor([2.1, 4.1]) + 1e-3).all()
    assert (moved.max(1).values > torch.tensor([1.0, 2.0])).all()


def test_affine_of_nothing_is_the_identity() -> None:
    image = torch.randn(1, 6, 7, 8, generator=torch.Generator().manual_seed(0))
    views = augmented({"affine": {"degrees": 0, "zoom": 0, "shift": 0}}, image)
    torch.testing.assert_close(views, image.expand_as(views), rtol=0, atol=1e-5)


def test_without_augmentations_the_views_are_copies() -> None:
    images = torch.randn(32, 1, 4, 5)
    views = Augmenter({}, (1, 4, 5), seed=0)(images, ROWS, epoch=0, views=2)
    assert torch.equal(views, torch.cat([images, images]))


def test_augmentations_apply_in_the_order_written() -> None:
    image = torch.ones(1, 16, 16)
    noise_last = augmented({"cutout": {}, "noise": {}}, image)
    cutout_last = augmented({"noise": {}, "cutout": {}}, image)
    assert (noise_last == 0).sum() == 0
    assert (cutout_last == 0).flatten(1).any(1).all()


def test_the_same_augmentation_draws_apart_from_its_neighbours() -> None:
    """Each has its own draws: where one is left out, the ones before it draw as before."""
    image = torch.zeros(1, 16, 16)
    assert torch.equal(augmented({"noise": {}, "flip": {"prob": 0}}, image), augmented({"noise": {}}, image))


def test_an_unknown_name() -> None:
    with pytest.raises(UserError, match=r"unknown augmentation 'cutuot'; did you mean 'cutout'\?"):
        Augmenter({"cutuot": {}}, (1, 4, 4), seed=0)
