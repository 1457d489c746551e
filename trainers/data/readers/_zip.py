"""Images in .zip archives, as UK Biobank hands them out: `scan.zip/T1/T1.nii.gz` is a member, unpacked to be read."""

import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from trainers.data.readers.base import MOST_VALUES, UnreadableError

_MOST_BYTES = 8 * MOST_VALUES


def archive(path: Path) -> Path | None:
    """The .zip file that a path goes on into, if it does."""
    above = (parent for parent in path.parents if parent.suffix.lower() == ".zip")
    return next((parent for parent in above if parent.is_file()), None)


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """The path itself, or the member that it names, a file or a folder, unpacked for as long as the block.

    Raises UnreadableError where the archive does not hold it, or it is encrypted.
    """
    found = archive(path)
    if found is None:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="contrasweep-zip-") as folder, _opened(found) as opened:
        place, name = Path(folder) / path.name, path.relative_to(found).as_posix()
        members = _members(opened, name)
        if members[0].filename != name:
            place.mkdir()
        for member in members:
            file = place if member.filename == name else place / PurePosixPath(member.filename).name
            with opened.open(member) as source, file.open("wb") as copy:
                shutil.copyfileobj(source, copy)
        yield place


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as opened:
            yield opened
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise UnreadableError(f"{path.name} is no .zip archive that can be read, or a damaged one: {error}") from error


def _members(opened: zipfile.ZipFile, name: str) -> list[zipfile.ZipInfo]:
    """The member of that very name, or those that lie in it where it is a folder, not in folders below."""
    everything = [info for info in opened.infolist() if not info.is_dir()]
    found = [info for info in everything if info.filename == name]
    found = found or [info for info in everything if str(PurePosixPath(info.filename).parent) == name]
    if not found:
        raise UnreadableError(f"{Path(str(opened.filename)).name} holds no '{name}'")
    if any(info.flag_bits & 1 for info in found):
        raise UnreadableError(f"'{name}' is encrypted")
    if sum(info.file_size for info in found) > _MOST_BYTES:
        raise UnreadableError(f"'{name}' claims {sum(info.file_size for info in found)} bytes")
    return found
