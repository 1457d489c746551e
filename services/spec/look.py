"""What is seen of a study before its first spec is written: its table, some of its scans, the machine."""

import math
import os
import re
import statistics
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contrasweep.services.spec.kinds import KINDS, Kind, kind_of
from contrasweep.services.spec.panels import panels
from contrasweep.services.text import count, first_few
from contrasweep.trainers.config import DataConfig
from contrasweep.trainers.data.participants import Rejected, Subject, labels_of
from contrasweep.trainers.data.readers import Header, Image, UnreadableError, read, read_header
from contrasweep.trainers.data.several import naming
from contrasweep.trainers.data.transforms.skull_stripped import SkullStripped
from contrasweep.trainers.data.volume import channel_axis, idle_axis
from contrasweep.trainers.errors import UserError

Shape = tuple[int, ...]
HOURS = 2.0
LOOKED_AT, READ = 24, 3
"""Scans whose headers are read, and how many of these whole."""
MOST_VALUES = 2**26
"""Of an image that is read whole."""
DIFFERENT = 0.05
"""By how much voxel sizes differ that are not the same."""
SMALLEST_MATRIX = 5
"""Regions that a matrix has which is one of connectivity."""
WIDE = 2
"""Times its height a picture is wide that may show several views."""
_READERS = 8
AGE = re.compile(r"(?<![a-z])(?:(?:bone|brain|patient)?ages?|alter)(?![a-z])")
"""Of a column's name in lower case: an age has no side."""


@dataclass(frozen=True)
class Machine:
    """What trains. `gpu_bytes` is the memory of one GPU, `bf16` whether it computes in it."""

    cpus: int
    memory_bytes: float
    gpus: int = 0
    gpu_bytes: float = 0
    bf16: bool = False

    def __str__(self) -> str:
        gpus = f"{count(self.gpus, 'GPU')} of {self.gpu_bytes / 1e9:.0f} GB" if self.gpus else "no GPU"
        return f"{count(self.cpus, 'CPU')}, {self.memory_bytes / 1e9:.0f} GB, {gpus}"


@dataclass(frozen=True)
class Labels:
    """Of the label: how many values, their ends and middle, how many scans' are censored.

    `heaped` is the share of scans whose value is the `most` frequent one.
    """

    name: str
    distinct: int
    low: float
    median: float
    high: float
    heaped: float = 0.0
    most: float = 0.0
    censored: int = 0

    def __str__(self) -> str:
        said = f"{self.distinct} values from {self.low:g} to {self.high:g}"
        said += f", {self.heaped:.0%} of them {self.most:g}" if self.heaped >= 0.1 and self.distinct > 2 else ""
        place = (self.median - self.low) / (self.high - self.low) if self.high > self.low else 0.5
        side = "below" if place < 0.3 else "above" if place > 0.7 else ""
        return f"{said}, half {side} {self.median:g}" if side else said

    @property
    def is_age(self) -> bool:
        """Whether a body's mirror image has the same."""
        return AGE.search(self.name.lower()) is not None


@dataclass(frozen=True)
class Seen:
    """What was seen of a study.

    Attributes:
        kind: a key of `kinds.KINDS`.
        shape: (C, *S) of one image in its file, channels first, and views that lie beside each other one behind the
            other; of several shapes the median of each side.
        images: how many make a scan.
        shapes: how many different spatial shapes there are; channels: how many different numbers of channels.
        spacing_mm: the median edges of a voxel, where files tell them; spacings: how many different ones there are.
        extent_mm: the median edges of the field of view.
        folds: whether a published split leaves room for them.
    """

    people: int
    scans: int
    kind: str
    shape: Shape
    labels: Labels
    machine: Machine
    images: int = 1
    shapes: int = 1
    channels: int = 1
    spacing_mm: tuple[float, ...] | None = None
    spacings: int = 1
    extent_mm: tuple[float, ...] | None = None
    folds: bool = True
    hours: float = HOURS

    @property
    def dims(self) -> int:
        """Spatial dimensions."""
        return len(self.shape) - 1

    @property
    def of(self) -> Kind:
        """The kind of image."""
        return KINDS[self.kind]

    @property
    def has_gpu(self) -> bool:
        """Whether training is on a GPU."""
        return self.machine.gpus > 0

    @property
    def placed(self) -> bool:
        """Whether voxels are known to lie in RAS+ order."""
        return self.dims == 3 and self.spacing_mm is not None


