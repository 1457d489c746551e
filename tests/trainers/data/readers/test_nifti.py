import gzip
import struct
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray

from contrasweep.trainers.data import readers
from contrasweep.trainers.data.readers import Form, UnreadableError
from tests.trainers.data.scans import write_nifti

VOLUME = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
LAS = np.diag([-1.0, 1, 1, 1])


def edited(path: Path, offset: int, layout: str, *numbers: float) -> Path:
    """The NIfTI-1 file with numbers of its header overwritten, as the standard lays them out."""
    content = bytearray(path.read_bytes())
    struct.pack_into(f"<{layout}", content, offset, *numbers)
    path.write_bytes(content)
    return path


def write_forms(path: Path, sform: NDArray[Any], sform_code: int, qform: NDArray[Any], qform_code: int) -> Path:
    image = nib.Nifti1Image(VOLUME, None)
    image.set_sform(sform, sform_code)
    image.set_qform(qform, qform_code)
    nib.save(image, path)
    return path


def reason(path: Path) -> str:
    with pytest.raises(UnreadableError) as caught:
        readers.read(path)
    return str(caught.value)


def test_files_that_differ_in_their_axes_only_are_equal(tmp_path: Path) -> None:
    turned = np.eye(4)[[2, 0, 1, 3]]  # array axes are y, z, x of the world
    shifted = LAS.copy()
    shifted[0, 3] = 1  # the first voxel of the file is the last from the left
    for name, values, affine, axes in (
        ("ras.nii", VOLUME, np.eye(4), "RAS"),
        ("las.nii.gz", VOLUME[::-1], shifted, "LAS"),
        ("turned.nii", np.transpose(VOLUME, (1, 2, 0)), turned, "ASR"),
    ):
        image = readers.read(write_nifti(tmp_path / name, values, affine))
        np.testing.assert_array_equal(image.values, VOLUME[None])
        assert image.affine is not None
        np.testing.assert_allclose(image.affine, np.eye(4))
        assert image.orientation == axes


def test_voxel_sizes_follow_their_axes(tmp_path: Path) -> None:
    affine = np.eye(4)[[2, 0, 1, 3]] @ np.diag([1.0, 2.5, 4.0, 1.0])
    path = write_nifti(tmp_path / "a.nii", VOLUME, affine)
    assert readers.read(path).spacing_mm == readers.read_header(path).spacing_mm == (4.0, 1.0, 2.5)


@pytest.mark.parametrize(("unit", "size", "mm"), [("meter", 0.002, 2), ("micron", 100, 0.1), ("mm", 2, 2), (0, 2, 2)])
def test_lengths_become_millimetres(unit: str | int, size: float, mm: float, tmp_path: Path) -> None:
    image = nib.Nifti1Image(VOLUME, np.diag([size, size, size, 1.0]))
    image.header.set_xyzt_units(unit, "sec")
    nib.save(image, tmp_path / "v.nii")
    expected = np.diag([mm, mm, mm, 1.0])
    for placed in (readers.read(tmp_path / "v.nii"), readers.read_header(tmp_path / "v.nii")):
        assert placed.affine is not None
        np.testing.assert_allclose(placed.affine, expected, rtol=1e-6)


@pytest.mark.parametrize(("unit", "step", "seconds"), [("sec", 2.0, 2.0), ("msec", 800.0, 0.8), ("unknown", 1.0, None)])
def test_a_series_tells_its_seconds_where_they_have_a_unit(
    unit: str, step: float, seconds: float | None, tmp_path: Path
) -> None:
    image = nib.Nifti1Image(np.zeros((2, 3, 4, 5), dtype=np.float32), np.eye(4))
    image.header.set_xyzt_units("mm", unit)
    image.header.set_zooms((1, 1, 1, step))
    nib.save(image, tmp_path / "series.nii.gz")
    told = readers.read(tmp_path / "series.nii.gz").step_s
    assert told == (None if seconds is None else pytest.approx(seconds, rel=1e-6))
    assert readers.read_header(tmp_path / "series.nii.gz").step_s == told


