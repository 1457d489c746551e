"""What every registered reader must do; a new one adds a sample of its format and inherits all of it."""

import random
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tests.trainers.data import scans
from trainers.data import readers
from trainers.data.readers import FOLDER, Image, UnreadableError

GREY = np.arange(192, dtype=np.uint8).reshape(12, 16)
COLOUR = np.stack([GREY, GREY[::-1], GREY + 50], axis=-1)
CLIP = np.stack([np.roll(GREY, shift, axis=1) for shift in range(6)])
VOLUME = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
SERIES = np.stack([VOLUME, VOLUME + 7], axis=-1)
# file axes x, y, z run mostly along -y, +z, -x of the world, so [3, 4, 5] becomes [5, 3, 4] in RAS+
OBLIQUE = np.array([[0.0, 0.6, -0.8, 5], [-2, 0, 0, 6], [0, 0.8, 0.6, 7], [0, 0, 0, 1]])


def write_array(path: Path) -> Path:
    save = np.savez_compressed if path.suffix == ".npz" else np.save
    save(path, VOLUME)
    return path


SAMPLES: dict[str, tuple[Callable[[Path], Path], tuple[int, ...]]] = {
    "grey.png": (partial(scans.write_picture, values=GREY), (1, 12, 16)),
    "deep.png": (partial(scans.write_picture, values=GREY.astype(np.uint16) * 300), (1, 12, 16)),
    "colour.png": (partial(scans.write_picture, values=COLOUR), (3, 12, 16)),
    "photo.jpg": (partial(scans.write_picture, values=GREY), (1, 12, 16)),
    "photo.jpeg": (partial(scans.write_picture, values=COLOUR), (3, 12, 16)),
    "float.tif": (partial(scans.write_picture, values=GREY.astype(np.float32) / 7), (1, 12, 16)),
    "pages.tiff": (partial(scans.write_tiff_pages, pages=list(CLIP)), (1, 6, 12, 16)),
    "mpeg4.avi": (partial(scans.write_video, frames=CLIP), (1, 6, 12, 16)),
    "mjpeg.avi": (partial(scans.write_video, frames=CLIP, codec="mjpeg", pixels="yuvj420p"), (1, 6, 12, 16)),
    "h264.mp4": (partial(scans.write_video, frames=CLIP, codec="libx264"), (1, 6, 12, 16)),
    "mpeg4.mov": (partial(scans.write_video, frames=CLIP), (1, 6, 12, 16)),
    "lossless.mkv": (partial(scans.write_video, frames=CLIP, codec="ffv1", pixels="gray"), (1, 6, 12, 16)),
    "volume.npy": (write_array, VOLUME.shape),
    "volume.npz": (write_array, VOLUME.shape),
    "matrix.csv": (partial(scans.write_matrix, values=VOLUME[0] / 3), (4, 5)),
    "matrix.tsv": (partial(scans.write_matrix, values=VOLUME[0] / 3, delimiter="\t"), (4, 5)),
    "volume.nii": (partial(scans.write_nifti, values=VOLUME, affine=OBLIQUE), (1, 5, 3, 4)),
    "volume.nii.gz": (partial(scans.write_nifti, values=VOLUME, affine=OBLIQUE), (1, 5, 3, 4)),
    "times.nii.gz": (partial(scans.write_nifti, values=SERIES), (2, 3, 4, 5)),
    "series/": (partial(scans.write_dicom_series, volume=VOLUME, affine=OBLIQUE), (1, 5, 3, 4)),
    "dynamic/": (partial(scans.write_dynamic_series, frames=SERIES, affine=OBLIQUE), (2, 5, 3, 4)),
    "enhanced.dcm": (partial(scans.write_enhanced_dicom, volume=VOLUME, affine=OBLIQUE), (1, 5, 3, 4)),
    "xray.dicom": (partial(scans.write_xray_dicom, values=GREY.astype(np.uint16)), (1, 12, 16)),
    "cine.ima": (partial(scans.write_cine_dicom, frames=np.stack([COLOUR] * 3)), (1, 3, 12, 16)),
}


