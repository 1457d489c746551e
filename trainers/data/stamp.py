"""Whether a local file is still the one that was seen before, told without reading it."""

from pathlib import Path

Stamp = tuple[int, int, int, int]


def stamp(path: Path) -> Stamp:
    """Size, inode, and the times in ns when the content and the inode changed. Raises OSError where there is no file.

    Size and time of the content are not enough: archives give all files one time, and files that change places keep it.
    """
    status = path.stat()
    return status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns
