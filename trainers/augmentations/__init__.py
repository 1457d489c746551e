"""Augmentations by name, seeded for each (seed, epoch, subject, view): the same for any number of workers."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.random import Generator, default_rng
from numpy.typing import NDArray
from torch import Tensor

from contrasweep.trainers.errors import UserError
from contrasweep.trainers.registry import Registry
from contrasweep.trainers.seeding import fold


class Augmentation(Protocol):
    """A random change of images that keeps their shape.

    It takes two steps: the random numbers of each row are drawn on the CPU, then all rows change at once on
    the device that holds them. `prob` is how often a row is changed at all.
    """

    prob: float

    def draw(self, rng: Generator) -> NDArray[np.float64]:
        """The random numbers [K] of one row."""
        ...

    def apply(self, images: Tensor, draws: NDArray[np.float64]) -> Tensor:
        """New images [n, C, *spatial] from images of that shape and the draws [n, K] of their rows.

        The given images stay as they are, and no row depends on the others.
        """
        ...


_registry: Registry[Augmentation] = Registry("augmentation", __name__)
register, get, names = _registry.register, _registry.get, _registry.names


def build(name: str, *, image_shape: tuple[int, ...], in_plane: bool = False, **params: object) -> Augmentation:
    """Build `name` for images (C, *spatial).

    `in_plane` leaves the first spatial axis alone, which is a video's time or the slices of an anisotropic volume:
    all its planes change alike. Raises UserError on unknown names and parameters, and on wrong values.
    """
    if type(in_plane) is not bool or (in_plane and len(image_shape) != 4):
        allowed = "true, false" if len(image_shape) == 4 else "false, as the images have no planes"
        raise UserError(f"augmentation '{name}': in_plane is {in_plane!r}; allowed: {allowed}")
    if not in_plane:
        return _registry.build(name, image_shape=image_shape, **params)
    channels, planes, *plane = image_shape
    return _InPlane(_registry.build(name, image_shape=(channels * planes, *plane), **params))


class _InPlane:
    """An augmentation of images [n, C * T, H, W] on those of shape [n, C, T, H, W]."""

    def __init__(self, augmentation: Augmentation) -> None:
        self.prob, self.draw, self._apply = augmentation.prob, augmentation.draw, augmentation.apply

    def apply(self, images: Tensor, draws: NDArray[np.float64]) -> Tensor:
        return self._apply(images.flatten(1, 2), draws).view(images.shape)


class Augmenter:
    """The augmentations of a configuration, one after the other.

    Args:
        config: parameters by augmentation name, in the order they apply.
        image_shape: (C, *spatial) of one image.
        seed: the run's seed.
    """

    def __init__(self, config: Mapping[str, Mapping[str, Any]], image_shape: Sequence[int], seed: int) -> None:
        self._augmentations = [_build_configured(name, params, image_shape) for name, params in config.items()]
        self._seed = seed

    def __call__(self, images: Tensor, rows: NDArray[np.int64], *, epoch: int, views: int) -> Tensor:
        """Views of a batch, stacked view by view: float32 [b, C, *spatial] -> [views * b, C, *spatial].

        `rows` [b] names the samples. The views are computed on the images' device; `images` stay as they are.
        """
        drawn = images.repeat(views, *[1] * (images.ndim - 1))
        keys = [(self._seed, epoch, int(row), view) for view in range(views) for row in rows]
        for position, augmentation in enumerate(self._augmentations):
            drawn = _augmented(augmentation, drawn, [default_rng(fold(*key, position)) for key in keys])
        return drawn


def _build_configured(name: str, params: Mapping[str, Any], image_shape: Sequence[int]) -> Augmentation:
    if "image_shape" in params:
        raise UserError(f"augmentation '{name}' has no parameter 'image_shape': the data decide it")
    return build(name, image_shape=tuple(image_shape), **params)


def _augmented(augmentation: Augmentation, images: Tensor, rngs: Sequence[Generator]) -> Tensor:
    """The images [n, C, *spatial], those changed that their generator chooses; the given ones may be overwritten."""
    chosen = [place for place, rng in enumerate(rngs) if rng.random() < augmentation.prob]
    if not chosen:
        return images
    draws = np.stack([augmentation.draw(rngs[place]) for place in chosen])
    if len(chosen) == len(images):
        return augmentation.apply(images, draws)
    places = torch.as_tensor(chosen, device=images.device)
    return images.index_copy_(0, places, augmentation.apply(images.index_select(0, places), draws))
