"""NIfTI headers and voxels, for each format that has them: checked, scaled and placed."""

import gzip
import logging
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from contrasweep.trainers.data.readers._orient import check_affine, to_ras
from contrasweep.trainers.data.readers.base import Form, Header, Image, UnreadableError, check_shape

LONGEST_HEADER = 540
"""Bytes of a NIfTI-2 header; one of NIfTI-1 has 348."""
MILLIMETRES = {1: 1000.0, 3: 0.001}
"""In a unit of length by its code: metre, micron. The others are the millimetre, and no unit."""
SECONDS = {8: 1.0, 16: 1e-3, 24: 1e-6}
"""In a unit of time by its code: second, millisecond, microsecond."""
SIZE_TOLERANCE = 0.01
"""How far the voxel sizes of sform and qform may differ, as a share."""
QUATERNION_TOLERANCE = 1e-3
"""How much longer than 1 a quaternion may be, as converters that round leave it."""
CIFTI = range(3000, 3100)
"""Intents of matrices of CIFTI-2, which lie in a NIfTI-2 file and are no volumes."""

# nibabel prints what it puts right in a header
logging.getLogger("nibabel.global").disabled = True


def parse(block: bytes, kinds: Sequence[Any] = (), name: str = "NIfTI file") -> Any:
    """A header of one of nibabel's `kinds`, which have this `name`, or of NIfTI-1 or NIfTI-2, as it is written.

    Raises UnreadableError where `block` begins with none.
    """
    import nibabel as nib

    kinds = kinds or (nib.nifti1.Nifti1Header, nib.nifti2.Nifti2Header)
    if len(block) < kinds[0].sizeof_hdr:
        raise UnreadableError(f"ends early: it has {len(block)} bytes, a header {kinds[0].sizeof_hdr}")
    for kind in kinds:
        if kind.may_contain_header(block):
            return kind(block[: kind.sizeof_hdr], check=False)
    raise UnreadableError(f"is no {name}")


def check(header: Any) -> None:
    """Raise UnreadableError where a header is of no volume of real numbers; mends what nibabel can mend."""
    shape = header.get_data_shape()
    check_shape(shape)
    check_voxel_sizes(header["pixdim"][1 : 1 + min(len(shape), 3)])
    header.check_fix()
    check_kind(header.get_data_dtype())


def promised(header: Any) -> int:
    """The bytes of a file up to the end of its voxels."""
    size: int = header.get_data_offset() + math.prod(header.get_data_shape()) * header.get_data_dtype().itemsize
    return size


def check_voxel_sizes(sizes: NDArray[Any]) -> None:
    """Raise UnreadableError where the edges of a voxel in millimetres are zero or not finite."""
    if not (np.isfinite(sizes) & (sizes != 0)).all():
        raise UnreadableError(f"says that its voxels measure {_by(sizes)} mm")


def check_kind(dtype: np.dtype[Any]) -> None:
    """Raise UnreadableError where voxels are no real numbers."""
    if dtype.kind not in "iuf":
        raise UnreadableError(
            f"holds {'complex numbers' if dtype.kind == 'c' else 'colours'}; one real number for each voxel is needed"
        )


def world(header: Any, affine: Form | None) -> NDArray[np.float64]:
    """Where the voxels lie [4, 4], in the header's unit: the sform, or the qform without one, or what nibabel takes.

    Where both contradict each other, `affine` says which counts. Raises UnreadableError where it is None, or where
    what counts is not finite or flattens the volume.
    """
    sform, _ = header.get_sform(coded=True)
    qform = None if affine == "sform" and sform is not None else _qform(header)
    if affine == "qform" and sform is not None and qform is not None and not _agree(sform, qform):
        sform = None
    counts: NDArray[np.float64] = next(form for form in (sform, qform, header.get_base_affine()) if form is not None)
    _check_form(counts, header, "qform" if sform is None else "sform")
    if sform is not None and qform is not None and not _agree(sform, qform):
        raise UnreadableError(
            f"sform says {_shown(sform)}, qform {_shown(qform)}; they must agree, or the wrong one have code 0, "
            "or data.affine say which counts: sform, qform"
        )
    return counts


