"""NIfTI and ANALYZE volumes in two files, .hdr and .img, through nibabel."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contrasweep.trainers.data.readers import UnreadableError, register
from contrasweep.trainers.data.readers._files import check_other, other_half
from contrasweep.trainers.data.readers._nifti import (
    LONGEST_HEADER,
    check,
    parse,
    placed,
    placed_header,
    promised,
    voxels,
    world,
)
from contrasweep.trainers.data.readers._orient import check_affine, to_ras
from contrasweep.trainers.data.readers._packed import check_half, opened, read_to_end
from contrasweep.trainers.data.readers.base import Form, Header, Image


@register(".hdr")
@register(".hdr.gz")
@register(".img")
@register(".img.gz")
@dataclass(frozen=True)
class Pair:
    """What `.nii` gives, from the .hdr and .img file of one name, either of them named.

    ANALYZE says the sizes of voxels, and not how they lie: axes are taken as nibabel takes them, from right to left,
    and `orientation` is None. Where SPM has written a .mat file beside, that says it.
    """

    affine: Form | None = None

    def read(self, path: Path) -> Image:
        """Scaled values."""
        halves = _halves(path)
        header = _header(halves)
        with opened(halves[1], ".img.gz") as stream:
            volume = voxels(header, stream)
            read_to_end(stream)
        return placed(volume, header, world(header, self.affine)) if _is_nifti(header) else _analyze(volume, halves)

    def header(self, path: Path) -> Header:
        """(1 or T, X, Y, Z) after reorienting."""
        halves = _halves(path)
        header = _header(halves)
        if _is_nifti(header):
            return placed_header(header, world(header, self.affine))
        image = _analyze(np.broadcast_to(np.float32(0), header.get_data_shape()), halves)  # takes no memory
        return Header(shape=image.values.shape, affine=image.affine, orientation=image.orientation)

    def files(self, path: Path) -> Sequence[Path]:
        """Both, and SPM's .mat file where there is one."""
        halves = _halves(path)
        return [*halves, *(mat for mat in [_mat(halves[0])] if os.path.lexists(mat))]

    def write_sample(self, path: Path) -> tuple[int, ...]:
        """A volume whose axes run along -y, z, -x, so that [7, 8, 9] becomes [9, 7, 8]."""
        import nibabel as nib

        affine = np.array([[0.0, 0, -1, 5], [-2, 0, 0, 6], [0, 1, 0, 7], [0, 0, 0, 1]])
        nib.save(nib.Nifti1Pair(np.arange(504, dtype=np.int16).reshape(7, 8, 9), affine), path)
        return 1, 9, 7, 8


def _halves(path: Path) -> tuple[Path, Path]:
    """The .hdr and the .img file, of which `path` is one."""
    packed = ".gz" if path.name.lower().endswith(".gz") else ""
    if path.name.lower().endswith(f".img{packed}"):
        return other_half(path, f".img{packed}", [f".hdr{packed}"]), path
    return path, other_half(path, f".hdr{packed}", [f".img{packed}"])


def _header(halves: tuple[Path, Path]) -> Any:
    """The header, checked before anything is allocated by it."""
    import nibabel as nib

    for half in halves:
        check_other(half, "its half")
    with opened(halves[0], ".hdr.gz") as stream:
        block = stream.read(LONGEST_HEADER)
    kinds = (nib.nifti1.Nifti1PairHeader, nib.nifti2.Nifti2PairHeader, nib.spm2analyze.Spm2AnalyzeHeader)
    header = parse(block, kinds, "header of NIfTI or ANALYZE")
    if _is_nifti(header) and header["magic"].item() != header.pair_magic:
        raise UnreadableError("is the header of a file that holds its voxels, too: its name must end in .nii")
    check(header)
    if header.get_data_offset() < 0:
        raise UnreadableError(f"says that its voxels begin at byte {header.get_data_offset()}")
    check_half(halves[1], ".img.gz", promised(header))
    return header


def _is_nifti(header: Any) -> bool:
    return "magic" in set(header.keys())


def _mat(header: Path) -> Path:
    """Where SPM writes how the voxels lie."""
    return header.with_name(re.sub(r"\.hdr(\.gz)?$", ".mat", header.name, flags=re.IGNORECASE))


def _analyze(volume: NDArray[Any], halves: tuple[Path, Path]) -> Image:
    """Values [X, Y, Z] or [X, Y, Z, T] where SPM or else nibabel says that they lie."""
    import nibabel as nib

    mat = _mat(halves[0])
    names = {"header": halves[0], "image": halves[1], "mat": mat}
    holders = {key: nib.FileHolder(filename=str(path)) for key, path in names.items()}
    affine = nib.spm2analyze.Spm2AnalyzeImage.from_file_map(holders).affine
    if volume.ndim < 3:
        check_affine(affine)
        return Image(values=volume[None], affine=affine)
    image = to_ras(volume, affine)
    return image if mat.exists() else replace(image, orientation=None)
