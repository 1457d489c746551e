"""What is checked of a path before any reader opens it."""

import os
import stat
from pathlib import Path

from trainers.data.readers.base import UnreadableError


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