def test_the_scale_of_the_header_is_applied(tmp_path: Path) -> None:
    stored = VOLUME.astype(np.int16)
    path = edited(write_nifti(tmp_path / "a.nii", stored), 112, "2f", 0.5, -3.0)
    np.testing.assert_array_equal(readers.read(path).values[0], stored * 0.5 - 3)


def test_big_endian_is_read(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(VOLUME, np.eye(4), nib.Nifti1Header(endianness=">")), tmp_path / "a.nii")
    np.testing.assert_array_equal(readers.read(tmp_path / "a.nii").values, VOLUME[None])


def test_nifti_2_is_read(tmp_path: Path) -> None:
    nib.save(nib.Nifti2Image(VOLUME, LAS), tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(readers.read(tmp_path / "a.nii.gz").values, VOLUME[None, ::-1])


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (2, 3, 4, 1, 5), (2, 3, 4, 5, 1), (2, 3, 4, 1, 1, 5)])
def test_times_are_channels(shape: tuple[int, ...], tmp_path: Path) -> None:
    series = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)
    path = write_nifti(tmp_path / "a.nii.gz", series.reshape(shape))
    np.testing.assert_array_equal(readers.read(path).values, np.moveaxis(series, -1, 0))
    assert readers.read_header(path).shape == (5, 2, 3, 4)


def test_a_slice_of_two_dimensions_stays_as_stored(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "a.nii", VOLUME[0], LAS)
    np.testing.assert_array_equal(readers.read(path).values, VOLUME[:1])
    assert readers.read_header(path).shape == (1, 3, 4)


def test_two_long_axes_after_space_are_refused(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "a.nii", np.ones((2, 2, 2, 3, 4), np.float32))
    assert reason(path) == "has shape 2 x 2 x 2 x 3 x 4; allowed: three axes and a series of them"


def test_forms_that_disagree_in_orientation_are_refused(tmp_path: Path) -> None:
    path = write_forms(tmp_path / "a.nii", np.eye(4), 1, LAS, 1)
    assert reason(path) == (
        "sform says RAS 1 x 1 x 1 mm, qform LAS 1 x 1 x 1 mm; they must agree, or the wrong one have code 0, "
        "or data.affine say which counts: sform, qform"
    )


@pytest.mark.parametrize(("size", "allowed"), [(1.005, True), (1.02, False)])
def test_forms_may_disagree_by_one_per_cent_in_voxel_sizes(size: float, allowed: bool, tmp_path: Path) -> None:
    path = write_forms(tmp_path / "a.nii", np.eye(4), 1, np.diag([1, 1, size, 1]), 1)
    if allowed:
        assert readers.read(path).spacing_mm == (1.0, 1.0, 1.0)
    else:
        assert "qform RAS 1 x 1 x 1.02 mm" in reason(path)


def test_forms_may_speak_of_different_spaces_and_the_sform_counts(tmp_path: Path) -> None:
    sform = np.eye(4)
    sform[:3, 3] = (-90, -126, -72)
    affine = readers.read(write_forms(tmp_path / "a.nii", sform, 4, np.eye(4), 1)).affine
    np.testing.assert_array_equal(affine, sform)


def test_a_form_of_code_zero_is_not_asked(tmp_path: Path) -> None:
    image = readers.read(write_forms(tmp_path / "a.nii", np.eye(4), 0, LAS, 1))
    assert image.orientation == "LAS"


def test_without_forms_the_orientation_is_unknown_and_the_sizes_are_kept(tmp_path: Path) -> None:
    path = write_forms(tmp_path / "a.nii", np.eye(4), 0, np.eye(4), 0)
    image = readers.read(edited(path, 80, "3f", 2.0, 3.0, 4.0))
    assert (image.orientation, image.spacing_mm) == (None, (2.0, 3.0, 4.0))
    np.testing.assert_array_equal(image.values, VOLUME[None, ::-1])  # nibabel takes such files from right to left


