"""Headers whose voxels lie in other files, which their text names."""

import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from contrasweep.trainers.data.readers.base import UnreadableError

_PATTERN = re.compile(r"(\S*%0?\d*d\S*)((?:\s+-?\d+){3,4})")
_NUMBERED = re.compile(r"%0?\d*d")
MOST_FILES = 100_000


def data_files(header: Path, said: str, listed: Iterable[str]) -> list[Path]:
    """The files that `header` names: one, those `listed` on its next lines, or numbered ones, "i%03d.raw 1 10 1".

    Raises UnreadableError where a name leads out of the header's folder; the files may be missing.
    """
    names = [said]
    if said.split()[:1] == ["LIST"]:
        names = [line.strip() for line in listed if line.strip()]
    elif numbered := _PATTERN.fullmatch(said):
        names = _numbered(numbered[1], [int(number) for number in numbered[2].split()])
    return [_data_file(header, name) for name in names]


def _numbered(pattern: str, numbers: Sequence[int]) -> list[str]:
    first, last, step = numbers[:3]
    if not step or math.copysign(1, step) * (last - first) < 0 or abs(last - first) > MOST_FILES * abs(step):
        raise UnreadableError(f"numbers its data files from {first} to {last} by {step}")
    if len(_NUMBERED.findall(pattern)) != 1 or pattern.count("%") != 1:
        raise UnreadableError(f"names its data files '{pattern}'; one number is allowed in it")
    return [pattern % number for number in range(first, last + (1 if step > 0 else -1), step)]


def _data_file(header: Path, name: str) -> Path:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or re.search(r"[\\:]", name) or not name.isprintable() or name == "-":
        raise UnreadableError(f"names {name!r} as its data file; allowed: a file in the header's folder")
    return header.parent / path
