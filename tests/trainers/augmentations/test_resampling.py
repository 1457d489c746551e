"""Augmentations that resample: each against MONAI's transform with the same numbers, or against geometry."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from monai.transforms import Affine, Rotate
from scipy import stats
from torch import Tensor

from contrasweep.trainers.augmentations import Augmenter, build

ROWS = np.arange(32)
PLANE, VOLUME = (2, 13, 31), (1, 9, 12, 15)


def augmented(config: dict[str, dict[str, Any]], image: Tensor) -> Tensor:
    """One view of each of 32 people who share one image [C, *spatial]."""
    return Augmenter(config, image.shape, seed=0)(image.expand(32, *image.shape), ROWS, epoch=0, views=1)


def random_images(shape: tuple[int, ...]) -> Tensor:
    """Three different images [3, C, *spatial]."""
    return torch.randn(3, *shape, generator=torch.Generator().manual_seed(0))


def blob(centre: tuple[int, int]) -> Tensor:
    """An image [1, 61, 101] with a Gaussian of deviation 2 about `centre`."""
    down, right = torch.meshgrid(torch.arange(61.0), torch.arange(101.0), indexing="ij")
    return torch.exp(-((down - centre[0]) ** 2 + (right - centre[1]) ** 2) / 8)[None]


def centres(views: Tensor) -> Tensor:
    """Centres of mass [n, 2] of images [n, 1, H, W], from the middle of the image."""
    weight = views[:, 0] / views.sum((1, 2, 3)).view(-1, 1, 1)
    axes = [torch.arange(float(side)) - (side - 1) / 2 for side in weight.shape[1:]]
    return torch.stack([weight.sum(2) @ axes[0], weight.sum(1) @ axes[1]], 1)


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


@pytest.mark.parametrize(
    ("shape", "angles", "shift"), [(PLANE, [0.4], [1.3, -2.1]), (VOLUME, [0.3, -0.5, 0.7], [1.3, -2.1, 0.7])]
)
def test_affine_is_that_of_monai(shape: tuple[int, ...], angles: list[float], shift: list[float]) -> None:
    scales = [0.2, -0.1, 0.3][: len(shift)]
    views = build("affine", image_shape=shape).apply(
        random_images(shape), np.tile(np.array([*angles, *shift, *scales]), (3, 1))
    )
    expected = Affine(
        rotate_params=angles, translate_params=shift, scale_params=[1 + scale for scale in scales], padding_mode="zeros"
    )
    for view, image in zip(views, random_images(shape), strict=True):
        torch.testing.assert_close(view, torch.as_tensor(expected(image)[0]), rtol=0, atol=1e-4)


@pytest.mark.parametrize(("shape", "angles"), [(PLANE, [0.4]), (VOLUME, [0.3, -0.5, 0.7])])
def test_rotation_is_that_of_monai(shape: tuple[int, ...], angles: list[float]) -> None:
    views = build("rotation", image_shape=shape).apply(random_images(shape), np.tile(np.array(angles), (3, 1)))
    expected = Rotate(angle=angles if len(angles) == 3 else angles[0], padding_mode="zeros")
    for view, image in zip(views, random_images(shape), strict=True):
        torch.testing.assert_close(view, torch.as_tensor(expected(image)), rtol=0, atol=1e-4)


def test_rotation_by_quarters() -> None:
    images = random_images((1, 9, 9))
    views = build("rotation", image_shape=(1, 9, 9)).apply(images, np.array([[math.pi / 2], [-math.pi / 2], [math.pi]]))
    for view, image, quarters in zip(views, images, (-1, 1, 2), strict=True):
        torch.testing.assert_close(view, image.rot90(quarters, (1, 2)), rtol=0, atol=1e-5)


def test_rotation_is_rigid_and_within_its_limit_where_sides_differ() -> None:
    found = centres(augmented({"rotation": {"degrees": 30}}, blob((30, 70))))
    torch.testing.assert_close(found.norm(dim=1), torch.full((32,), 20.0), rtol=0, atol=0.05)
    degrees = torch.rad2deg(torch.atan2(found[:, 0], found[:, 1]))
    assert degrees.abs().max() <= 30.2 and degrees.std() > 10 and degrees.min() < 0 < degrees.max()


def test_zoom_magnifies_all_sides_alike_within_its_limit() -> None:
    found = centres(augmented({"zoom": {"zoom": 0.3}}, blob((40, 70)))) / torch.tensor([10.0, 20.0])
    torch.testing.assert_close(found[:, 0], found[:, 1], rtol=0, atol=0.01)
    assert ((found[:, 0] - 1).abs() <= 0.31).all() and found[:, 0].std() > 0.1


@pytest.mark.parametrize("shape", [PLANE, VOLUME])
def test_zoom_is_monais_affine_with_that_scale(shape: tuple[int, ...]) -> None:
    factors = [0.8, 1.0, 1.25]
    views = build("zoom", image_shape=shape).apply(random_images(shape), np.array(factors)[:, None])
    for view, image, factor in zip(views, random_images(shape), factors, strict=True):
        scale = [1 / factor] * (len(shape) - 1)
        expected = Affine(scale_params=scale, padding_mode="zeros")(image)[0]
        torch.testing.assert_close(view, torch.as_tensor(expected), rtol=0, atol=1e-4)


def test_zoom_of_a_series_interpolates_it() -> None:
    series = random_images((2, 21))
    views = build("zoom", image_shape=(2, 21)).apply(series, np.array([[1.6], [1.0], [1.2]]))
    for row, factor in enumerate([1.6, 1.0, 1.2]):
        for channel in range(2):
            times = 10 + (np.arange(21) - 10) / factor
            expected = np.interp(times, np.arange(21), series[row, channel].numpy())
            np.testing.assert_allclose(views[row, channel].numpy(), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "start", "box"),
    [((2, 16), [3], [9]), ((2, 12, 20), [1, 0], [5, 20]), ((1, 8, 12, 16), [4, 0, 5], [4, 12, 1])],
)
def test_crop_resize_interpolates_the_box_along_each_axis(
    shape: tuple[int, ...], start: list[int], box: list[int]
) -> None:
    """Voxels are cells: the box's faces, not its outer voxels' centres, come to lie on the image's."""
    views = build("crop_resize", image_shape=shape).apply(
        random_images(shape), np.tile(np.array([*start, *box], dtype=float), (3, 1))
    )
    expected = random_images(shape).numpy()
    for axis, (low, side, length) in enumerate(zip(start, box, shape[1:], strict=True)):
        places = (np.arange(length) + 0.5) * side / length - 0.5
        cut = expected.take(range(low, low + side), axis + 2)
        expected = np.apply_along_axis(lambda line: np.interp(places, np.arange(len(line)), line), axis + 2, cut)  # noqa: B023
    np.testing.assert_allclose(views.numpy(), expected, atol=1e-5)


