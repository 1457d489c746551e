"""Readers, one file for each format, chosen by the file's ending."""

import errno
import functools
import inspect
import os
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from contrasweep.trainers.data.readers._files import check_file, is_dicom
from contrasweep.trainers.data.readers._zip import archive, check_member, unpacked
from contrasweep.trainers.data.readers.base import Form, Header, Image, Reader, Scattered, UnreadableError
from contrasweep.trainers.errors import nearest
from contrasweep.trainers.registry import Registry

FOLDER = "/"
"""The "ending" of a folder that is one image, as a DICOM series is."""

_PASSING = frozenset({errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE, errno.ETIMEDOUT})

_registry: Registry[Reader] = Registry("reader", "contrasweep.trainers.data.readers")
register = _registry.register
names = _registry.names
get = _registry.get

__all__ = [
    "FOLDER",
    "Form",
    "Header",
    "Image",
    "Reader",
    "UnreadableError",
    "archive",
    "check_member",
    "files",
    "get",
    "names",
    "read",
    "read_header",
    "register",
]

Read = TypeVar("Read", Image, Header)


def read(path: Path, affine: Form | None = None) -> Image:
    """The image in `path`, its values float32 [C, *S]. Raises UnreadableError with a one-line reason.

    Where a format says twice where its voxels lie, and the two contradict each other, `affine` says which counts. What
    says nothing of the file, such as a disk or a server that fails, is raised as it is.
    """

    def read_it() -> Image:
        with unpacked(path) as local:
            return _as_float32(_reader(local, affine).read(local))

    return _guarded(read_it)


def read_header(path: Path, affine: Form | None = None) -> Header:
    """What `read` would give, without decoding the image. Raises UnreadableError."""

    def read_it() -> Header:
        with unpacked(path) as local:
            return _reader(local, affine).header(local)

    return _guarded(read_it)


def files(path: Path) -> tuple[Path, ...]:
    """The files that the image in `path` is read from, sorted: `path` alone, most often, or the archive it is in."""
    if (packed := archive(path)) is not None:
        return (packed,)
    try:
        ending = _ending(path)
        reader = None if ending is None else get(ending)()
        return tuple(sorted(reader.files(path))) if isinstance(reader, Scattered) else (path,)
    except (OSError, UnreadableError):  # reading the image says what is wrong
        return (path,)


def _guarded(action: Callable[[], Read]) -> Read:
    try:
        with warnings.catch_warnings(action="ignore"):  # decoders warn of oddities that they put right
            return action()
    except (UnreadableError, MemoryError):
        raise
    except Exception as error:  # decoders raise nearly anything on broken bytes: EOFError, SyntaxError, zlib.error ...
        if isinstance(error, OSError) and error.errno in _PASSING:
            raise
        told = getattr(error, "strerror", None) or str(error)  # the former without a path
        text = " ".join(told.split())
        raise UnreadableError(f"cannot be read: {type(error).__name__}{': ' + text if text else ''}") from error


def _as_float32(image: Image) -> Image:
    values = np.ascontiguousarray(image.values, dtype=np.float32)
    if min(values.strides, default=0) < 0:  # NumPy calls an axis of length 1 contiguous either way, torch does not
        values = values.copy()
    return replace(image, values=values)


def _reader(path: Path, affine: Form | None) -> Reader:
    if os.path.isdir(path):  # False where the folders above may not be read; check_file says so
        return get(FOLDER)()
    check_file(path)
    ending = _ending(path)
    if ending is not None:
        return _built(ending, affine)
    if is_dicom(path):  # scanners export files called IM0001 or by their UID
        return get(".dcm")()
    endings = [name for name in names() if name != FOLDER]
    raise UnreadableError(f"no reader for the ending '{path.suffix}'; {nearest(path.suffix, endings)}")


def _ending(path: Path) -> str | None:
    """The longest ending of a reader that the file's name, in any case, ends in."""
    return max((ending for ending in names() if path.name.lower().endswith(ending)), key=len, default=None)


def _built(ending: str, affine: Form | None) -> Reader:
    factory = get(ending)
    return factory(affine=affine) if _takes_affine(factory) else factory()


@functools.cache
def _takes_affine(factory: Callable[..., Reader]) -> bool:
    return "affine" in inspect.signature(factory).parameters
