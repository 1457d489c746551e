"""Readers, one file for each format, chosen by the file's ending."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainers.data.readers.base import Reader, UnreadableError
from trainers.errors import nearest
from trainers.registry import Registry

_registry: Registry[Reader] = Registry("reader", "trainers.data.readers")
register = _registry.register
names = _registry.names
get = _registry.get

__all__ = ["Reader", "UnreadableError", "get", "names", "read", "read_shape", "register"]


def read(path: Path) -> NDArray[np.float32]:
    """The image in `path` as float32 [C, *S]. Raises UnreadableError with a one-line reason."""
    reader = _reader(path)
    try:
        return np.ascontiguousarray(reader.read(path), dtype=np.float32)
    except UnreadableError:
        raise
    except Exception as error:  # decoders raise nearly anything on broken bytes: EOFError, SyntaxError, zlib.error ...
        raise UnreadableError(_reason(error)) from error


def read_shape(path: Path) -> tuple[int, ...]:
    """The shape (C, *S) that `read` would give, from the header alone. Raises UnreadableError."""
    reader = _reader(path)
    try:
        return reader.shape(path)
    except UnreadableError:
        raise
    except Exception as error:  # as in read
        raise UnreadableError(_reason(error)) from error


def _reader(path: Path) -> Reader:
    matching = [ending for ending in names() if path.name.lower().endswith(ending)]
    if not matching:
        raise UnreadableError(f"no reader for '{path.suffix}'; {nearest(path.suffix, names())}")
    return get(max(matching, key=len))()


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"cannot be read: {type(error).__name__}{': ' + text if text else ''}"
