"""This program's own code: its digest, and a copy for a cluster that has another."""

import hashlib
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOMS = ("search_spaces", "services", "trainers")
_ROOT = Path(__file__).parents[2]
_COMPILED = "__pycache__"


@cache
def code_digest(rooms: tuple[str, ...] = ROOMS) -> str:
    """The sha256 of this program's own files, in the order of their names; of one process it is always the same."""
    digest = hashlib.sha256()
    for path in _files(rooms):
        digest.update(f"{path.relative_to(_ROOT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def copy_code(folder: Path) -> None:
    """Copy the packages of this program into `folder`."""
    for room in ROOMS:
        shutil.copytree(_ROOT / room, folder / room, ignore=shutil.ignore_patterns(_COMPILED))


def _files(rooms: tuple[str, ...]) -> Iterator[Path]:
    paths = (path for room in rooms for path in (_ROOT / room).rglob("*"))
    yield from sorted(path for path in paths if path.is_file() and _COMPILED not in path.parts)
