"""What is checked of a path before any reader opens it."""

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from contrasweep.trainers.data.readers.base import UnreadableError

_FIRST_ELEMENTS = (b"\2\0\0\0", *(b"\x08\0" + bytes([element, 0]) for element in (0, 1, 5, 8, 22)))
"""Tags that a little-endian DICOM data set begins with where there is no preamble before it."""


def is_dicom(path: Path) -> bool:
    """Whether a file begins as DICOM does, with a preamble or without."""
    with path.open("rb") as file:
        start = file.read(132)
    return start[128:] == b"DICM" or start.startswith(_FIRST_ELEMENTS)


def check_file(path: Path) -> None:
    """Raise UnreadableError where `path` is missing, may not be read, is empty or is no regular file."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # to open a pipe would wait for a writer
            raise UnreadableError("is a folder" if stat.S_ISDIR(status.st_mode) else "is no regular file")
        with path.open("rb"):
            pass
    except FileNotFoundError:
        if path.is_symlink():
            raise UnreadableError(f"is a link to {os.readlink(path)}, which is missing") from None
        raise UnreadableError("no such file") from None
    except PermissionError:
        raise UnreadableError("no permission to read") from None
    except OSError as error:
        raise UnreadableError(f"cannot be opened: {error.strerror}") from error
    if not status.st_size:
        raise UnreadableError("is empty")


def check_other(path: Path, what: str) -> None:
    """The same of another file than the one that was named; `what` it is to that one begins the reason."""
    try:
        check_file(path)
    except UnreadableError as error:
        raise UnreadableError(f"{what} {path.name}: {error}") from None


def other_half(path: Path, ending: str, others: Sequence[str]) -> Path:
    """The other file of an image that is in two: named as `path` is, with one of the `others` instead of `ending`.

    These are lower case; upper case is found, too, with ".gz" in either. Raises UnreadableError where there is none.
    """
    stem = path.name[: -len(ending)]
    is_lower = path.name[len(stem) + 1].islower()
    spelt = [each for other in others for each in (other, other.upper().replace(".GZ", ".gz"), other.upper())]
    spelt.sort(key=lambda each: each[1].islower() != is_lower)
    for each in spelt:
        if os.path.lexists(path.with_name(stem + each)):
            return path.with_name(stem + each)
    raise UnreadableError(f"is half of an image: {stem + spelt[0]} is missing")
