"""NIfTI volumes through nibabel."""

import gzip
import logging
import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from numpy.typing import NDArray

from trainers.data.readers import UnreadableError, register
from trainers.data.readers._orient import check_affine, to_ras
from trainers.data.readers.base import Header, Image, check_shape

GZIP = b"\x1f\x8b"
DEFLATE = 1032
"""The most bytes that one byte of a gzip stream can hold."""
MILLIMETRES = {1: 1000.0, 3: 0.001}
"""In a unit of length by its code: metre, micron. The others are the millimetre, and no unit."""
SECONDS = {8: 1.0, 16: 1e-3, 24: 1e-6}
"""In a unit of time by its code: second, millisecond, microsecond."""
SIZE_TOLERANCE = 0.01
"""How far the voxel sizes of sform and qform may differ, as a share."""

# nibabel prints what it puts right in a header
logging.getLogger("nibabel.global").disabled = True


@register(".nii")
@register(".nii.gz")
class Nifti:
    """[1, X, Y, Z], or [T, X, Y, Z] from a series, axes in the closest RAS+ order, scaled as the header says.

    Reorienting makes files that differ only in how they were written equal voxel by voxel. A picture of two
    dimensions stays as it is stored, [1, X, Y]; of more than four, all but one after the third must be 1.

    Where both sform and qform are set, the sform counts, as in nibabel. They may speak of different spaces, but a file
    whose forms disagree in orientation or by more than 1 % in voxel sizes is refused: one of them is wrong, and
    left may be right. Where neither is set, axes are taken as nibabel takes them and `orientation` is None. Lengths in
    metres or microns become millimetres.
    """

    def read(self, path: Path) -> Image:
        """Scaled values in the header's unit."""
        with _opened(path) as stream:
            header = _header(stream, path)
            volume = _series(_volume(header, stream))
            while stream.read(1 << 20):  # gzip compares its checksum at the end of the file only
                pass
        return _placed(volume, header)

    def header(self, path: Path) -> Header:
        """(1 or T, X, Y, Z) after reorienting."""
        with _opened(path) as stream:
            header = _header(stream, path)
        blank = np.broadcast_to(np.float32(0), header.get_data_shape())  # takes no memory
        image = _placed(_series(blank), header)
        return Header(shape=image.values.shape, affine=image.affine, orientation=image.orientation, step_s=image.step_s)

    def write_sample(self, path: Path) -> tuple[int, ...]:
        """A volume whose axes run along -y, z, -x, so that [3, 4, 5] becomes [5, 3, 4]."""
        import nibabel as nib

        affine = np.array([[0.0, 0, -1, 5], [-2, 0, 0, 6], [0, 1, 0, 7], [0, 0, 0, 1]])
        nib.save(nib.Nifti1Image(np.arange(60, dtype=np.int16).reshape(3, 4, 5), affine), path)
        return 1, 5, 3, 4


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """The file's bytes, unpacked."""
    packed = path.name.lower().endswith(".gz")
    with path.open("rb") as file:
        if (file.read(2) == GZIP) != packed:
            raise UnreadableError("is no gzip file" if packed else "is a gzip file: its name must end in .nii.gz")
    try:
        with path.open("rb") as file:
            yield cast(IO[bytes], gzip.GzipFile(fileobj=file)) if packed else file
    except EOFError:
        raise UnreadableError("ends early: its gzip stream is cut off") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise UnreadableError(f"is damaged: {error}") from error


def _header(stream: IO[bytes], path: Path) -> Any:
    """The header at the start of `stream`, checked before anything is allocated by it."""
    header = _parse(stream.read(540))
    shape = header.get_data_shape()
    check_shape(shape)
    _check_voxel_sizes(header["pixdim"][1 : 1 + min(len(shape), 3)])
    header.check_fix()
    _check_kind(header.get_data_dtype())
    _check_forms(header)
    promised = header.get_data_offset() + math.prod(shape) * header.get_data_dtype().itemsize
    size = path.stat().st_size
    if promised > size * (DEFLATE if path.name.lower().endswith(".gz") else 1):
        raise UnreadableError(f"ends early: its header promises {promised} bytes, the file has {size}")
    return header


