"""Files that are there whole or not at all."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

if TYPE_CHECKING:
    from upath import UPath

PARTIAL: Final = re.compile(r"\.(?:(?P<first>\d+)(?:-former)?\..+|.+\.(?P<last>\d+))")
"""What `replacing` and `placing` call a file until it is whole, with the process that writes it."""


@contextmanager
def replacing(path: Path, former: Path | None = None) -> Iterator[BinaryIO]:
    """A file that takes the place of `path` when the block ends well; a crash leaves the old file or the new one.

    With `former` the old file is kept under that name; where files cannot be linked a crash may leave it there alone.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if former and path.exists():
            _keep(path, former)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _keep(path: Path, former: Path) -> None:
    former.unlink(missing_ok=True)
    try:
        os.link(path, former)
    except OSError:
        path.replace(former)


def write_atomically(path: "Path | UPath", content: bytes) -> None:
    """Replace `path` by `content`, whole or not at all, which is how object stores write anyway."""
    if not isinstance(path, Path):
        path.write_bytes(content)
        return
    with replacing(path) as file:
        file.write(content)


@contextmanager
def placing(path: Path) -> Iterator[Path]:
    """A free path, of the same ending, for a file or folder that takes the place of `path` when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial, former = (path.with_name(f".{os.getpid()}{behind}.{path.name}") for behind in ("", "-former"))
    try:
        yield partial
        if path.is_dir():  # which no other takes the place of
            path.rename(former)
        partial.replace(path)
        remove(former)
    finally:
        remove(partial)


def remove(path: Path) -> None:
    """Remove a file, or a folder with all that is in it, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