@dataclass(frozen=True, eq=False)
class Found:
    """What was found.

    Attributes:
        seen: of all.
        first: of the scans looked at the first that can be read.
        raw: the shape in its file.
        axes: transforms that say what its axes are, by name with arguments and reason.
        looked: how many scans were looked at.
        unreadable: why some of these cannot be read.
        stripped: whether the first is a brain without its skull.
    """

    seen: Seen
    first: Subject
    raw: Shape
    axes: tuple[tuple[str, str], ...]
    looked: int
    unreadable: tuple[str, ...]
    stripped: bool


@dataclass(frozen=True, eq=False)
class _Scan:
    """The headers of a scan's images, and of one that was read what its values tell."""

    subject: Subject
    headers: tuple[Header, ...]
    values: "_Values | None"


@dataclass(frozen=True)
class _Values:
    """Whether they are a matrix that equals its transpose, are two, and are a brain without its skull."""

    symmetric: bool
    binary: bool
    stripped: bool


def this_machine() -> Machine:
    """The CPUs and memory that this process has, and the GPUs that torch can use."""
    import psutil
    import torch

    cpus, memory = len(os.sched_getaffinity(0)), psutil.virtual_memory().total
    if not torch.cuda.is_available():
        return Machine(cpus, memory)
    gpu_bytes = torch.cuda.get_device_properties(0).total_memory
    bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
    return Machine(cpus, memory, torch.cuda.device_count(), gpu_bytes, bf16)


def look(
    subjects: Sequence[Subject],
    rejected: Sequence[Rejected],
    config: DataConfig,
    machine: Machine,
    hours: float = HOURS,
    folds: bool = True,
) -> Found:
    """Look at some scans, spread over the table: at the headers of all of these, and at the values of a few.

    Raises UserError where none can be read as an image of one to three dimensions.
    """
    scans, unreadable = _scans(subjects, config)
    if not scans:
        raise UserError(_none_readable(config, unreadable, rejected))
    first = scans[0]
    raw = first.headers[0].shape
    geometry, (axes, _) = _geometry(scans), _axes(raw, first.subject.path)
    if not axes and (views := _views(scans, geometry["shape"], config)):
        geometry["shape"] = (len(views), geometry["shape"][1], max(views))
        axes += ((f"SideBySide: {{widths: {list(views)}}}", f"{len(views)} views, which lie beside each other"),)
    values = [scan.values for scan in scans if scan.values is not None]
    kind = kind_of(
        _names(config, first.subject),
        geometry["shape"],
        symmetric=bool(values) and all(one.symmetric for one in values),
        binary=bool(values) and all(one.binary for one in values),
    )
    seen = Seen(
        people=len({subject.subject for subject in subjects}),
        scans=len(subjects),
        kind=kind,
        labels=_labels(config.label, labels_of(subjects), rejected),
        machine=machine,
        images=len(first.headers),
        hours=hours,
        folds=folds,
        **geometry,
    )
    stripped = first.values is not None and first.values.stripped
    return Found(seen, first.subject, raw, axes, len(scans) + len(unreadable), unreadable, stripped)