def _parse(block: bytes) -> Any:
    """A NIfTI-1 or NIfTI-2 header, as it is written."""
    import nibabel as nib

    kinds: tuple[Any, ...] = (nib.nifti1.Nifti1Header, nib.nifti2.Nifti2Header)
    if len(block) < kinds[0].sizeof_hdr:
        raise UnreadableError(f"ends early: it has {len(block)} bytes, a header {kinds[0].sizeof_hdr}")
    for kind in kinds:
        if kind.may_contain_header(block):
            header = kind(block[: kind.sizeof_hdr], check=False)
            break
    else:
        raise UnreadableError("is no NIfTI file")
    if header["magic"].item() != header.single_magic:
        raise UnreadableError("is the header of a .hdr and .img pair; one file with both is needed")
    if header.get_data_offset() < header.single_vox_offset:
        raise UnreadableError(f"says that its voxels begin at byte {header.get_data_offset()}, inside its header")
    return header


def _check_voxel_sizes(sizes: NDArray[Any]) -> None:
    if not (np.isfinite(sizes) & (sizes != 0)).all():
        raise UnreadableError(f"says that its voxels measure {_by(sizes)} mm")


def _check_kind(dtype: np.dtype[Any]) -> None:
    if dtype.kind not in "iuf":
        raise UnreadableError(
            f"holds {'complex numbers' if dtype.kind == 'c' else 'colours'}; one real number for each voxel is needed"
        )


def _check_forms(header: Any) -> None:
    import nibabel as nib

    check_affine(header.get_best_affine())
    sform, qform = header.get_sform(coded=True)[0], header.get_qform(coded=True)[0]
    if sform is None or qform is None:
        return
    axes = ["".join(nib.aff2axcodes(form)) for form in (sform, qform)]
    sizes = [nib.affines.voxel_sizes(form) for form in (sform, qform)]
    if axes[0] != axes[1] or not np.allclose(sizes[0], sizes[1], rtol=SIZE_TOLERANCE, atol=0):
        raise UnreadableError(
            f"sform says {axes[0]} {_by(sizes[0])} mm, qform {axes[1]} {_by(sizes[1])} mm; "
            "they must agree, or the wrong one have code 0"
        )


def _by(sizes: NDArray[Any]) -> str:
    return " x ".join(f"{size:.4g}" for size in sizes)


def _volume(header: Any, stream: IO[bytes]) -> NDArray[Any]:
    try:
        values: NDArray[Any] = header.data_from_fileobj(stream)
    except gzip.BadGzipFile:
        raise
    except OSError as error:
        raise UnreadableError("ends early: it unpacks to fewer bytes than its header promises") from error
    return values


def _series(volume: NDArray[Any]) -> NDArray[Any]:
    """[X, Y, Z, T] of what has more axes than four, one of them of time or of components."""
    if volume.ndim <= 3:
        return volume
    channels = [length for length in volume.shape[3:] if length > 1]
    if len(channels) > 1:
        raise UnreadableError(f"has shape {_by(np.array(volume.shape))}; allowed: three axes and a series of them")
    return volume.reshape(*volume.shape[:3], *(channels or [1]), order="F")


def _placed(volume: NDArray[Any], header: Any) -> Image:
    known = header["sform_code"] > 0 or header["qform_code"] > 0
    unit_mm = MILLIMETRES.get(int(header["xyzt_units"]) % 8, 1.0)
    affine = np.diag([unit_mm, unit_mm, unit_mm, 1.0]) @ header.get_best_affine()
    if volume.ndim < 3:
        return Image(values=volume[None], affine=affine)
    image = to_ras(volume, affine)
    return replace(image, orientation=image.orientation if known else None, step_s=_step_s(header))


def _step_s(header: Any) -> float | None:
    """Seconds from volume to volume, where there are several and the header says."""
    steps = header.get_zooms()[3:4]
    seconds = SECONDS.get(int(header["xyzt_units"]) & 56)
    return float(steps[0]) * seconds if steps and seconds and steps[0] > 0 else None
