import gzip
import struct
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from contrasweep.trainers.data import readers
from tests.trainers.data.scans import write_nifti
from tests.trainers.data.test_readers import reason

VOLUME = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
CONFORMED = np.array([[-1.0, 0, 0, 8], [0, 0, 1, -8], [0, -1, 0, 8], [0, 0, 0, 1]])
TILTED = np.array([[0.0, 0.6, -0.8, 5], [-2, 0, 0, 6], [0, 0.8, 0.6, 7], [0, 0, 0, 1]])


@pytest.mark.parametrize("name", ["brain.mgz", "T1.MGZ", "norm.mgh"])
@pytest.mark.parametrize("affine", [CONFORMED, TILTED])
def test_it_is_the_same_as_the_volume_in_nifti(name: str, affine: np.ndarray, tmp_path: Path) -> None:
    nib.save(nib.MGHImage(VOLUME, affine), tmp_path / name)
    image = readers.read(tmp_path / name)
    nifti = readers.read(write_nifti(tmp_path / "v.nii", VOLUME, affine))
    assert nifti.affine is not None and image.affine is not None
    np.testing.assert_array_equal(image.values, nifti.values)
    np.testing.assert_allclose(image.affine, nifti.affine, atol=1e-5)
    assert image.orientation == nifti.orientation


def test_a_conformed_brain_is_turned_to_ras(tmp_path: Path) -> None:
    nib.save(nib.MGHImage(VOLUME, CONFORMED), tmp_path / "brain.mgz")
    image = readers.read(tmp_path / "brain.mgz")
    assert image.orientation == "LIA"
    np.testing.assert_array_equal(image.values[0], np.transpose(VOLUME, (0, 2, 1))[::-1, :, ::-1])


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "float32"])
def test_all_kinds_of_numbers_are_kept(dtype: str, tmp_path: Path) -> None:
    values = (np.arange(24) * 10).astype(dtype).reshape(2, 3, 4)
    nib.save(nib.MGHImage(values, np.eye(4)), tmp_path / "a.mgz")
    np.testing.assert_array_equal(readers.read(tmp_path / "a.mgz").values[0], values)


@pytest.mark.parametrize("name", ["f.mgz", "f.mgh"])
def test_frames_are_times_and_their_step_is_in_seconds(name: str, tmp_path: Path) -> None:
    frames = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)
    image = nib.MGHImage(frames, np.eye(4))
    image.header.set_zooms((1, 1, 1, 720.0))  # milliseconds
    nib.save(image, tmp_path / name)
    np.testing.assert_array_equal(readers.read(tmp_path / name).values, np.moveaxis(frames, -1, 0))
    assert readers.read(tmp_path / name).step_s == readers.read_header(tmp_path / name).step_s == pytest.approx(0.72)


def test_without_good_ras_the_orientation_is_unknown(tmp_path: Path) -> None:
    nib.save(nib.MGHImage(VOLUME, TILTED), tmp_path / "a.mgh")
    content = bytearray((tmp_path / "a.mgh").read_bytes())
    struct.pack_into(">h", content, 28, 0)
    (tmp_path / "a.mgh").write_bytes(content)
    image = readers.read(tmp_path / "a.mgh")
    assert (image.orientation, image.spacing_mm) == (None, (1.0, 1.0, 1.0))


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.mgh"
    nib.save(nib.MGHImage(VOLUME, np.eye(4)), path)
    whole = path.read_bytes()

    def with_field(offset: int, *numbers: int) -> Path:
        content = bytearray(whole)
        struct.pack_into(f">{len(numbers)}i", content, offset, *numbers)
        path.write_bytes(content)
        return path

    assert reason(with_field(0, 2)) == "is no FreeSurfer volume: its version is not 1"
    assert reason(with_field(20, 99)) == "holds voxels of type 99; one real number for each voxel is needed"
    assert reason(with_field(4, 2, 0, 4)) == "holds no values: its shape is 2 x 0 x 4"
    assert reason(with_field(4, 1000, 1000, 1000)).startswith("ends early: its header promises 2000000284 bytes")
    assert reason(with_field(4, 30000, 30000, 30000)).startswith("claims 30000 x 30000 x 30000 values")


def test_packed_and_plain_are_told_by_their_first_bytes(tmp_path: Path) -> None:
    nib.save(nib.MGHImage(VOLUME, np.eye(4)), tmp_path / "a.mgh")
    plain = (tmp_path / "a.mgh").read_bytes()
    (tmp_path / "b.mgz").write_bytes(plain)
    (tmp_path / "b.mgh").write_bytes(gzip.compress(plain))
    assert reason(tmp_path / "b.mgz") == "is no gzip file"
    assert reason(tmp_path / "b.mgh") == "is a gzip file: its name must end in .mgz"
