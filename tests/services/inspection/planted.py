"""Small stores with something planted in them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from upath import UPath

from contrasweep.trainers.data.store import Source, Volume, VolumeStore
from tests.trainers.data.small_store import write_store

SHAPE = (1, 8, 9, 10)


def images(count: int, shape: tuple[int, ...] = SHAPE) -> dict[str, NDArray[np.float32]]:
    """Images [C, *S] that have nothing to do with each other, by the ids s00, s01 ..."""
    rng = np.random.default_rng(0)
    return {f"s{row:02d}": rng.normal(100, 10, shape).astype(np.float32) for row in range(count)}


def source(image: NDArray[Any], **changes: Any) -> Source:
    """What a NIfTI file with this image would tell."""
    told: dict[str, Any] = {
        "shape": image.shape,
        "spacing_mm": (1.0, 1.0, 1.0),
        "orientation": "RAS",
        "minimum": float(image.min()),
        "maximum": float(image.max()),
        "mean": float(image.mean()),
    }
    return Source(**(told | changes))


def store_of(
    folder: Path | UPath, images: Mapping[str, NDArray[np.float32]], told: Mapping[str, dict[str, Any]] | None = None
) -> VolumeStore:
    """A store of images by id, labels 20, 21 ... in the order of ids; `told` changes the manifest's words on an id."""
    ids = sorted(images)
    volumes = [Volume(name, 20.0 + row, None, images[name]) for row, name in enumerate(ids)]
    known = {name: {"source": source(images[name])} | (told or {}).get(name, {}) for name in ids}
    return write_store(folder, volumes, per_shard=16, told=known)
