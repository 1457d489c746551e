"""FreeSurfer's volumes through nibabel."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contrasweep.trainers.data.readers import UnreadableError, register
from contrasweep.trainers.data.readers._orient import to_ras
from contrasweep.trainers.data.readers._packed import check_size, opened, read_to_end
from contrasweep.trainers.data.readers.base import Header, Image, check_shape

HEADER, FIELDS, FOOTER = 284, 90, 20
"""Bytes before the voxels, of which the first are used, and after them, where the times of a series are."""
KNOWN = slice(28, 30)
"""Where the header says whether it says how the voxels lie: it does not where both bytes are zero."""


@register(".mgh")
@register(".mgz")
class FreeSurfer:
    """[1, X, Y, Z], or [T, X, Y, Z] from a series of frames, axes in the closest RAS+ order.

    The same as of the volume in NIfTI. Where the header does not say how the voxels lie, they are taken as FreeSurfer
    takes them, coronal slices of 1 mm, and `orientation` is None.
    """

    def read(self, path: Path) -> Image:
        """Values as stored."""
        with opened(path, ".mgz") as stream:
            block = stream.read(HEADER)
            header = _header(block, path)
            voxels, footer = stream.read(_size(header)), stream.read(FOOTER)
            read_to_end(stream)
        if len(voxels) < _size(header):
            raise UnreadableError("ends early: it unpacks to fewer bytes than its header promises")
        values = np.frombuffer(voxels, header.get_data_dtype()).reshape(header.get_data_shape(), order="F")
        return _placed(values, block, footer)

    def header(self, path: Path) -> Header:
        """(1 or T, X, Y, Z) after reorienting; a series is unpacked to its end, where its times are."""
        with opened(path, ".mgz") as stream:
            block, footer = stream.read(HEADER), b""
            header = _header(block, path)
            if len(header.get_data_shape()) == 4:
                stream.seek(HEADER + _size(header))
                footer = stream.read(FOOTER)
        image = _placed(np.broadcast_to(np.float32(0), header.get_data_shape()), block, footer)  # takes no memory
        return Header(shape=image.values.shape, affine=image.affine, orientation=image.orientation, step_s=image.step_s)

    def write_sample(self, path: Path) -> tuple[int, ...]:
        """A volume as recon-all conforms it, its axes towards left, inferior, anterior."""
        import nibabel as nib

        affine = np.array([[-1.0, 0, 0, 2], [0, 0, 1, -2], [0, -1, 0, 2], [0, 0, 0, 1]])
        nib.save(nib.MGHImage(np.arange(60, dtype=np.int16).reshape(3, 4, 5), affine), path)
        return 1, 3, 5, 4


def _header(block: bytes, path: Path) -> Any:
    """The header at the file's start, checked before anything is allocated by it."""
    from nibabel.freesurfer.mghformat import MGHHeader, data_type_codes

    if len(block) < HEADER:
        raise UnreadableError(f"ends early: it has {len(block)} bytes, a header {HEADER}")
    header = MGHHeader(block[:FIELDS], check=False)
    if header["version"] != 1:
        raise UnreadableError("is no FreeSurfer volume: its version is not 1")
    if int(header["type"]) not in data_type_codes.code:
        raise UnreadableError(f"holds voxels of type {int(header['type'])}; one real number for each voxel is needed")
    check_shape([int(length) for length in header.get_data_shape()])
    check_size(path, HEADER + _size(header))
    return header


def _size(header: Any) -> int:
    """Bytes of the voxels."""
    return math.prod(int(length) for length in header.get_data_shape()) * int(header.get_data_dtype().itemsize)


def _placed(volume: NDArray[Any], block: bytes, footer: bytes) -> Image:
    """Values [X, Y, Z] or [X, Y, Z, T] where the header says that they lie."""
    from nibabel.freesurfer.mghformat import MGHHeader

    header = MGHHeader(block[:FIELDS] + footer, check=False)
    image = to_ras(volume, header.get_affine())
    step_ms = float(header["tr"]) if volume.ndim == 4 else 0.0
    return replace(
        image,
        orientation=image.orientation if any(block[KNOWN]) else None,
        step_s=step_ms / 1000 if 0 < step_ms < math.inf else None,
    )
