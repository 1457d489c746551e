"""Files that may be packed by gzip: opened, and their headers' claims compared with their size."""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from contrasweep.trainers.data.readers.base import UnreadableError

GZIP = b"\x1f\x8b"
DEFLATE = 1032
"""The most bytes that one byte of a gzip or zlib stream can hold."""


@contextmanager
def opened(path: Path, packed_ending: str) -> Iterator[IO[bytes]]:
    """The file's bytes, unpacked where its name says that they are packed, as `packed_ending` does."""
    packed = is_packed(path)
    with path.open("rb") as file:
        if (file.read(2) == GZIP) != packed:
            wrong = "is no gzip file" if packed else f"is a gzip file: its name must end in {packed_ending}"
            raise UnreadableError(wrong)
    try:
        with path.open("rb") as file:
            yield cast(IO[bytes], gzip.GzipFile(fileobj=file)) if packed else file
    except EOFError:
        raise UnreadableError("ends early: its gzip stream is cut off") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise UnreadableError(f"is damaged: {error}") from error


def is_packed(path: Path) -> bool:
    """Whether a file's name says that it is packed."""
    return path.name.lower().endswith((".gz", ".mgz"))


def check_size(path: Path, promised: int) -> None:
    """Raise UnreadableError where a file cannot hold the bytes that its header promises."""
    size = path.stat().st_size
    if promised > size * (DEFLATE if is_packed(path) else 1):
        raise UnreadableError(f"ends early: its header promises {promised} bytes, the file has {size}")


def check_half(path: Path, packed_ending: str, promised: int) -> None:
    """The same of a file whose header is another file, and where it is packed as `opened` would not take it."""
    check_size(path, promised)
    with opened(path, packed_ending) as stream:
        stream.read(1)


def read_to_end(stream: IO[bytes]) -> None:
    """Read what is left: gzip compares its checksum at the end of the file only."""
    while stream.read(1 << 20):
        pass
