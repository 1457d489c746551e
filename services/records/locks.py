"""A lock on an open file: it goes with the file, and with the process, however it ends."""

import fcntl
from typing import IO


def try_lock(file: IO[str]) -> bool:
    """Lock a file, unless another process has it. Raises OSError where the file system has no locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