@pytest.mark.parametrize("size", [0.0, float("nan"), float("inf")])
def test_voxels_without_a_size_are_refused(size: float, tmp_path: Path) -> None:
    path = edited(write_nifti(tmp_path / "a.nii", VOLUME), 84, "f", size)
    assert reason(path) == f"says that its voxels measure 1 x {size:g} x 1 mm"


def test_a_flat_affine_is_refused(tmp_path: Path) -> None:
    path = edited(write_nifti(tmp_path / "a.nii", VOLUME), 280, "4f", 0, 1, 0, 0)  # two rows along y
    assert reason(path).startswith("its affine is singular")


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_claims_beyond_the_file_are_refused_before_they_are_allocated(name: str, tmp_path: Path) -> None:
    path = edited(write_nifti(tmp_path / "plain.nii", VOLUME), 42, "3h", 30000, 30000, 30000)
    (tmp_path / name).write_bytes(gzip.compress(path.read_bytes()) if name.endswith("gz") else path.read_bytes())
    assert reason(tmp_path / name).startswith("claims 30000 x 30000 x 30000 values; allowed: up to 2147483648")
    path = edited(path, 42, "3h", 1000, 1000, 1000)
    (tmp_path / name).write_bytes(gzip.compress(path.read_bytes()) if name.endswith("gz") else path.read_bytes())
    assert reason(tmp_path / name).startswith("ends early: its header promises 4000000352 bytes, the file has")


def test_a_header_without_data_ends_early(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "a.nii", VOLUME)
    path.write_bytes(path.read_bytes()[:352])
    assert reason(path) == "ends early: its header promises 448 bytes, the file has 352"
    path.write_bytes(path.read_bytes()[:40])
    assert reason(path) == "ends early: it has 40 bytes, a header 348"
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(write_nifti(path, VOLUME).read_bytes()[:400]))
    assert reason(tmp_path / "a.nii.gz") == "ends early: it unpacks to fewer bytes than its header promises"


def test_a_gzip_stream_cut_off_ends_early(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "a.nii.gz", VOLUME)
    path.write_bytes(path.read_bytes()[:-30])
    assert reason(path) == "ends early: its gzip stream is cut off"


def test_the_checksum_of_gzip_is_compared(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "a.nii.gz", VOLUME)
    content = bytearray(path.read_bytes())
    content[-8] ^= 1  # the first byte of the CRC
    path.write_bytes(content)
    assert "CRC" in reason(path)


def test_packed_and_plain_are_told_by_their_first_bytes(tmp_path: Path) -> None:
    plain = write_nifti(tmp_path / "a.nii", VOLUME).read_bytes()
    packed = write_nifti(tmp_path / "a.nii.gz", VOLUME).read_bytes()
    (tmp_path / "b.nii.gz").write_bytes(plain)
    (tmp_path / "b.nii").write_bytes(packed)
    assert reason(tmp_path / "b.nii.gz") == "is no gzip file"
    assert reason(tmp_path / "b.nii") == "is a gzip file: its name must end in .nii.gz"


@pytest.mark.parametrize(
    ("dtype", "what"), [(np.complex64, "complex numbers"), (np.dtype([(c, "u1") for c in "RGB"]), "colours")]
)
def test_voxels_that_are_no_real_numbers_are_refused(dtype: Any, what: str, tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "a.nii", np.zeros((2, 3, 4), dtype))
    assert reason(path) == f"holds {what}; one real number for each voxel is needed"


def test_half_of_a_pair_is_refused(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Pair(VOLUME, np.eye(4)), tmp_path / "a.hdr")
    (tmp_path / "a.hdr").rename(tmp_path / "a.nii")
    assert reason(tmp_path / "a.nii").startswith("is the header of a .hdr and .img pair")


def write_rounded(path: Path, sform_code: int, length: float) -> Path:
    """Turned by half, with a quaternion of another length than 1."""
    axis = np.array([0.0, 0.6, 0.8])
    turn = np.eye(4)
    turn[:3, :3] = 2 * np.outer(axis, axis) - np.eye(3)
    return edited(write_forms(path, turn, sform_code, turn, 1), 256, "3f", *(axis * length))