def _qform(header: Any) -> NDArray[np.float64] | None:
    """The qform, if it is set; a quaternion that is longer than 1 by rounding is made as long as 1."""
    if header["qform_code"] <= 0:
        return None
    try:
        qform: NDArray[np.float64] = header.get_qform()
    except ValueError:
        parts = ("quatern_b", "quatern_c", "quatern_d")
        length = math.hypot(*(float(header[part]) for part in parts))
        if not length <= 1 + QUATERNION_TOLERANCE:
            way_out = _way_out(header, "qform")
            raise UnreadableError(
                f"the quaternion of its qform is {length:.6g} long; allowed: up to 1{way_out}"
            ) from None
        header = header.copy()
        for part in parts:
            header[part] = float(header[part]) / length
        qform = header.get_qform()
    _check_form(qform, header, "qform")
    return qform


def _check_form(affine: NDArray[np.float64], header: Any, form: Form) -> None:
    """Raise UnreadableError where a form is not finite or flattens the volume."""
    try:
        check_affine(affine)
    except UnreadableError as error:
        raise UnreadableError(f"{error}{_way_out(header, form)}") from None


def _way_out(header: Any, form: Form) -> str:
    """How a form that cannot be used is left out, where there is the other."""
    other = "sform" if form == "qform" else "qform"
    return f"; data.affine: {other} leaves the {form} out" if header[f"{other}_code"] > 0 else ""


def _agree(sform: NDArray[np.float64], qform: NDArray[np.float64]) -> bool:
    import nibabel as nib

    if not np.isfinite(sform).all():
        return False
    one, other = (nib.affines.voxel_sizes(form) for form in (sform, qform))
    same: bool = nib.aff2axcodes(sform) == nib.aff2axcodes(qform)
    return same and np.allclose(one, other, rtol=SIZE_TOLERANCE, atol=0)


def _shown(form: NDArray[np.float64]) -> str:
    import nibabel as nib

    return f"{''.join(nib.aff2axcodes(form))} {_by(nib.affines.voxel_sizes(form))} mm"


def _by(sizes: NDArray[Any]) -> str:
    return " x ".join(f"{size:.4g}" for size in sizes)


def voxels(header: Any, stream: IO[bytes]) -> NDArray[Any]:
    """The scaled values [X, Y, Z] or [X, Y, Z, T], or fewer axes. Raises UnreadableError where they end early."""
    try:
        values: NDArray[Any] = header.data_from_fileobj(stream)
    except gzip.BadGzipFile:
        raise
    except OSError as error:
        raise UnreadableError("ends early: it unpacks to fewer bytes than its header promises") from error
    return _series(values)


def _series(volume: NDArray[Any]) -> NDArray[Any]:
    """[X, Y, Z, T] of what has more axes than four, one of them of time or of components."""
    if volume.ndim <= 3:
        return volume
    channels = [length for length in volume.shape[3:] if length > 1]
    if len(channels) > 1:
        raise UnreadableError(f"has shape {_by(np.array(volume.shape))}; allowed: three axes and a series of them")
    return volume.reshape(*volume.shape[:3], *(channels or [1]), order="F")


def placed(volume: NDArray[Any], header: Any, affine: NDArray[np.float64]) -> Image:
    """Values [X, Y, Z] or [X, Y, Z, T] in the closest RAS+ order, or [X, Y] as they are; `affine` is of the header."""
    known = header["sform_code"] > 0 or header["qform_code"] > 0
    unit_mm = MILLIMETRES.get(int(header["xyzt_units"]) % 8, 1.0)
    affine = np.diag([unit_mm, unit_mm, unit_mm, 1.0]) @ affine
    if volume.ndim < 3:
        return Image(values=volume[None], affine=affine)
    image = to_ras(volume, affine)
    return replace(image, orientation=image.orientation if known else None, step_s=_step_s(header))


def placed_header(header: Any, affine: NDArray[np.float64]) -> Header:
    """What `placed` gives of the values that `header` promises."""
    blank = np.broadcast_to(np.float32(0), header.get_data_shape())  # takes no memory
    image = placed(_series(blank), header, affine)
    return Header(shape=image.values.shape, affine=image.affine, orientation=image.orientation, step_s=image.step_s)


def _step_s(header: Any) -> float | None:
    """Seconds from volume to volume, where there are several and the header says."""
    steps = header.get_zooms()[3:4]
    seconds = SECONDS.get(int(header["xyzt_units"]) & 56)
    return float(steps[0]) * seconds if steps and seconds and steps[0] > 0 else None
