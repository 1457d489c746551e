"""What a transform is."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from contrasweep.trainers.data.readers.base import Image


@dataclass(frozen=True)
class Example:
    """What the contract tests try a transform on.

    Attributes:
        takes: the kind of image: `series` [6, 80], `picture` [1, 24, 32], `volume` [4, 32, 32, 32] with an affine, or
            `video` [1, 12, 24, 32]. gives: the shape that comes of it.
        arguments: as a spec has them; `template.nii.gz` and `atlas.nii.gz` are there. row: of the table.
        also_takes: other kinds that it does not refuse.
    """

    takes: str
    gives: tuple[int, ...]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    row: Mapping[str, float] = field(default_factory=dict)
    also_takes: tuple[str, ...] = ()


class Transform(ABC):
    """One step from an image to the image that is stored; the same every time.

    `columns` are columns of the participants table whose numbers `__call__` gets. A class's `path_arguments` name
    those of its arguments, kept under the same names, that are files it reads beside the image: relative ones start
    from the spec's folder.
    """

    example: ClassVar[Example]
    path_arguments: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """What is read beside the image."""
        given = (getattr(self, name) for name in self.path_arguments)
        return tuple(path for path in given if path is not None)

    @property
    def name(self) -> str:
        """What a spec calls it."""
        return type(self).__name__

    @abstractmethod
    def __call__(self, image: Image, row: Mapping[str, float]) -> Image:
        """The changed image. `row` has a finite number for each of `columns`.

        Raises UnreadableError with a one-line reason where this image cannot be changed so.
        """
