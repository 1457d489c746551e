"""One scan on its way into a store: read, transformed, checked, in the store's dtype."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contrasweep.trainers.data.participants import Subject
from contrasweep.trainers.data.readers import Form, Image, UnreadableError, read
from contrasweep.trainers.data.several import check_grids, naming
from contrasweep.trainers.data.store import Source
from contrasweep.trainers.data.transforms import Pipeline

MOST_CHANNELS = 16
"""An array of more, in two dimensions or three, has no channel axis, nearly always."""
MOST_COLOURS = 4
"""An array of more channels may as well be a volume without any."""
_SAY_THE_AXES = frozenset(
    {"EnsureChannelFirst", "MeanOverFrames", "Parcellate", "RealignFrames", "SqueezeDim", "Transpose"}
)
ROUNDING = 0.1
"""The most that another dtype's rounding may cost: rms error by the image's own sd."""


@dataclass(frozen=True, eq=False)
class Scan:
    """`values` [C, *S] as they are stored, what the file of each image held, and where the voxels lie now.

    `affine` [4, 4] is the first image's, None where its format tells none or a transform lost it.
    """

    values: NDArray[Any]
    sources: tuple[Source, ...]
    affine: NDArray[np.float64] | None = None


def load_scan(subject: Subject, pipeline: Pipeline, dtype: str, affine: Form | None = None) -> Scan:
    """Read and transform a subject's images. Raises UnreadableError with the reason where they cannot be used.

    That is also an image without contrast, before or after transforms, one with values that are not finite,
    one that `dtype` cannot hold, and one of several that is on another grid than the first after transforms.
    """
    images = {name: partial(read_image, path, pipeline, affine) for name, path in subject.images}
    return prepare_scan(images, subject.numbers, pipeline, dtype)


def prepare_scan(
    images: Mapping[str, Callable[[], Image]], numbers: Mapping[str, float], pipeline: Pipeline, dtype: str
) -> Scan:
    """As `load_scan`, of images by their names, wherever they come from, and what the table has for the transforms."""
    prepared: dict[str, Image] = {}
    sources = []
    for name, read_it in images.items():
        with naming(name):
            image, source = _prepare_image(read_it(), numbers, pipeline)
            prepared[name] = replace(image, values=cast(image.values, dtype))
        sources.append(source)
    check_grids(prepared)
    values, (first, *_) = [image.values for image in prepared.values()], prepared.values()
    return Scan(values[0] if len(values) == 1 else np.concatenate(values), tuple(sources), first.affine)


def read_image(path: Path, pipeline: Pipeline, affine: Form | None = None) -> Image:
    """The image in `path`. Raises UnreadableError where its axes cannot be meant, and no transform tells them."""
    image = read(path, affine)
    misread = _misread(path, image.values.shape)
    if misread and _SAY_THE_AXES.isdisjoint(step.name for step in pipeline.steps):
        raise UnreadableError(misread)
    return image


def _prepare_image(image: Image, numbers: Mapping[str, float], pipeline: Pipeline) -> tuple[Image, Source]:
    """The image after the transforms, its values float32, and what its file held."""
    source = _source(image)
    image = pipeline.apply(image, numbers)
    values = np.ascontiguousarray(image.values, dtype=np.float32)
    bad = int(values.size - np.isfinite(values).sum())
    if bad:
        fill = "; SignalFillEmpty: {replacement: 0} as the first transform fills them" if np.isnan(values).any() else ""
        raise UnreadableError(f"{bad} of {values.size} voxels are not finite{fill}")
    if values.min() == values.max():
        raise UnreadableError(f"has no contrast after transforms: every voxel is {values.flat[0]:g}")
    return replace(image, values=values), source


def differs(shape: tuple[int, ...], usual: tuple[int, ...]) -> str:
    """Why a scan is rejected that is prepared to another shape than the others."""
    colours = shape[1:] == usual[1:] and {shape[0], usual[0]} == {1, 3}
    return f"shape {shape} differs from the others' {usual}" + "; Grey makes one channel of colours" * colours


def _misread(path: Path, shape: Sequence[int]) -> str | None:
    """Why an array's axes cannot be meant as channels and space [C, *S], and the transform that says what they are."""
    single = idle_axis(shape)
    if single is not None and len(shape) > 4:
        axes = f"{len(shape) - 1} axes behind its channels"
        return f"{list(shape)} has {axes}: SqueezeDim: {{dim: {single}}} drops one of length 1"
    channels = channel_axis(path, shape)
    if channels is None:
        return None
    return (
        f"{list(shape)} would be {shape[0]} channels, as arrays have them first: begin data.transforms with "
        f"EnsureChannelFirst: {{channel_dim: {channels}}}, or with channel_dim: 0 where they are channels"
    )