def _scans(subjects: Sequence[Subject], config: DataConfig) -> tuple[list[_Scan], tuple[str, ...]]:
    """The scans looked at that can be read, and why the others cannot."""
    places = np.linspace(0, len(subjects) - 1, min(LOOKED_AT, len(subjects))).round().astype(int).tolist()
    whole = {*places[:: max(1, len(places) // READ)]}
    with ThreadPoolExecutor(_READERS) as pool:
        told = [*pool.map(lambda place: _scan(subjects[place], config, place in whole), places)]
    return [one for one in told if isinstance(one, _Scan)], tuple(one for one in told if isinstance(one, str))


def _scan(subject: Subject, config: DataConfig, whole: bool) -> _Scan | str:
    """A scan's headers and, of its first image, what the values tell; or why it cannot be read."""
    headers = []
    for name, path in subject.images:
        try:
            with naming(name):
                headers.append(read_header(path, config.affine))
        except UnreadableError as error:
            return f"{path}: {error}"
    shape = headers[0].shape
    if len(shape) - 1 not in (1, 2, 3) and (len(shape) != 5 or idle_axis(shape) is None):
        return f"{subject.path}: has {len(shape) - 1} dimensions beside its channels, {list(shape)}"
    if not whole or math.prod(shape) > MOST_VALUES:
        return _Scan(subject, tuple(headers), None)
    try:
        return _Scan(subject, tuple(headers), _values(read(subject.path, config.affine)))
    except UnreadableError as error:
        return f"{subject.path}: {error}"


def _values(image: Image) -> _Values:
    values = image.values
    matrix = values.reshape(-1, values.shape[-1])
    square = matrix.shape[0] == matrix.shape[1] >= SMALLEST_MATRIX
    symmetric = square and np.allclose(matrix, matrix.T, atol=1e-4, equal_nan=True)
    binary = bool(((values == values.min()) | (values == values.max())).all())
    try:
        SkullStripped()(image, {})
    except UnreadableError:
        return _Values(symmetric, binary, False)
    return _Values(symmetric, binary, True)


def _views(scans: Sequence[_Scan], shape: Shape, config: DataConfig) -> tuple[int, ...]:
    """The widths of the views that wide pictures of (C, H, W) show beside each other; none where it is one."""
    if len(shape) != 3 or shape[2] < WIDE * shape[1] or len(scans[0].headers) > 1:
        return ()
    with ThreadPoolExecutor(_READERS) as pool:
        pictures = pool.map(lambda scan: _picture(scan.subject.path, config), scans)
    return panels([picture for picture in pictures if picture is not None]) or ()


def _picture(path: Path, config: DataConfig) -> NDArray[Any] | None:
    """The values of an image, None where they cannot be read."""
    try:
        return read(path, config.affine).values
    except UnreadableError:
        return None


def _none_readable(config: DataConfig, unreadable: Sequence[str], rejected: Sequence[Rejected]) -> str:
    templates = first_few([*config.images.values()])
    what = f"--image: no file like {templates}" if config.bids is None else f"--suffix: no {config.suffix} image"
    reasons = [*unreadable, *(f"{o.subject}: {o.reason}{f' ({o.path})' if o.path else ''}" for o in rejected[:1])]
    first = f"; first: {reasons[0]}" if reasons else ""
    return f"{what} can be read as an image of 1 to 3 dimensions{first}"


def _axes(shape: Shape, path: Path) -> tuple[tuple[tuple[str, str], ...], Shape]:
    """The transforms that say what the axes of a file's image are, and why; and the shape (C, *S) that they make."""
    lines = []
    if (idle := idle_axis(shape)) is not None:
        lines.append((f"SqueezeDim: {{dim: {idle}}}", "an axis of length 1 that says nothing"))
        shape = tuple(np.delete(shape, idle).tolist())
    if (axis := channel_axis(path, shape)) is not None:
        said = f"{list(shape)} as {'a volume' if axis == 'no_channel' else 'channels last'}; 0: channels first"
        lines.append((f"EnsureChannelFirst: {{channel_dim: {axis}}}", said))
        shape = (1, *shape) if axis == "no_channel" else (shape[-1], *shape[:-1])
    return tuple(lines), shape


def _geometry(scans: Sequence[_Scan]) -> dict[str, Any]:
    """The fields of `Seen` that headers tell, of those with the usual number of dimensions."""
    told = [(_axes(h.shape, scan.subject.path)[1], h.spacing_mm) for scan in scans for h in scan.headers]
    usual = Counter(len(shape) for shape, _ in told).most_common(1)[0][0]
    told = [(shape, spacing) for shape, spacing in told if len(shape) == usual]
    shapes, spacings = [shape for shape, _ in told], [spacing for _, spacing in told if spacing is not None]
    fields = {
        "shape": tuple(round(side) for side in _medians(shapes)),
        "shapes": len({shape[1:] for shape in shapes}),
        "channels": len({shape[0] for shape in shapes}),
    }
    if usual != 4 or len(spacings) < len(shapes):
        return fields
    median = np.array(_medians(spacings))
    differ = np.abs(np.array(spacings) / median - 1).max() > DIFFERENT
    extents = [np.multiply(shape[1:], spacing).tolist() for shape, spacing in zip(shapes, spacings, strict=True)]
    return fields | {
        "spacing_mm": tuple(median.tolist()),
        "spacings": len({tuple(row) for row in np.round(spacings, 2).tolist()}) if differ else 1,
        "extent_mm": _medians(extents),
    }


def _medians(rows: Sequence[Sequence[float]]) -> tuple[float, ...]:
    """Of each column."""
    return tuple(map(statistics.median, zip(*rows, strict=True)))


def _names(config: DataConfig, subject: Subject) -> str:
    """All that names an image: its template or suffix, its table's name and its own, but for whose it is."""
    table = "" if config.bids is not None else Path(config.listed_in).name
    return " ".join(
        [*config.images.values(), str(config.suffix or ""), table, subject.path.name.replace(subject.subject, "")]
    )


def _labels(name: str, labels: Sequence[float], rejected: Sequence[Rejected]) -> Labels:
    most, times = Counter(labels).most_common(1)[0]
    return Labels(
        name=name,
        distinct=len({*labels}),
        low=min(labels),
        median=statistics.median(labels),
        high=max(labels),
        heaped=times / len(labels),
        most=most,
        censored=sum("is censored" in one.reason for one in rejected),
    )