@pytest.fixture(params=list(SAMPLES))
def name(request: pytest.FixtureRequest) -> str:
    """One sample of each kind in turn."""
    return str(request.param)


@pytest.fixture
def scan(name: str, tmp_path: Path) -> Path:
    """The sample, written."""
    return SAMPLES[name][0](tmp_path / name)


@pytest.fixture(autouse=True)
def silence(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Nothing is printed or logged, whatever is read: not by decoders in C either."""
    yield
    printed = capfd.readouterr()
    assert (printed.out, printed.err, caplog.text) == ("", "", "")


def read_or_reason(path: Path) -> Image | None:
    """The image, or None where it is refused in one line; anything else raises."""
    try:
        readers.read_header(path)
    except UnreadableError as error:
        assert len(str(error).splitlines()) == 1
    try:
        return readers.read(path)
    except UnreadableError as error:
        assert len(str(error).splitlines()) == 1
        return None


def damaged_file(path: Path) -> Path:
    """The file to damage: the scan itself, or one in its folder."""
    return sorted(path.iterdir())[1] if path.is_dir() else path


def test_every_ending_has_a_sample() -> None:
    for ending in readers.names():
        assert any(name.endswith(ending) for name in SAMPLES), ending


def test_values_are_float32_and_channels_first_and_the_header_agrees(name: str, scan: Path) -> None:
    image, header = readers.read(scan), readers.read_header(scan)
    assert image.values.dtype == np.float32
    assert image.values.flags.c_contiguous
    assert np.ptp(image.values) > 0
    assert image.values.shape == header.shape == SAMPLES[name][1]
    assert image.orientation == header.orientation
    assert image.spacing_mm == header.spacing_mm
    assert (image.affine is None) == (header.affine is None)
    if image.affine is not None and header.affine is not None:
        np.testing.assert_array_equal(image.affine, header.affine)


def test_reading_twice_gives_the_same_bits(scan: Path) -> None:
    np.testing.assert_array_equal(readers.read(scan).values, readers.read(scan).values)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.3, 0.6, 0.9, 0.98])
def test_a_file_cut_off_is_refused_or_was_whole_without_its_end(name: str, scan: Path, share: float) -> None:
    file = damaged_file(scan)
    whole, content = readers.read(scan).values, file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])
    image = read_or_reason(scan)
    if image is not None and scan.suffix not in (".csv", ".tsv"):  # a shorter text is a smaller table
        assert image.values.shape == whole.shape


def test_flipped_bytes_give_an_image_or_a_reason(name: str, scan: Path) -> None:
    file, generator = damaged_file(scan), random.Random(name)
    content = file.read_bytes()
    for _ in range(15):
        damaged = bytearray(content)
        for _ in range(3):
            damaged[generator.randrange(len(damaged))] ^= 1 << generator.randrange(8)
        file.write_bytes(damaged)
        image = read_or_reason(scan)
        assert image is None or (image.values.dtype == np.float32 and image.values.ndim >= 2)


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"hello, world\n", bytes(512), b"\xff" * 512, b"\x1f\x8b\x08\0", b"<html></html>"]
)
def test_what_is_another_format_is_refused(name: str, scan: Path, content: bytes) -> None:
    damaged_file(scan).write_bytes(content)
    for read in (readers.read, readers.read_header):
        with pytest.raises(UnreadableError):
            read(scan)


@pytest.mark.parametrize("ending", [ending for ending in readers.names() if ending != FOLDER])
def test_a_folder_in_place_of_a_file_holds_no_images(ending: str, tmp_path: Path) -> None:
    (tmp_path / f"scan{ending}").mkdir()
    with pytest.raises(UnreadableError, match="is a folder that holds no DICOM images"):
        readers.read(tmp_path / f"scan{ending}")
