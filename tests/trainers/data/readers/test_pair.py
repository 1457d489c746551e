from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import scipy.io

from contrasweep.trainers.data import readers
from tests.trainers.data.readers.test_nifti import write_forms
from tests.trainers.data.scans import write_nifti
from tests.trainers.data.test_readers import reason

VOLUME = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
TURNED = np.array([[0.0, 0, -1, 5], [-2, 0, 0, 6], [0, 1, 0, 7], [0, 0, 0, 1]])


def write_analyze(path: Path, mm: tuple[float, float, float] = (2, 3, 4)) -> Path:
    nib.save(nib.AnalyzeImage(VOLUME, np.diag([*mm, 1.0])), path)
    return path


@pytest.mark.parametrize("kind", [nib.Nifti1Pair, nib.Nifti2Pair])
@pytest.mark.parametrize("names", [("a.hdr", "a.img"), ("a.hdr.gz", "a.img.gz")])
def test_either_half_gives_the_same_as_one_file(kind: type, names: tuple[str, str], tmp_path: Path) -> None:
    nib.save(kind(VOLUME, TURNED), tmp_path / names[0])
    one = readers.read(write_nifti(tmp_path / "one.nii", VOLUME, TURNED))
    for name in names:
        half = readers.read(tmp_path / name)
        np.testing.assert_array_equal(half.values, one.values)
        assert half.affine is not None and one.affine is not None
        np.testing.assert_array_equal(half.affine, one.affine)
        assert half.orientation == one.orientation == "PSL"
        assert readers.files(tmp_path / name) == tuple(tmp_path / each for each in names)


def test_a_half_that_is_missing_is_named(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Pair(VOLUME, np.eye(4)), tmp_path / "a.img")
    (tmp_path / "a.img").rename(tmp_path / "b.img")
    assert reason(tmp_path / "a.hdr") == "is half of an image: a.img is missing"
    assert reason(tmp_path / "b.img") == "is half of an image: b.hdr is missing"
    (tmp_path / "a.img").symlink_to("annex/1")
    assert reason(tmp_path / "a.hdr") == "its half a.img: is a link to annex/1, which is missing"


def test_halves_are_of_either_case(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Pair(VOLUME, np.eye(4)), tmp_path / "a.img")
    (tmp_path / "a.img").rename(tmp_path / "A.IMG")
    (tmp_path / "a.hdr").rename(tmp_path / "A.HDR")
    for name in ("A.IMG", "A.HDR"):
        np.testing.assert_array_equal(readers.read(tmp_path / name).values, VOLUME[None])


@pytest.mark.parametrize("ending", [".hdr", ".img"])
def test_analyze_says_sizes_and_not_how_its_axes_lie(ending: str, tmp_path: Path) -> None:
    write_analyze(tmp_path / "a.img")
    image = readers.read(tmp_path / f"a{ending}")
    np.testing.assert_array_equal(image.values, VOLUME[None, ::-1])  # nibabel takes such files from right to left
    assert (image.orientation, image.spacing_mm) == (None, (2.0, 3.0, 4.0))


def test_analyze_of_oasis_is_read_with_its_axis_of_one(tmp_path: Path) -> None:
    """OASIS-1 ships 16-bit big-endian ANALYZE of shape [X, Y, Z, 1]."""
    header = nib.AnalyzeHeader(endianness=">")
    nib.save(nib.AnalyzeImage(VOLUME[..., None], np.eye(4), header), tmp_path / "OAS1_0001_MR1_mpr-1_anon.img")
    path = tmp_path / "OAS1_0001_MR1_mpr-1_anon.hdr"
    assert path.read_bytes()[:4] == (348).to_bytes(4, "big")
    assert readers.read_header(path).shape == (1, 2, 3, 4)
    np.testing.assert_array_equal(readers.read(path).values, VOLUME[None, ::-1])


def test_the_scale_of_spm_is_applied_as_nibabel_does(tmp_path: Path) -> None:
    image = nib.Spm99AnalyzeImage(VOLUME * 0.25, np.eye(4))
    image.header.set_data_dtype(np.int16)
    nib.save(image, tmp_path / "a.img")
    (tmp_path / "a.mat").unlink()
    loaded: Any = nib.load(tmp_path / "a.img")
    values = readers.read(tmp_path / "a.hdr").values
    np.testing.assert_allclose(values[0, ::-1], np.asanyarray(loaded.dataobj), rtol=1e-6)
    np.testing.assert_allclose(values[0, ::-1], VOLUME * 0.25, atol=1e-3)


def test_spm_says_in_a_third_file_how_axes_lie(tmp_path: Path) -> None:
    write_analyze(tmp_path / "a.img")
    ones = np.eye(4)
    ones[:3, 3] = 1  # MATLAB counts voxels from 1
    scipy.io.savemat(tmp_path / "a.mat", {"mat": TURNED @ np.linalg.inv(ones)})
    image = readers.read(tmp_path / "a.img")
    one = readers.read(write_nifti(tmp_path / "one.nii", VOLUME, TURNED))
    np.testing.assert_array_equal(image.values, one.values)
    assert image.orientation == "PSL"
    assert tmp_path / "a.mat" in readers.files(tmp_path / "a.hdr")


def test_forms_that_contradict_are_refused_or_chosen(tmp_path: Path) -> None:
    one: Any = nib.load(write_forms(tmp_path / "one.nii", np.eye(4), 1, np.diag([-1.0, 1, 1, 1]), 1))
    nib.save(nib.Nifti1Pair(np.asanyarray(one.dataobj), None, one.header), tmp_path / "a.img")
    assert "data.affine" in reason(tmp_path / "a.img")
    assert readers.read(tmp_path / "a.img", affine="qform").orientation == "LAS"


def test_a_single_file_under_the_ending_of_a_half_is_refused(tmp_path: Path) -> None:
    write_nifti(tmp_path / "a.nii", VOLUME).rename(tmp_path / "a.hdr")
    (tmp_path / "a.img").write_bytes(VOLUME.tobytes())
    assert reason(tmp_path / "a.img").endswith("its name must end in .nii")


def test_voxels_that_end_early_are_refused(tmp_path: Path) -> None:
    path = write_analyze(tmp_path / "a.img")
    path.write_bytes(path.read_bytes()[:40])
    assert reason(tmp_path / "a.hdr") == "ends early: its header promises 48 bytes, the file has 40"


def test_another_header_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.hdr").write_bytes(b"ENVI" * 100)
    (tmp_path / "a.img").write_bytes(VOLUME.tobytes())
    for name in ("a.hdr", "a.img"):
        assert reason(tmp_path / name) == "is no header of NIfTI or ANALYZE"
