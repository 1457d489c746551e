"""MetaImage, the format of ITK: .mha files, and .mhd headers with the file that they name."""

import math
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contrasweep.trainers.data.readers import UnreadableError, register
from contrasweep.trainers.data.readers._detached import data_files
from contrasweep.trainers.data.readers._files import check_other
from contrasweep.trainers.data.readers._itk import header_of, placed
from contrasweep.trainers.data.readers._packed import DEFLATE
from contrasweep.trainers.data.readers.base import Header, Image, check_shape

LONGEST_HEADER = 1 << 20
ZLIB_OR_GZIP = 47
"""Window bits by which zlib tells both."""
TYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG": "i4",
    "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
MATRIX = ("TransformMatrix", "Orientation", "Rotation")
OFFSET = ("Offset", "Position", "Origin")
SPACING = ("ElementSpacing", "ElementSize")


@register(".mha")
@register(".mhd")
class MetaImage:
    """[1, X, Y, Z], or [C, X, Y, Z] of several components, or [T, X, Y, Z] of four axes, in the closest RAS+ order.

    The same as of the volume in NIfTI; a picture of two axes stays as it is stored, [1, X, Y]. Data files must lie in
    the header's folder. The bytes are unpacked here, as ITK's own library prints what is wrong with a file to the
    terminal.
    """

    def read(self, path: Path) -> Image:
        """Values as stored."""
        fields = _checked(path)
        block = b"".join(file.read_bytes()[start:] for file, start in _places(path, fields))
        if fields.packed:
            block = _unpacked(block, fields.size)
        if len(block) < fields.size:
            raise UnreadableError(f"ends early: its header promises {fields.size} bytes, it has {len(block)}")
        values = np.frombuffer(block[-fields.size :] if fields.skip < 0 else block[: fields.size], fields.dtype)
        return _placed(values.reshape(fields.components, *fields.shape, order="F"), fields)

    def header(self, path: Path) -> Header:
        """(C or T, X, Y, Z) after reorienting."""
        fields = _checked(path)
        available = sum(file.stat().st_size - start for file, start in _places(path, fields))
        if fields.size > available * (DEFLATE if fields.packed else 1):
            raise UnreadableError(f"ends early: its header promises {fields.size} bytes, it has {available}")
        return header_of(_placed(np.broadcast_to(np.float32(0), (fields.components, *fields.shape)), fields))

    def files(self, path: Path) -> Sequence[Path]:
        """The header, and the data files that it names."""
        return [path, *(file for file, _ in _places(path, _fields(path)) if file != path)]

    def write_sample(self, path: Path) -> tuple[int, ...]:
        """A volume whose axes run along -y, z, -x, so that [7, 8, 9] becomes [9, 7, 8]."""
        import SimpleITK as sitk

        image = sitk.GetImageFromArray(np.arange(504, dtype=np.int16).reshape(7, 8, 9).T)
        image.SetDirection([0, 0, 1, 1, 0, 0, 0, 1, 0])
        sitk.WriteImage(image, str(path))
        return 1, 9, 7, 8


@dataclass(frozen=True, eq=False, kw_only=True)
class _Fields:
    """What a header says; `skip` are the bytes before the values, or -1 where the values end the file.

    `data` names the data file, or `listed`, the lines behind the header, do; `end` is the byte where these begin.
    """

    shape: tuple[int, ...]
    components: int
    dtype: np.dtype[Any]
    packed: bool
    skip: int
    spacing: list[float]
    origin: list[float]
    axes: NDArray[np.float64]
    known: bool
    data: str
    listed: list[str]
    end: int

    @property
    def size(self) -> int:
        """Bytes of the values."""
        return math.prod(self.shape) * self.components * self.dtype.itemsize


