"""What a reader is."""

from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray


class UnreadableError(Exception):
    """A file that holds no image we can use; the message is the reason, in one line."""


class Reader(Protocol):
    """Reads one format. Both methods may raise anything on a broken file; the caller names the file."""

    def read(self, path: Path) -> NDArray[Any]:
        """The image [C, *S], channels first."""
        ...

    def shape(self, path: Path) -> tuple[int, ...]:
        """(C, *S) without decoding the image."""
        ...
