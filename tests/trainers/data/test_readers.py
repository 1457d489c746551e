from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from trainers.data import readers
from trainers.data.readers import UnreadableError

GREY = np.arange(6, dtype=np.uint8).reshape(2, 3)


def write_nifti(path: Path, values: NDArray[Any], affine: NDArray[Any]) -> Path:
    nib.save(nib.Nifti1Image(values, affine), path)
    return path


@pytest.fixture(params=["grey.png", "colour.png", "deep.png", "palette.png", "photo.jpg", "v.nii", "v.nii.gz", "a.npy"])
def scan(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """One file of each kind that a reader takes."""
    path = tmp_path / str(request.param)
    match path.name:
        case "colour.png":
            Image.fromarray(np.stack([GREY] * 3, axis=-1)).save(path)
        case "deep.png":
            Image.fromarray(GREY.astype(np.uint16) * 1000).save(path)
        case "palette.png":
            Image.fromarray(GREY).convert("P").save(path)
        case "a.npy":
            np.save(path, GREY[None])
        case name if "nii" in name:
            write_nifti(path, np.zeros((2, 3, 4), dtype=np.int16), np.eye(4))
        case _:
            Image.fromarray(GREY).save(path)
    return path


def test_a_reader_gives_float32_channels_first_and_its_header_agrees(scan: Path) -> None:
    image = readers.read(scan)
    assert image.dtype == np.float32
    assert image.ndim >= 3
    assert readers.read_shape(scan) == image.shape


def test_a_broken_file_is_unreadable_in_one_line(scan: Path) -> None:
    scan.write_bytes(scan.read_bytes()[:-4] if scan.name == "v.nii.gz" else scan.read_bytes()[:40])
    with pytest.raises(UnreadableError) as caught:
        readers.read(scan)
    assert "\n" not in str(caught.value)


def test_png_keeps_grey_levels(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.PNG")
    np.testing.assert_array_equal(readers.read(tmp_path / "a.PNG"), GREY[None].astype(np.float32))


def test_nifti_reorients_to_ras(tmp_path: Path) -> None:
    values = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    plain = write_nifti(tmp_path / "ras.nii", values, np.eye(4))
    flipped = write_nifti(tmp_path / "las.nii", values[::-1], np.diag([-1.0, 1, 1, 1]))
    turned = np.eye(4)[[2, 0, 1, 3]]  # array axes are y, z, x of the world
    moved = write_nifti(tmp_path / "turned.nii", np.transpose(values, (1, 2, 0)), turned)
    for path in (plain, flipped, moved):
        np.testing.assert_array_equal(readers.read(path), values[None])
        assert readers.read_shape(path) == (1, 2, 3, 4)


def test_nifti_applies_the_scale_of_the_header(tmp_path: Path) -> None:
    values = np.linspace(0, 3.7, 24).reshape(2, 3, 4)
    image = nib.Nifti1Image(values, np.eye(4))
    image.header.set_data_dtype(np.int16)
    nib.save(image, tmp_path / "scaled.nii.gz")
    np.testing.assert_allclose(readers.read(tmp_path / "scaled.nii.gz")[0], values, atol=1e-3)


def test_a_series_has_its_time_points_as_channels(tmp_path: Path) -> None:
    series = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)
    image = readers.read(write_nifti(tmp_path / "series.nii.gz", series, np.eye(4)))
    np.testing.assert_array_equal(image, np.moveaxis(series, -1, 0))


def test_pickled_arrays_text_and_unknown_endings_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "object.npy", np.array([{}]), allow_pickle=True)
    np.save(tmp_path / "text.npy", np.array(["a"]))
    for name in ("object.npy", "text.npy", "scan.dcm"):
        with pytest.raises(UnreadableError):
            readers.read(tmp_path / name)


def test_a_vector_becomes_one_channel(tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", np.arange(5))
    assert readers.read(tmp_path / "v.npy").shape == (1, 5)
