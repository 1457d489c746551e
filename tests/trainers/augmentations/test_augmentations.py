"""What each augmentation does, and the order of several."""

from typing import Any

import numpy as np
import pytest
import torch
from monai.transforms import AdjustContrast
from torch import Tensor

from contrasweep.trainers.augmentations import Augmenter, build
from contrasweep.trainers.errors import UserError

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
    with pytest.raises(UserError, match=f"flip': axis is {axis!r}; allowed: whole numbers from 0( to 1)?, or null"):
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


def test_intensity_changes_contrast_about_the_mean() -> None:
    image = torch.linspace(1, 3, 16).reshape(1, 4, 4)
    views = augmented({"intensity": {"scale": 0, "shift": 0, "contrast": 0.5}}, image)
    factors = (views[:, 0, -1, -1] - views[:, 0, 0, 0]) / 2
    expected = torch.stack([2 + (image - 2) * factor for factor in factors])
    torch.testing.assert_close(views, expected)
    assert ((factors - 1).abs() <= 0.5 + 1e-6).all() and factors.std() > 0.15


def test_intensity_raises_to_a_power() -> None:
    """MONAI's AdjustContrast with the same power is the independent computation."""
    image = torch.randn(1, 6, 7, generator=torch.Generator().manual_seed(0))
    built = build("intensity", image_shape=(1, 6, 7), scale=0.2, shift=0.3, gamma=1.0)
    for power in (0.5, 1.3, 2.0):
        views = built.apply(image[None], np.array([[0.1, -0.2, 0, np.log(power)]]))
        expected = torch.as_tensor(AdjustContrast(gamma=power)(image)) * 1.1 - 0.2
        torch.testing.assert_close(views[0], expected, rtol=1e-4, atol=1e-4)


def test_gamma_stays_in_the_range_of_the_image() -> None:
    image = torch.randn(2, 9, generator=torch.Generator().manual_seed(0))
    views = augmented({"intensity": {"scale": 0, "shift": 0, "gamma": 3.0}}, image)
    torch.testing.assert_close(views.amax((1, 2)), image.max().expand(32))
    torch.testing.assert_close(views.amin((1, 2)), image.min().expand(32))
    assert views.std(0).max() > 0.1


def test_gamma_leaves_an_even_image_alone() -> None:
    image = torch.full((1, 4, 4), 3.0)
    assert torch.equal(augmented({"intensity": {"scale": 0, "shift": 0, "gamma": 1.0}}, image)[0], image)


def test_noise_of_two_rows_is_not_related() -> None:
    views = augmented({"noise": {"std": 0.5}}, torch.zeros(1, 64, 64)).flatten(1)
    related = torch.corrcoef(views) - torch.eye(32)
    assert related.abs().max() < 6 / 64


def shown(config: dict[str, float], length: int = 24, frame: tuple[int, ...] = (2, 3)) -> Tensor:
    """The numbers [32, T] of the frames that 32 people see of a video whose frame t is all t in both channels."""
    video = torch.arange(float(length)).view(1, length, *[1] * len(frame)).expand(2, length, *frame)
    views = augmented({"frame_jitter": config}, video).flatten(3 if frame else 2)
    numbers = views.view(32, 2, length, -1)
    assert torch.equal(numbers, numbers[:, :1, :, :1].expand_as(numbers)), "whole frames, the same in all channels"
    return numbers[:, 0, :, 0]


@pytest.mark.parametrize("frame", [(2, 3), ()])
def test_frame_jitter_shows_frames_of_the_video_in_order(frame: tuple[int, ...]) -> None:
    numbers = shown({}, frame=frame)
    assert torch.equal(numbers, numbers.round())
    assert numbers.min() >= 0 and numbers.max() <= 23
    assert (numbers.diff(dim=1) >= 0).all()


def test_frame_jitter_moves_each_frame_by_no_more_than_told() -> None:
    moved = shown({"shift": 0, "frames": 2.0}) - torch.arange(24)
    assert sorted(set(moved.flatten().tolist())) == [-2, -1, 0, 1, 2]


def test_frame_jitter_moves_the_start_by_no_more_than_told() -> None:
    moved = (shown({"shift": 0.25, "frames": 0}) - torch.arange(24))[:, 6:18]
    assert torch.equal(moved, moved[:, :1].expand_as(moved)), "the video moves as a whole"
    assert moved.abs().max() <= 6 and moved[:, 0].unique().numel() > 6


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


def test_cutout_of_nothing_changes_nothing() -> None:
    image = torch.ones(1, 8, 8)
    assert torch.equal(augmented({"cutout": {"size": 0}}, image), image.expand(32, 1, 8, 8))


@pytest.mark.parametrize("name", ["rotation", "zoom", "affine", "crop_resize", "flip", "cutout"])
def test_in_plane_treats_every_frame_as_the_image_it_is(name: str) -> None:
    frames = torch.randn(1, 3, 12, 10, generator=torch.Generator().manual_seed(0))
    video = augmented({name: {"in_plane": True}}, frames)
    for number in range(3):
        torch.testing.assert_close(video[:, :, number], augmented({name: {}}, frames[:, number]))
    assert not torch.equal(video, frames.expand_as(video))


@pytest.mark.parametrize(("shape", "value"), [((1, 8, 8), True), ((1, 4, 8, 8), "yes")])
def test_in_plane_is_for_what_has_planes(shape: tuple[int, ...], value: Any) -> None:
    with pytest.raises(UserError, match=rf"augmentation 'flip': in_plane is {value!r}; allowed: "):
        build("flip", image_shape=shape, in_plane=value)
