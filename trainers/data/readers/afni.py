"""AFNI's volumes, .HEAD and .BRIK, through nibabel."""

import gzip
import io
import math
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contrasweep.trainers.data.readers import UnreadableError, register
from contrasweep.trainers.data.readers._files import check_other, other_half
from contrasweep.trainers.data.readers._orient import to_ras
from contrasweep.trainers.data.readers._packed import check_half, opened, read_to_end
from contrasweep.trainers.data.readers.base import Header, Image, check_shape

SECONDS = {77001: 1e-3, 77002: 1.0}
"""In a unit of time by its code: millisecond, second."""
SAMPLE = {
    "DATASET_RANK": ("integer", "3 1"),
    "DATASET_DIMENSIONS": ("integer", "7 8 9"),
    "BRICK_TYPES": ("integer", "1"),
    "BYTEORDER_STRING": ("string", "'LSB_FIRST~"),
    "DELTA": ("float", "2 1 1"),
    "IJK_TO_DICOM_REAL": ("float", "0 0 1 5 2 0 0 6 0 1 0 7"),
}


@register(".brik")
@register(".brik.gz")
@register(".head")
class Afni:
    """[1, X, Y, Z], or [T, X, Y, Z] of several sub-bricks, axes in the closest RAS+ order, scaled as the header says.

    Read from the .HEAD and .BRIK file of one name, either of them named.
    """

    def read(self, path: Path) -> Image:
        """Scaled values."""
        from nibabel.brikhead import AFNIArrayProxy

        head, brik = _halves(path)
        header = _header(head, brik)
        with opened(brik, ".BRIK.gz") as stream:
            values = np.asanyarray(AFNIArrayProxy(stream, header, mmap=False))
            read_to_end(stream)
        return _placed(values, header)

    def header(self, path: Path) -> Header:
        """(1 or T, X, Y, Z) after reorienting."""
        header = _header(*_halves(path))
        image = _placed(np.broadcast_to(np.float32(0), header.get_data_shape()), header)  # takes no memory
        return Header(shape=image.values.shape, affine=image.affine, orientation=image.orientation, step_s=image.step_s)

    def files(self, path: Path) -> Sequence[Path]:
        """Both."""
        return _halves(path)

    def write_sample(self, path: Path) -> tuple[int, ...]:
        """A volume whose axes run along -y, z, -x, so that [7, 8, 9] becomes [9, 7, 8]."""
        stem, ending = path.name.split(".", 1)
        head = path.with_name(f"{stem}.head")
        brik = path.with_name(f"{stem}.brik") if ending == "head" else path
        attributes = [
            f"type = {kind}-attribute\nname = {name}\ncount = {len(said.split())}\n{said}\n"
            for name, (kind, said) in SAMPLE.items()
        ]
        head.write_text("\n" + "\n".join(attributes))
        values = np.arange(504, dtype="<i2").tobytes()
        with gzip.open(brik, "wb") if brik.suffix == ".gz" else brik.open("wb") as file:
            file.write(values)
        return 1, 9, 7, 8


def _halves(path: Path) -> tuple[Path, Path]:
    """The .HEAD and the .BRIK file, of which `path` is one."""
    name = path.name.lower()
    if name.endswith(".head"):
        return path, other_half(path, ".head", [".brik", ".brik.gz"])
    return other_half(path, ".brik.gz" if name.endswith(".gz") else ".brik", [".head"]), path


def _header(head: Path, brik: Path) -> Any:
    """The header, checked before anything is allocated by it."""
    from nibabel.brikhead import AFNIHeader, parse_AFNI_header

    for half in (head, brik):
        check_other(half, "its half")
    text = head.read_text(encoding="latin-1")
    if not re.match(r"\s*type\s*=", text):
        raise UnreadableError("is no AFNI header, or a damaged one")
    try:
        header = AFNIHeader(parse_AFNI_header(io.StringIO(text)))
        kind = header.info["IJK_TO_DICOM_REAL"] and header.get_data_dtype()
    except KeyError as error:
        raise UnreadableError(f"has no {error.args[0]} in its header") from error
    if kind.kind not in "iuf":
        raise UnreadableError("holds complex numbers or colours; one real number for each voxel is needed")
    check_shape(header.get_data_shape())
    check_half(brik, ".BRIK.gz", math.prod(header.get_data_shape()) * kind.itemsize)
    return header


def _placed(volume: NDArray[Any], header: Any) -> Image:
    """Values [X, Y, Z, T] where the header says that they lie."""
    image = to_ras(volume, header.get_affine())
    unit, step = header.info.get("TAXIS_NUMS", (0, 0, 0))[2], header.get_zooms()[3]
    return replace(image, step_s=float(step) * SECONDS[unit] if unit in SECONDS and step > 0 else None)
