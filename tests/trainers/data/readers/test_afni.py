import gzip
from pathlib import Path

import numpy as np
import pytest

from contrasweep.trainers.data import readers
from tests.trainers.data.scans import write_nifti
from tests.trainers.data.test_readers import reason

BRICKS = np.arange(48, dtype="<i2").reshape(2, 3, 4, 2)
LPS = "-1 0 0 5 0 -1 0 6 0 0 2 7"
"""Rows of the matrix to DICOM's space: axes towards right, anterior and superior."""


def write_afni(path: Path, **changes: str) -> Path:
    """`BRICKS` as .HEAD and .BRIK of the name of `path`; `changes` are other attributes."""
    attributes = {
        "DATASET_RANK": "integer 3 2",
        "DATASET_DIMENSIONS": "integer 2 3 4",
        "BRICK_TYPES": "integer 1 1",
        "BYTEORDER_STRING": "string 'LSB_FIRST~",
        "DELTA": "float -1 -1 2",
        "IJK_TO_DICOM_REAL": f"float {LPS}",
        **changes,
    }
    parts = [(name, *said.split(maxsplit=1)) for name, said in attributes.items() if said]
    text = "\n".join(f"type = {kind}-attribute\nname = {name}\ncount = 1\n{said}\n" for name, kind, said in parts)
    path.with_suffix(".HEAD").write_text(f"\n{text}")
    path.with_suffix(".BRIK").write_bytes(BRICKS.tobytes(order="F"))
    return path


@pytest.mark.parametrize("ending", [".HEAD", ".BRIK"])
def test_it_is_the_same_as_the_series_in_nifti(ending: str, tmp_path: Path) -> None:
    path = write_afni(tmp_path / f"rest+orig{ending}")
    affine = np.array([[1.0, 0, 0, -5], [0, 1, 0, -6], [0, 0, 2, 7], [0, 0, 0, 1]])
    image, nifti = readers.read(path), readers.read(write_nifti(tmp_path / "v.nii", BRICKS, affine))
    np.testing.assert_array_equal(image.values, nifti.values)
    assert image.affine is not None and nifti.affine is not None
    np.testing.assert_array_equal(image.affine, nifti.affine)
    assert image.orientation == nifti.orientation == "RAS"
    assert readers.files(path) == (tmp_path / "rest+orig.BRIK", tmp_path / "rest+orig.HEAD")


def test_axes_towards_the_left_are_turned(tmp_path: Path) -> None:
    image = readers.read(write_afni(tmp_path / "a.HEAD", IJK_TO_DICOM_REAL="float 1 0 0 5 0 1 0 6 0 0 2 7"))
    assert image.orientation == "LPS"
    np.testing.assert_array_equal(image.values, np.moveaxis(BRICKS[::-1, ::-1], -1, 0))


@pytest.mark.parametrize("named", ["a+tlrc.HEAD", "a+tlrc.BRIK.gz"])
def test_a_packed_brick_is_found(named: str, tmp_path: Path) -> None:
    brik = write_afni(tmp_path / "a+tlrc.BRIK")
    (tmp_path / "a+tlrc.BRIK.gz").write_bytes(gzip.compress(brik.read_bytes()))
    brik.unlink()
    np.testing.assert_array_equal(readers.read(tmp_path / named).values, np.moveaxis(BRICKS, -1, 0))


def test_each_brick_has_its_scale(tmp_path: Path) -> None:
    path = write_afni(tmp_path / "a.HEAD", BRICK_FLOAT_FACS="float 0.5 0")
    np.testing.assert_array_equal(readers.read(path).values, [BRICKS[..., 0] * 0.5, BRICKS[..., 1]])


@pytest.mark.parametrize(("unit", "step", "seconds"), [(77002, 2.5, 2.5), (77001, 800, 0.8), (77003, 2, None)])
def test_the_seconds_of_a_series(unit: int, step: float, seconds: float | None, tmp_path: Path) -> None:
    path = write_afni(tmp_path / "a.HEAD", TAXIS_NUMS=f"integer 2 0 {unit}", TAXIS_FLOATS=f"float 0 {step} 0 0 0")
    assert readers.read(path).step_s == readers.read_header(path).step_s == seconds


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    assert reason(write_afni(tmp_path / "a.HEAD", IJK_TO_DICOM_REAL="")) == "has no IJK_TO_DICOM_REAL in its header"
    assert reason(write_afni(tmp_path / "a.HEAD", BRICK_TYPES="integer 5 5")).startswith("holds complex numbers")
    path = write_afni(tmp_path / "a.HEAD", DATASET_DIMENSIONS="integer 9 9 9")
    assert reason(path) == "ends early: its header promises 2916 bytes, the file has 96"
    (tmp_path / "a.BRIK").unlink()
    assert reason(path) == "is half of an image: a.BRIK is missing"
    (tmp_path / "b.BRIK.gz").write_bytes(gzip.compress(b"12"))
    assert reason(tmp_path / "b.BRIK.gz") == "is half of an image: b.HEAD is missing"