def boxes(shape: tuple[int, ...], **params: float) -> tuple[Any, Any]:
    """Starts and sides [2000, d] of boxes, in units of the image's sides."""
    built = build("crop_resize", image_shape=shape, **params)  # type: ignore[arg-type]
    rng = np.random.default_rng(0)
    starts, sides = np.split(np.stack([built.draw(rng) for _ in range(2000)]), 2, axis=1)
    return starts / shape[1:], sides / shape[1:]


@pytest.mark.parametrize("shape", [(2, 900), (1, 900, 700), (1, 900, 700, 800)])
def test_crop_resize_draws_areas_evenly_and_any_place_inside(shape: tuple[int, ...]) -> None:
    starts, sides = boxes(shape, area=0.2, stretch=0.0)
    assert stats.kstest(sides.prod(1), stats.uniform(0.2, 0.8).cdf).pvalue > 1e-3
    assert np.ptp(sides, axis=1).max() < 2 / 700
    assert starts.min() == 0 and (starts + sides <= 1).all()
    free = sides < 0.9
    assert stats.kstest(starts[free] / (1 - sides[free]), stats.uniform.cdf).pvalue > 1e-3


def test_crop_resize_stretches_one_axis_against_the_other() -> None:
    _, sides = boxes((1, 900, 700), area=0.1, stretch=1 / 3)
    free = sides[sides.prod(1) < 0.75]  # no stretch takes these out of the image
    aspects = np.log(free[:, 0] / free[:, 1])
    assert stats.kstest(aspects, stats.uniform(math.log(3 / 4), 2 * math.log(4 / 3)).cdf).pvalue > 1e-3


def test_crop_resize_of_a_large_stretch_stays_inside() -> None:
    _, sides = boxes((1, 9, 7), area=0.0, stretch=50.0)
    assert sides.max() == 1 and (sides * [9, 7]).min() == 1


def test_crop_resize_of_all_is_the_identity() -> None:
    image = random_images((2, 7, 9))[0]
    views = augmented({"crop_resize": {"area": 1, "stretch": 0}}, image)
    torch.testing.assert_close(views, image.expand_as(views), rtol=0, atol=1e-5)