def idle_axis(shape: Sequence[int]) -> int | None:
    """The axis of length 1 that is one too many for an image [C, *S] of up to three dimensions: that of a batch of one.

    >>> idle_axis((1, 1, 121, 145, 121)), idle_axis((1, 121, 145, 121, 1)), idle_axis((1, 1, 40, 30))
    (0, -1, 0)
    """
    if 1 not in shape or (len(shape) < 5 and tuple(shape[:-2]) != (1, 1)):
        return None
    return -1 if shape[-1] == 1 and shape[1] > 1 else list(shape).index(1)


def channel_axis(path: Path, shape: Sequence[int]) -> str | int | None:
    """What an array's `channel_dim` probably is where [C, *S] cannot be meant; None where it can, or in other formats.

    Of four axes the last is probably time, or one of several maps of a volume.

    >>> channel_axis(Path("a.npy"), (182, 218, 182)), channel_axis(Path("a.npy"), (520, 400, 3))
    ('no_channel', -1)
    """
    if path.suffix.lower() not in (".npy", ".npz") or len(shape) < 3 or shape[0] <= MOST_CHANNELS:
        return None
    return -1 if len(shape) == 4 or shape[-1] in (1, 3, 4) else "no_channel"  # four axes in space are of no use


def taken_as(path: Path, shape: Sequence[int], steps: Collection[str] = ()) -> str:
    """What an array's or a table's axes are taken for, where they may be others and none of the `steps` says which.

    >>> taken_as(Path("a.npy"), (12, 14, 12))
    '12 channels of 14 x 12 points (EnsureChannelFirst: {channel_dim: no_channel} where they are a volume)'
    """
    is_array = path.suffix.lower() in (".npy", ".npz")
    may_be_volume = is_array and len(shape) == 3 and shape[0] > MOST_COLOURS
    if not _SAY_THE_AXES.isdisjoint(steps) or not (len(shape) == 2 or may_be_volume):
        return ""
    other = "a volume" if may_be_volume else "a picture"
    no_channel = f"EnsureChannelFirst: {{channel_dim: no_channel}} where they are {other}"
    ways = ["Transpose turns them"] * (len(shape) == 2) + [no_channel] * is_array
    channels = "1 channel" if shape[0] == 1 else f"{shape[0]} channels"
    return f"{channels} of {' x '.join(map(str, shape[1:]))} points ({', '.join(ways)})"


def _source(image: Image) -> Source:
    values = image.values
    if not values.size:
        raise UnreadableError(f"is empty: its shape is {values.shape}")
    low, high = values.min(), values.max()
    if low == high:
        raise UnreadableError(f"has no contrast: every voxel is {low:g}")
    finite = values if np.isfinite([low, high]).all() else values[np.isfinite(values)]
    if not finite.size:
        raise UnreadableError("none of its voxels is finite")
    return Source(
        shape=values.shape,
        spacing_mm=image.spacing_mm,
        orientation=image.orientation,
        minimum=float(finite.min()),
        maximum=float(finite.max()),
        mean=float(finite.mean(dtype=np.float64)),
    )


def cast(values: NDArray[np.float32], dtype: str) -> NDArray[Any]:
    """`values` in another dtype. Raises UnreadableError where that would lose them.

    >>> cast(np.float32([0.4, 254.6]), "uint8").tolist()
    [0, 255]
    """
    if dtype == "float32":
        return values
    low, high = float(values.min()), float(values.max())
    limits = (0.0, 255.0) if dtype == "uint8" else (-65504.0, 65504.0)
    rounded = np.rint(values) if dtype == "uint8" else values
    if low < limits[0] or rounded.max() > limits[1]:
        raise UnreadableError(
            f"values from {low:g} to {high:g} do not fit data.dtype {dtype}: {limits[0]:g} to {limits[1]:g}"
        )
    stored = rounded.astype(dtype)
    lost = np.subtract(values, stored, dtype=np.float64)  # squares of small numbers are zero in float32
    if np.sqrt(np.mean(lost**2)) > ROUNDING * values.std(dtype=np.float64):
        holds = "whole numbers" if dtype == "uint8" else "three digits, and nothing below 6e-08"
        raise UnreadableError(
            f"values from {low:g} to {high:g} would be lost in data.dtype {dtype}, which holds {holds}"
        )
    return stored
