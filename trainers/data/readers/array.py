"""NumPy arrays in .npy files, and in .npz archives that hold just one."""

import math
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from contrasweep.trainers.data.readers import UnreadableError, register
from contrasweep.trainers.data.readers.base import Header, Image, check_shape


@register(".npy")
@register(".npz")
class Array:
    """The array as it is, channels first: [C, *S]; a 1-D array becomes [1, L].

    A volume saved without a channel axis gets one from the transform
    `EnsureChannelFirst: {channel_dim: no_channel}`. Pickled objects are refused.
    """

    def read(self, path: Path) -> Image:
        """Values as stored; anything but real numbers is refused."""
        with _opened(path) as (stream, size):
            shape = _shape(stream, size)
            stream.seek(0)
            return Image(values=npy.read_array(stream, allow_pickle=False).reshape(shape))

    def header(self, path: Path) -> Header:
        """(C, *S) from the array's header."""
        with _opened(path) as (stream, size):
            return Header(shape=_shape(stream, size))

    def write_sample(self, path: Path) -> tuple[int, ...]:
        """A volume of three channels."""
        values = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
        (np.save if path.suffix == ".npy" else np.savez_compressed)(path, values)
        return values.shape


@contextmanager
def _opened(path: Path) -> Iterator[tuple[IO[bytes], int]]:
    """The bytes of a .npy file, or of the one in an archive, and how many they are."""
    if path.suffix.lower() == ".npy":
        with path.open("rb") as stream:
            yield stream, path.stat().st_size
        return
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            if len(entries) != 1:
                keys = ", ".join(entry.filename.removesuffix(".npy") for entry in entries) or "none"
                raise UnreadableError(f"holds {len(entries)} arrays: {keys}; a file with one is needed")
            with archive.open(entries[0]) as stream:
                yield stream, entries[0].file_size
    except (zipfile.BadZipFile, zlib.error) as error:
        raise UnreadableError(f"is no .npz archive, or a damaged one: {error}") from error


def _shape(stream: IO[bytes], size: int) -> tuple[int, ...]:
    """(C, *S) from the header, checked against the bytes that follow; `stream` is left behind the header."""
    shape, dtype = _header(stream)
    if dtype.hasobject or dtype.kind not in "biuf":
        raise UnreadableError(f"holds {dtype}; real numbers are needed")
    check_shape(shape or (0,))
    promised = stream.tell() + math.prod(shape) * dtype.itemsize
    if promised > size:
        raise UnreadableError(f"ends early: its header promises {promised} bytes, it has {size}")
    return (1, *shape) if len(shape) == 1 else shape


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    try:
        version = npy.read_magic(stream)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = read(stream)
    except (ValueError, TokenError) as error:
        raise UnreadableError("is no .npy file, or its header is damaged") from error
    return shape, dtype
