"""CIFTI-2 matrices of series and scalars through nibabel."""

from io import IOBase
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from contrasweep.trainers.data.readers import UnreadableError, register
from contrasweep.trainers.data.readers._nifti import CIFTI, LONGEST_HEADER, check_kind, parse, promised
from contrasweep.trainers.data.readers._packed import check_size, opened, read_to_end
from contrasweep.trainers.data.readers.base import Header, Image, check_shape

AXES = {
    "CIFTI_INDEX_TYPE_BRAIN_MODELS": "grayordinates",
    "CIFTI_INDEX_TYPE_LABELS": "labels",
    "CIFTI_INDEX_TYPE_PARCELS": "regions",
    "CIFTI_INDEX_TYPE_SCALARS": "scalars",
    "CIFTI_INDEX_TYPE_SERIES": "a series",
}
PLACES = ("grayordinates", "regions")


@register(".dscalar.nii")
@register(".dtseries.nii")
@register(".pscalar.nii")
@register(".ptseries.nii")
class Cifti:
    """Series as [V, T], places by times as in tables and .npy files; scalars as [maps, V], most often [1, V].

    V are grayordinates or regions. Which axis of the file is time, its own header says. Matrices of labels and of
    connectivity are refused.
    """

    def read(self, path: Path) -> Image:
        """Scaled values."""
        with opened(path, ".nii.gz") as stream:
            matrix = _matrix(stream, path)
            values = np.asanyarray(matrix.dataobj)
            read_to_end(stream)
        return Image(values=values.T if _is_turned(matrix) else values, step_s=_step_s(matrix))

    def header(self, path: Path) -> Header:
        """(V, T) or (maps, V)."""
        with opened(path, ".nii.gz") as stream:
            matrix = _matrix(stream, path)
        return Header(shape=matrix.shape[::-1] if _is_turned(matrix) else matrix.shape, step_s=_step_s(matrix))

    def write_sample(self, path: Path) -> tuple[int, ...]:
        """Three vertices or two regions, at four times or in one map."""
        import nibabel as nib
        from nibabel.cifti2.cifti2_axes import BrainModelAxis, ParcelsAxis, ScalarAxis, SeriesAxis

        vertices = BrainModelAxis.from_mask(np.ones(3), name="cortex_left")
        regions = ParcelsAxis.from_brain_models([("A", vertices[:1]), ("B", vertices[1:])])
        is_series = path.name.endswith("series.nii")
        axis = SeriesAxis(0, 0.72, 4) if is_series else ScalarAxis(["thickness"])
        places = regions if path.name.endswith((".ptseries.nii", ".pscalar.nii")) else vertices
        values = np.arange(len(axis) * len(places), dtype=np.float32).reshape(len(axis), len(places))
        nib.save(nib.Cifti2Image(values, (axis, places)), path)
        return values.T.shape if is_series else values.shape


def _matrix(stream: IO[bytes], path: Path) -> Any:
    """The file as nibabel has it, its values not read yet; checked to be a matrix that `Cifti` takes."""
    import nibabel as nib

    header = parse(stream.read(LONGEST_HEADER))
    if header["intent_code"] not in CIFTI:
        raise UnreadableError("is no CIFTI file, though it is named as one: its intent is another")
    check_shape(header.get_data_shape())
    check_kind(header.get_data_dtype())
    check_size(path, promised(header))
    stream.seek(0)
    matrix = nib.Cifti2Image.from_file_map({"image": nib.FileHolder(fileobj=cast(IOBase, stream))}, mmap=False)
    axes = _axes(matrix)
    if matrix.shape != matrix.header.matrix.get_data_shape():
        raise UnreadableError(f"holds {matrix.shape} values, and its axes are {matrix.header.matrix.get_data_shape()}")
    places = [name in PLACES for name in axes]
    if sorted(places) != [False, True] or "labels" in axes:
        raise UnreadableError(
            f"is a CIFTI matrix of {' by '.join(axes)}; allowed: a series or scalars, by {' or '.join(PLACES)}"
        )
    return matrix


def _axes(matrix: Any) -> list[str]:
    """What the matrix's axes are, in words."""
    maps = matrix.header.matrix
    return [AXES[maps.get_index_map(index).indices_map_to_data_type] for index in range(len(matrix.shape))]


def _is_turned(matrix: Any) -> bool:
    """Whether the file's axes are in the other order: times by places, or places by maps."""
    first, second = _axes(matrix)
    return first == "a series" or second == "scalars"


def _step_s(matrix: Any) -> float | None:
    """Seconds from one time to the next, where the series is one of time."""
    axes = _axes(matrix)
    if "a series" not in axes:
        return None
    series = matrix.header.matrix.get_index_map(axes.index("a series"))
    return float(series.series_step * 10.0**series.series_exponent) if series.series_unit == "SECOND" else None
