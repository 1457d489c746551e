"""NRRD through SimpleITK: .nrrd files, and .nhdr headers with the files that they name."""

import math
import re
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contrasweep.trainers.data.readers import UnreadableError, register
from contrasweep.trainers.data.readers._detached import data_files
from contrasweep.trainers.data.readers._files import check_other
from contrasweep.trainers.data.readers._itk import header_of, placed
from contrasweep.trainers.data.readers._packed import DEFLATE
from contrasweep.trainers.data.readers.base import Header, Image, check_shape

LONGEST_HEADER = 1 << 20
PACKED = ("gzip", "gz")
SPACES = ("left-posterior-superior", "right-anterior-superior", "left-anterior-superior", "lps", "ras", "las")
"""Those that ITK knows; in another it takes the axes for its own."""
TEXT = ("ascii", "text", "txt", "hex")

_one_at_a_time = threading.Lock()
"""ITK's library for NRRD keeps the text of its errors in one place for all threads."""


@register(".nhdr")
@register(".nrrd")
class Nrrd:
    """[1, X, Y, Z], or [C, X, Y, Z] of several components, or [T, X, Y, Z] of four axes, in the closest RAS+ order.

    The same as of the volume in NIfTI; a picture of two axes stays as it is stored, [1, X, Y]. Where the header names
    no space that ITK knows, it is taken for ITK's, and `orientation` is None. Data files must lie in the folder of the
    header.
    """

    def read(self, path: Path) -> Image:
        """Values as stored."""
        import SimpleITK as sitk

        with _one_at_a_time:
            reader, known = _reader(path)
            values = sitk.GetArrayFromImage(_told(reader.Execute)).T
        return _placed(values if reader.GetNumberOfComponents() > 1 else values[None], reader, known)

    def header(self, path: Path) -> Header:
        """(C or T, X, Y, Z) after reorienting."""
        with _one_at_a_time:
            reader, known = _reader(path)
        blank = np.broadcast_to(np.float32(0), (reader.GetNumberOfComponents(), *reader.GetSize()))  # takes no memory
        return header_of(_placed(blank, reader, known))

    def files(self, path: Path) -> Sequence[Path]:
        """The header, and the data files that it names."""
        return [path, *_data_files(path, _lines(path))]

    def write_sample(self, path: Path) -> tuple[int, ...]:
        """A volume whose axes run along -y, z, -x, so that [7, 8, 9] becomes [9, 7, 8]."""
        import SimpleITK as sitk

        image = sitk.GetImageFromArray(np.arange(504, dtype=np.int16).reshape(7, 8, 9).T)
        image.SetDirection([0, 0, 1, 1, 0, 0, 0, 1, 0])
        sitk.WriteImage(image, str(path))
        return 1, 9, 7, 8


def _reader(path: Path) -> tuple[Any, bool]:
    """ITK's reader with the header read, and whether it names a space; checked before anything is allocated by it."""
    import SimpleITK as sitk

    lines = _lines(path)
    fields = dict(_fields(lines))
    data = _data_files(path, lines)
    for file in data:
        check_other(file, "its data file")
    sitk.ProcessObject.SetGlobalWarningDisplay(False)  # or they are printed
    reader = sitk.ImageFileReader()
    reader.SetImageIO("NrrdImageIO")
    reader.SetFileName(str(path))
    _told(reader.ReadImageInformation)
    if reader.GetPixelID() in (sitk.sitkComplexFloat32, sitk.sitkComplexFloat64):
        raise UnreadableError("holds complex numbers; one real number for each voxel is needed")
    shape = (reader.GetNumberOfComponents(), *reader.GetSize())
    check_shape(shape)
    _check_size(data or [path], math.prod(shape) * _itemsize(reader.GetPixelID()), fields.get("encoding", ""))
    return reader, fields.get("space", "").lower() in SPACES


def _lines(path: Path) -> list[str]:
    """The header's lines up to an empty one, or of the whole file."""
    with path.open("rb") as file:
        block = file.read(LONGEST_HEADER)
    if not block.startswith(b"NRRD000"):
        raise UnreadableError("is no NRRD file")
    return re.split(rb"\r?\n\r?\n", block, maxsplit=1)[0].decode("latin-1").splitlines()


def _fields(lines: Sequence[str]) -> list[tuple[str, str]]:
    """Names, in lower case and without spaces, and what is said, of the fields among the header's lines."""
    parts = [line.partition(":") for line in lines if not line.startswith("#")]
    return [("".join(name.lower().split()), said.strip()) for name, _, said in parts if not said.startswith("=")]


def _data_files(path: Path, lines: Sequence[str]) -> list[Path]:
    """The files that the header names, none where the values follow it."""
    fields = [(index, field) for index, line in enumerate(lines) for field in _fields([line])]
    said = [(index, text) for index, (name, text) in fields if name == "datafile"]
    if len(said) > 1:
        raise UnreadableError(f"says {len(said)} times what its data file is")
    return [file for index, text in said for file in data_files(path, text, lines[index + 1 :])]


def _told(action: Any) -> Any:
    """What ITK gives. Raises UnreadableError with the last line of what it says is wrong."""
    try:
        return action()
    except RuntimeError as error:
        said = [line for line in str(error).splitlines() if line.strip()][-1]
        raise UnreadableError(f"cannot be read: {said.rpartition(']')[2].strip()}") from error


def _placed(values: NDArray[Any], reader: Any, known: bool) -> Image:
    axes = np.array(reader.GetDirection()).reshape(reader.GetDimension(), -1)
    return placed(values, reader.GetSpacing(), reader.GetOrigin(), axes, known)


def _itemsize(pixel: int) -> int:
    import SimpleITK as sitk

    return int(np.dtype(sitk.GetArrayFromImage(sitk.Image([1, 1], pixel)).dtype).itemsize)


def _check_size(files: Sequence[Path], promised: int, encoding: str) -> None:
    size = sum(file.stat().st_size for file in files)
    most = 8 if encoding.lower() in TEXT else DEFLATE if encoding.lower() in PACKED else 1
    if promised > size * most:
        raise UnreadableError(f"ends early: its header promises {promised} bytes, it has {size}")