@pytest.mark.parametrize("square", [1 + 4e-7, 1 + 2e-6])
@pytest.mark.parametrize("sform_code", [0, 1])
def test_a_quaternion_longer_than_1_by_rounding_is_clamped(square: float, sform_code: int, tmp_path: Path) -> None:
    path = write_rounded(tmp_path / "a.nii", sform_code, np.sqrt(square))
    exact = readers.read(write_rounded(tmp_path / "exact.nii", 1, 1.0))
    image = readers.read(path)
    np.testing.assert_array_equal(image.values, exact.values)
    assert image.affine is not None and exact.affine is not None
    np.testing.assert_allclose(image.affine, exact.affine, atol=1e-6)
    assert image.orientation == readers.read_header(path).orientation == "LSA"


def test_an_intact_sform_is_read_as_nibabel_loads_it(tmp_path: Path) -> None:
    path = write_rounded(tmp_path / "a.nii", 1, np.sqrt(1 + 4e-7))
    closest = nib.as_closest_canonical(nib.load(path))
    image = readers.read(path)
    np.testing.assert_array_equal(image.values[0], np.asanyarray(closest.dataobj))
    assert image.affine is not None
    np.testing.assert_array_equal(image.affine, closest.affine)


@pytest.mark.parametrize(("sform_code", "other"), [(0, ""), (1, "; data.affine: sform leaves the qform out")])
def test_a_quaternion_that_is_none_is_refused(sform_code: int, other: str, tmp_path: Path) -> None:
    path = write_rounded(tmp_path / "a.nii", sform_code, 1.2)
    assert reason(path) == f"the quaternion of its qform is 1.2 long; allowed: up to 1{other}"


def test_a_quaternion_that_is_none_does_not_matter_where_the_sform_is_chosen(tmp_path: Path) -> None:
    path = write_rounded(tmp_path / "a.nii", 1, 1.2)
    assert readers.read(path, affine="sform").orientation == "LSA"


ACDC = (np.diag([-1.0, -1, 1, 1]), 1, np.diag([-1.31579, -1.31579, 10, 1]), 1)
"""Forms of the ACDC data set, where the qform is right."""


def test_forms_that_contradict_each_other_are_refused_where_nothing_is_said(tmp_path: Path) -> None:
    path = write_forms(tmp_path / "a.nii.gz", *ACDC)
    assert reason(path) == (
        "sform says LPS 1 x 1 x 1 mm, qform LPS 1.316 x 1.316 x 10 mm; they must agree, or the wrong one have code 0, "
        "or data.affine say which counts: sform, qform"
    )


@pytest.mark.parametrize(("affine", "spacing"), [("sform", (1, 1, 1)), ("qform", (1.31579, 1.31579, 10))])
def test_what_is_said_decides_where_forms_contradict_each_other(
    affine: Form, spacing: tuple[float, ...], tmp_path: Path
) -> None:
    path = write_forms(tmp_path / "a.nii.gz", *ACDC)
    for placed in (readers.read(path, affine), readers.read_header(path, affine)):
        assert placed.spacing_mm == pytest.approx(spacing)
        assert placed.orientation == "LPS"
    np.testing.assert_array_equal(readers.read(path, affine).values[0], VOLUME[::-1, ::-1])


def test_the_other_form_may_be_junk(tmp_path: Path) -> None:
    path = write_forms(tmp_path / "a.nii", LAS, 1, LAS, 1)
    edited(path, 280, "12f", *[0] * 12)  # the sform
    assert reason(path).startswith("its affine is singular")
    assert readers.read(path, affine="qform").orientation == "LAS"


@pytest.mark.parametrize("affine", ["sform", "qform"])
def test_what_is_said_does_not_matter_where_forms_agree(affine: Form, tmp_path: Path) -> None:
    moved = LAS.copy()
    moved[:3, 3] = (-90, -126, -72)
    image = readers.read(write_forms(tmp_path / "a.nii", moved, 4, LAS, 1), affine)
    plain = readers.read(tmp_path / "a.nii")
    assert image.affine is not None and plain.affine is not None
    np.testing.assert_array_equal(image.affine, plain.affine)
