"""What tells a served model that a scan is unlike those that it was trained on, kept beside it."""

import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from contrasweep.trainers.atomic import write_atomically
from contrasweep.trainers.unlike import FALSE_ALARMS, EmbeddingDetector, ImageDetector

_FILE = "detectors.npz"
MOST = 1000
"""Scans that detectors are fitted on."""
_MOST_CHANNELS = 8
"""That an image's detector looks at one by one: it compares each with each."""


def _looked_at(image: NDArray[Any]) -> NDArray[Any]:
    """An image [C, *S], or, of more channels, as one of a series is, their mean."""
    return image if len(image) <= _MOST_CHANNELS else image.mean(axis=0, keepdims=True, dtype=np.float64)


@dataclass(frozen=True)
class Detectors:
    """One of prepared images and, where a run was validated, one of its embedding; together 5 % false alarms."""

    image: ImageDetector
    embedding: EmbeddingDetector | None

    @classmethod
    def fit(
        cls,
        training: Iterable[NDArray[Any]],
        validation: Iterable[NDArray[Any]],
        features: tuple[ArrayLike, ArrayLike] | None,
    ) -> "Detectors":
        """Of prepared images that were trained on and that were not; `features` of these, [N, F] and [M, F]."""
        each = FALSE_ALARMS / (1 if features is None else 2)
        of_features = None if features is None else EmbeddingDetector.fit(*features, each)
        return cls(ImageDetector.fit(map(_looked_at, training), map(_looked_at, validation), each), of_features)

    def unlike(self, image: NDArray[Any], features: NDArray[np.float32]) -> list[str]:
        """In what a prepared image [C, *S], whose features are [F], is unlike those of training, in words."""
        found = ["the image is unlike those of training"] if self.image.flags([_looked_at(image)])[0] else []
        if self.embedding is not None and self.embedding.flags(features[None])[0]:
            found.append("its embedding is unlike those of training")
        return found

    def write(self, folder: Path) -> None:
        """Keep them in a model's folder."""
        arrays = {f"image.{name}": value for name, value in self.image.state().items()}
        if self.embedding is not None:
            arrays |= {f"embedding.{name}": value for name, value in self.embedding.state().items()}
        content = io.BytesIO()
        np.savez(content, allow_pickle=False, **arrays)
        write_atomically(folder / _FILE, content.getvalue())

    @classmethod
    def read(cls, folder: Path) -> "Detectors | None":
        """Those of a model's folder, None where it has none."""
        if not (folder / _FILE).is_file():
            return None
        with np.load(folder / _FILE, allow_pickle=False) as arrays:
            states: dict[str, dict[str, NDArray[Any]]] = {"image": {}, "embedding": {}}
            for key, value in arrays.items():
                of, _, name = key.partition(".")
                states[of][name] = value
        embedding = EmbeddingDetector.of(states["embedding"]) if states["embedding"] else None
        return cls(ImageDetector.of(states["image"]), embedding)
