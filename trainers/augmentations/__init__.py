"""Augmentations by name, seeded for each (seed, epoch, subject, view): the same for any number of workers."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from monai.data.meta_obj import get_track_meta, set_track_meta
from numpy.typing import NDArray
from torch import Tensor

from trainers.registry import Registry
from trainers.seeding import fold


class Augmentation(Protocol):
    """A random change of one image [C, *spatial] that keeps its shape; MONAI's random transforms are such."""

    def set_random_state(self, seed: int | None = None) -> object:
        """Make the next draw depend on `seed` alone."""
        ...

    def __call__(self, image: Any, /) -> Any:
        """The changed image; the given one may be overwritten."""
        ...


_registry: Registry[Augmentation] = Registry("augmentation", __name__)
register, build, get, names = _registry.register, _registry.build, _registry.get, _registry.names


class Augmenter:
    """The augmentations of a configuration, one after the other.

    Args:
        config: parameters by augmentation name, in the order they apply.
        image_shape: (C, *spatial) of one image.
        seed: the run's seed.
    """

    def __init__(self, config: Mapping[str, Mapping[str, Any]], image_shape: Sequence[int], seed: int) -> None:
        self._transforms = [build(name, image_shape=tuple(image_shape), **params) for name, params in config.items()]
        self._seed = seed

    def __call__(self, images: Tensor, rows: NDArray[np.int64], *, epoch: int, views: int) -> Tensor:
        """Views of a batch, stacked view by view: [b, C, *spatial] -> [views * b, C, *spatial].

        `rows` [b] names the samples. `images` stay as they are.
        """
        if not self._transforms:
            return images.repeat(views, *[1] * (images.ndim - 1))
        tracked = get_track_meta()
        set_track_meta(False)  # without it MONAI takes twice as long
        try:
            drawn = [
                self._one(image, fold(self._seed, epoch, int(row), view))
                for view in range(views)
                for image, row in zip(images, rows, strict=True)
            ]
        finally:
            set_track_meta(tracked)
        return torch.stack(drawn)

    def _one(self, image: Tensor, key: int) -> Tensor:
        image = image.clone()
        for position, transform in enumerate(self._transforms):
            transform.set_random_state(seed=fold(key, position) % 2**32)
            image = transform(image)
        return image
