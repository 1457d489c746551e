"""Readers, one file for each format, chosen by the file's ending."""

import errno
import os
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from trainers.data.readers._files import check_file
from trainers.data.readers.base import Header, Image, Reader, UnreadableError
from trainers.errors import nearest
from trainers.registry import Registry

FOLDER = "/"
"""The "ending" of a folder that is one image, as a DICOM series is."""

_PASSING = frozenset({errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE, errno.ETIMEDOUT})

_registry: Registry[Reader] = Registry("reader", "trainers.data.readers")
register = _registry.register
names = _registry.names
get = _registry.get

__all__ = ["FOLDER", "Header", "Image", "Reader", "UnreadableError", "get", "names", "read", "read_header", "register"]

Read = TypeVar("Read", Image, Header)


def read(path: Path) -> Image:
    """The image in `path`, its values float32 [C, *S]. Raises UnreadableError with a one-line reason.

    What says nothing of the file, such as a disk or a server that fails, is raised as it is.
    """
    return _guarded(lambda: _as_float32(_reader(path).read(path)))


def read_header(path: Path) -> Header:
    """What `read` would give, without decoding the image. Raises UnreadableError."""
    return _guarded(lambda: _reader(path).header(path))


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
    return replace(image, values=np.ascontiguousarray(image.values, dtype=np.float32))


def _reader(path: Path) -> Reader:
    if os.path.isdir(path):  # False where the folders above may not be read; check_file says so
        return get(FOLDER)()
    check_file(path)
    matching = [ending for ending in names() if path.name.lower().endswith(ending)]
    if matching:
        return get(max(matching, key=len))()
    if _is_dicom(path):  # scanners export files called IM0001 or by their UID
        return get(".dcm")()
    endings = [name for name in names() if name != FOLDER]
    raise UnreadableError(f"no reader for the ending '{path.suffix}'; {nearest(path.suffix, endings)}")


def _is_dicom(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"
