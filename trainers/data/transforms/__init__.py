"""Transforms by name, MONAI's and ours (one file each): what is done to each image once, before it is stored."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contrasweep.trainers.data.readers.base import Image, UnreadableError
from contrasweep.trainers.data.transforms.base import Transform
from contrasweep.trainers.errors import UserError, nearest
from contrasweep.trainers.parameters import WrongParameter
from contrasweep.trainers.registry import Registry

_registry: Registry[Transform] = Registry("transform", "contrasweep.trainers.data.transforms")
register = _registry.register
names = _registry.names
get = _registry.get

__all__ = ["Pipeline", "Transform", "build_transforms", "get", "names", "path_arguments", "register"]

Steps = Sequence[Mapping[str, Mapping[str, Any]]]


@dataclass(frozen=True)
class Pipeline:
    """Transforms one after the other."""

    steps: tuple[Transform, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the participants table that are read, each once."""
        return tuple(dict.fromkeys(column for step in self.steps for column in step.columns))

    @property
    def files(self) -> tuple[Path, ...]:
        """Files that are read beside the images, each once."""
        return tuple(dict.fromkeys(file for step in self.steps for file in step.files))

    def __call__(self, image: Image, row: Mapping[str, float]) -> NDArray[np.float32]:
        """The values to store, float32 [C', *S']. Raises UnreadableError with a one-line reason."""
        return np.ascontiguousarray(self.apply(image, row).values, dtype=np.float32)

    def apply(self, image: Image, row: Mapping[str, float]) -> Image:
        """The image with these values, and where its voxels lie now. Raises UnreadableError with a one-line reason."""
        for index, step in enumerate(self.steps):
            try:
                image = step(image, row)
            except UnreadableError:
                raise
            except Exception as error:  # libraries raise nearly anything on a shape or value that they cannot take
                what = f"data.transforms[{index}] {step.name} fails on shape {image.values.shape}"
                reason = " ".join(str(error).split()) or type(error).__name__
                raise UnreadableError(f"{what}: {reason}") from error
        return image


def build_transforms(transforms: Steps, base: Path) -> Pipeline:
    """The pipeline of a spec's `data.transforms`; files that they name are relative to `base`.

    Raises UserError on an unknown name or argument, a file that is missing, and a random transform: what is kept is
    made once, so randomness belongs into the augmentations.

    >>> halve = build_transforms([{"ScaleIntensityRange": {"a_min": 0, "a_max": 2, "b_min": 0, "b_max": 1}}], Path())
    >>> halve(Image(values=np.ones((1, 2, 2), dtype=np.float32)), {}).tolist()
    [[[0.5, 0.5], [0.5, 0.5]]]
    """
    return Pipeline(tuple(_build(f"data.transforms[{index}]", entry, base) for index, entry in enumerate(transforms)))


def build_own(transforms: Steps, base: Path) -> Pipeline:
    """Our steps of `build_transforms`: all that read columns and files, without the seconds that MONAI's import takes.

    Raises UserError as `build_transforms` does, but knows no name of MONAI's.
    """
    own = [(f"data.transforms[{index}]", entry) for index, entry in enumerate(transforms) if {*entry} <= {*names()}]
    return Pipeline(tuple(_build(where, entry, base) for where, entry in own))


def path_arguments(name: str) -> tuple[str, ...]:
    """The arguments of a transform that are files; MONAI's have none."""
    return tuple(getattr(get(name), "path_arguments", ())) if name in names() else ()


def _build(where: str, entry: Mapping[str, Mapping[str, Any]], base: Path) -> Transform:
    if len(entry) != 1:
        raise UserError(f"{where}: {len(entry)} names {sorted(entry)}; one transform for each list entry is allowed")
    ((name, arguments),) = entry.items()
    if name not in names():
        from contrasweep.trainers.data.transforms import _monai

        return _monai.build(where, name, arguments, names())
    _check_names(f"{where}: {name}", arguments, inspect.signature(get(name)).parameters)
    located = _located(where, name, arguments, base)
    try:
        return get(name)(**located)
    except WrongParameter as error:
        raise UserError(f"{where}: {name}: {error.said}") from error
    except UserError as error:
        raise UserError(f"{where}: {name}: {error}") from error


def _check_names(where: str, arguments: Mapping[str, Any], accepted: Mapping[str, inspect.Parameter]) -> None:
    for key in arguments:
        if key not in accepted:
            raise UserError(f"{where} has no argument '{key}'; {nearest(key, accepted)}")
    for key, parameter in accepted.items():
        if key not in arguments and parameter.default is inspect.Parameter.empty:
            raise UserError(f"{where}.{key}: is missing")


def _located(where: str, name: str, arguments: Mapping[str, Any], base: Path) -> dict[str, Any]:
    """The arguments, paths among them made absolute."""
    located = dict(arguments)
    for key in path_arguments(name):
        if located.get(key) is None:
            continue
        path = base / str(located[key])
        if not path.is_file():
            raise UserError(f"{where}: {name}.{key}: no such file: {path}")
        located[key] = path
    return located
