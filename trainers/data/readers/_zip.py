"""Images in .zip archives, as UK Biobank hands them out: `scan.zip/T1/T1.nii.gz` is a member, unpacked to be read."""

import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path, PurePosixPath

from contrasweep.trainers.data.readers.base import MOST_VALUES, UnreadableError

_MOST_BYTES = 8 * MOST_VALUES


def archive(path: Path) -> Path | None:
    """The .zip file that a path goes on into, if it does."""
    above = (parent for parent in path.parents if parent.suffix.lower() == ".zip")
    return next((parent for parent in above if parent.is_file()), None)


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """The path itself, or the member that it names, a file or a folder, unpacked for as long as the block.

    Raises UnreadableError as `check_member` does, and where the archive is damaged.
    """
    found = archive(path)
    if found is None:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="contrasweep-zip-") as folder:
        place = Path(folder) / path.name
        _unpack(found, path.relative_to(found).as_posix(), place)
        yield place


def check_member(path: Path) -> None:
    """Raise UnreadableError where `path` goes on into an archive that does not hold it, or not so that it may be read.

    Nothing is unpacked.
    """
    if (found := archive(path)) is not None:
        with _opened(found) as opened:
            _members(opened, path.relative_to(found).as_posix())


def _unpack(found: Path, name: str, place: Path) -> None:
    with _opened(found) as opened:
        members = _members(opened, name)
        if members[0].filename != name:
            place.mkdir()
        for member in members:
            file = place if member.filename == name else place / PurePosixPath(member.filename).name
            with opened.open(member) as source, file.open("xb") as copy:
                shutil.copyfileobj(source, copy)


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as opened:
            yield opened
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise UnreadableError(f"{path.name} is no .zip archive that can be read, or a damaged one: {error}") from error


def _members(opened: zipfile.ZipFile, name: str) -> list[zipfile.ZipInfo]:
    """The member of that very name, or those that lie in it where it is a folder, not in folders below."""
    if ".." in name.split("/"):
        raise UnreadableError(f"'{name}' climbs out of the archive")
    everything = [info for info in opened.infolist() if not info.is_dir()]
    found = [info for info in everything if info.filename == name]
    found = found or [info for info in everything if str(PurePosixPath(info.filename).parent) == name]
    if not found:
        raise UnreadableError(f"{Path(str(opened.filename)).name} holds no '{name}'{_alike(name, everything)}")
    if len({info.filename for info in found}) < len(found):
        raise UnreadableError(f"'{name}' is twice in the archive")
    if any(stat.S_ISLNK(info.external_attr >> 16) for info in found):
        raise UnreadableError(f"'{name}' is a link in the archive")
    if any(info.flag_bits & 1 for info in found):
        raise UnreadableError(f"'{name}' is encrypted")
    if sum(info.file_size for info in found) > _MOST_BYTES:
        raise UnreadableError(f"'{name}' claims {sum(info.file_size for info in found)} bytes")
    return found


def _alike(name: str, everything: Sequence[zipfile.ZipInfo]) -> str:
    """The member whose name is nearest, as a question."""
    names = [info.filename for info in everything]
    return "".join(f"; did you mean '{match}'?" for match in get_close_matches(name, names, n=1))