def _fields(path: Path) -> _Fields:
    """The header, checked before anything is allocated by it. Raises UnreadableError where a field is wrong."""
    with path.open("rb") as file:
        block = file.read(LONGEST_HEADER)
    last = re.search(rb"^[ \t]*ElementDataFile[ \t]*[=:][^\n]*\S[^\n]*(\n|\Z)", block, re.MULTILINE)
    if last is None:
        raise UnreadableError("is no MetaImage, or its header is damaged: it names no ElementDataFile")
    lines = block[: last.end()].decode("latin-1").splitlines()
    parts = [re.split("[=:]", line, maxsplit=1) for line in lines]
    said = {part[0].strip(): part[-1].strip() for part in parts}
    _check_plain(said)
    count = int(_numbers(said, ("NDims",), 1)[0])
    shape = tuple(int(length) for length in _numbers(said, ("DimSize",), count))
    components = int(_numbers(said, ("ElementNumberOfChannels",), 1, [1])[0])
    check_shape((components, *shape))
    big = _is_true(said, "BinaryDataByteOrderMSB") or _is_true(said, "ElementByteOrderMSB")
    return _Fields(
        shape=shape,
        components=components,
        dtype=np.dtype((">" if big else "<") + TYPES[said["ElementType"]]),
        packed=_is_true(said, "CompressedData"),
        skip=int(_numbers(said, ("HeaderSize",), 1, [0])[0]),
        spacing=_numbers(said, SPACING, count, [1] * count),
        origin=_numbers(said, OFFSET, count, [0] * count),
        axes=np.array(_numbers(said, MATRIX, count * count, np.eye(count).ravel())).reshape(count, count).T,
        known=any(key in said for key in MATRIX),
        data=said["ElementDataFile"],
        listed=block[last.end() :].decode("latin-1").splitlines(),
        end=last.end(),
    )


def _checked(path: Path) -> _Fields:
    """The header, whose data files can be opened."""
    fields = _fields(path)
    for file, _ in _places(path, fields):
        check_other(file, "its data file")
    return fields


def _check_plain(said: Mapping[str, str]) -> None:
    """Raise UnreadableError where the values are no plain binary numbers."""
    kind = said.get("ElementType", "")
    if kind not in TYPES:
        raise UnreadableError(f"has ElementType '{kind}'; allowed: {', '.join(TYPES)}")
    if "BinaryData" in said and not _is_true(said, "BinaryData"):
        raise UnreadableError("holds its values as text; binary ones are needed")


def _numbers(said: Mapping[str, str], keys: Sequence[str], count: int, default: Iterable[float] = ()) -> list[float]:
    """The numbers of the first of `keys` that the header has."""
    key = next((key for key in keys if key in said), None)
    try:
        numbers = [float(each) for each in (said[key].split() if key else default)]
    except ValueError:
        numbers = []
    if len(numbers) < count or not np.isfinite(numbers).all():
        raise UnreadableError(f"has {key or keys[0]} '{said.get(key or keys[0], '')}'; allowed: {count} numbers")
    return numbers[:count]


def _is_true(said: Mapping[str, str], key: str) -> bool:
    return said.get(key, "").lower().startswith(("t", "1"))


def _places(path: Path, fields: _Fields) -> list[tuple[Path, int]]:
    """The files that hold the values, and the byte where these begin in each."""
    skip = max(fields.skip, 0)
    if fields.data.upper() == "LOCAL":
        return [(path, fields.end + skip)]
    return [(file, skip) for file in data_files(path, fields.data, fields.listed)]


def _unpacked(block: bytes, size: int) -> bytes:
    unpacker = zlib.decompressobj(wbits=ZLIB_OR_GZIP)
    try:
        values = unpacker.decompress(block, size)
        unpacker.decompress(unpacker.unconsumed_tail, 1)  # the checksum is compared at the end
    except zlib.error as error:
        raise UnreadableError(f"is damaged: {error}") from error
    return values


def _placed(values: NDArray[Any], fields: _Fields) -> Image:
    return placed(values, fields.spacing, fields.origin, fields.axes, fields.known)
