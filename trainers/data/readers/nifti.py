"""NIfTI volumes through nibabel."""

from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from contrasweep.trainers.data.readers import UnreadableError, register
from contrasweep.trainers.data.readers._nifti import (
    CIFTI,
    LONGEST_HEADER,
    check,
    parse,
    placed,
    placed_header,
    promised,
    voxels,
    world,
)
from contrasweep.trainers.data.readers._packed import check_size, opened, read_to_end
from contrasweep.trainers.data.readers.base import Form, Header, Image
from contrasweep.trainers.data.readers.cifti import Cifti


@register(".nii")
@register(".nii.gz")
@dataclass(frozen=True)
class Nifti:
    """[1, X, Y, Z], or [T, X, Y, Z] from a series, axes in the closest RAS+ order, scaled as the header says.

    Reorienting makes files that differ only in how they were written equal voxel by voxel. A picture of two
    dimensions stays as it is stored, [1, X, Y]; of more than four, all but one after the third must be 1.

    Where both sform and qform are set, the sform counts, as in nibabel. They may speak of different spaces, but a file
    whose forms disagree in orientation or by more than 1 % in voxel sizes is refused: one of them is wrong, and
    left may be right. `affine` says which counts in such a file. A quaternion that is longer than 1 by rounding is read
    as one of length 1. Where neither form is set, axes are taken as nibabel takes them and `orientation` is None.
    Lengths in metres or microns become millimetres. A CIFTI-2 matrix is read as it is under its own ending.
    """

    affine: Form | None = None

    def read(self, path: Path) -> Image:
        """Scaled values in the header's unit."""
        with opened(path, ".nii.gz") as stream:
            header = _header(stream, path)
            if header["intent_code"] in CIFTI:
                return Cifti().read(path)
            affine = world(header, self.affine)
            volume = voxels(header, stream)
            read_to_end(stream)
        return placed(volume, header, affine)

    def header(self, path: Path) -> Header:
        """(1 or T, X, Y, Z) after reorienting."""
        with opened(path, ".nii.gz") as stream:
            header = _header(stream, path)
        if header["intent_code"] in CIFTI:
            return Cifti().header(path)
        return placed_header(header, world(header, self.affine))

    def write_sample(self, path: Path) -> tuple[int, ...]:
        """A volume whose axes run along -y, z, -x, so that [3, 4, 5] becomes [5, 3, 4]."""
        import nibabel as nib

        affine = np.array([[0.0, 0, -1, 5], [-2, 0, 0, 6], [0, 1, 0, 7], [0, 0, 0, 1]])
        nib.save(nib.Nifti1Image(np.arange(60, dtype=np.int16).reshape(3, 4, 5), affine), path)
        return 1, 5, 3, 4


def _header(stream: IO[bytes], path: Path) -> Any:
    """The header at the start of `stream`, checked before anything is allocated by it."""
    header = parse(stream.read(LONGEST_HEADER))
    if header["magic"].item() != header.single_magic:
        raise UnreadableError("is the header of a .hdr and .img pair; one file with both is needed")
    if header.get_data_offset() < header.single_vox_offset:
        raise UnreadableError(f"says that its voxels begin at byte {header.get_data_offset()}, inside its header")
    if header["intent_code"] not in CIFTI:
        check(header)
    check_size(path, promised(header))
    return header
