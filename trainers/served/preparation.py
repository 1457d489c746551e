"""How a served model makes of a scan, as it comes, what it reads."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from contrasweep.trainers.data.participants import Subject
from contrasweep.trainers.data.readers import Image, UnreadableError
from contrasweep.trainers.data.transforms import Pipeline, build_transforms
from contrasweep.trainers.data.volume import Scan, differs, prepare_scan, read_image
from contrasweep.trainers.served.config import ServedConfig


class Preparation:
    """How a served model prepares scans: as they were for training."""

    def __init__(self, config: ServedConfig, pipeline: Pipeline) -> None:
        self.config = config
        self._pipeline = pipeline

    @classmethod
    def load(cls, folder: Path) -> "Preparation":
        """That of the model in `folder`. Raises UserError as `ServedConfig.read` does."""
        config = ServedConfig.read(folder)
        return cls(config, build_transforms(config.data.transforms, folder))

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns whose numbers the transforms read."""
        return self._pipeline.columns

    @property
    def image_names(self) -> tuple[str, ...]:
        """The names of a scan's images; one alone has the name ""."""
        return tuple(self.config.trained.sources)

    def of(self, scan: Subject) -> Scan:
        """A scan from its files, as it would be stored for training. Raises UnreadableError where it cannot be used."""
        return self.of_images({name: partial(self.image, path) for name, path in scan.images}, scan.numbers)

    def of_images(self, images: Mapping[str, Callable[[], Image]], row: Mapping[str, float]) -> Scan:
        """The same of images by their names, and what the table has in `columns`."""
        scan = prepare_scan(images, row, self._pipeline, self.config.data.dtype)
        if scan.values.shape != self.config.image_shape:
            raise UnreadableError(differs(scan.values.shape, self.config.image_shape))
        return scan

    def image(self, path: str | Path | None, values: Any = None, affine: Any = None) -> Image:
        """An image from its file, or from `values` [C, *S] and `affine` [4, 4] as a reader would give them.

        Raises UnreadableError where neither or both are given, and where values have no affine though files did.
        """
        if (path is None) == (values is None):
            raise UnreadableError("one of path and image is needed")
        if path is not None:
            return read_image(Path(path), self._pipeline, self.config.data.affine)
        array = np.asarray(values, dtype=np.float32)
        told = None if affine is None else np.asarray(affine, dtype=np.float64)
        if told is not None and told.shape != (4, 4):
            raise UnreadableError(f"affine has the shape {list(told.shape)}; allowed: [4, 4]")
        if told is None and any(one.spacing_mm for one in self.config.trained.sources.values()):
            raise UnreadableError("an image needs its affine [4, 4], voxel indices to mm in RAS+")
        return Image(values=array, affine=told)
