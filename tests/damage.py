"""What happens to files."""

from pathlib import Path


def cut(path: Path) -> None:
    """Leave the first half of a file."""
    _replace(path, path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    """Change bytes in the middle of a file."""
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 16] = bytes(byte ^ 0xFF for byte in content[middle : middle + 16])
    _replace(path, bytes(content))


def empty(path: Path) -> None:
    """Leave nothing in a file."""
    _replace(path, b"")


def remove(path: Path) -> None:
    """Leave no file."""
    path.unlink()


def _replace(path: Path, content: bytes) -> None:
    """Under this name alone: other runs may share the file."""
    path.unlink()
    path.write_bytes(content)
