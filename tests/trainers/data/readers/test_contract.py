"""What every registered reader must do; a new one writes a sample of its format and inherits all of it."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from contrasweep.trainers.data import readers
from contrasweep.trainers.data.readers import FOLDER, Image, UnreadableError
from tests.trainers.data import scans

GREY = np.arange(192, dtype=np.uint8).reshape(12, 16)
COLOUR = np.stack([GREY, GREY[::-1], GREY + 50], axis=-1)
CLIP = np.stack([np.roll(GREY, shift, axis=1) for shift in range(6)])
VOLUME = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
LARGE = np.arange(504, dtype=np.int16).reshape(7, 8, 9)
SERIES = np.stack([VOLUME, VOLUME + 7], axis=-1)
# file axes x, y, z run mostly along -y, +z, -x of the world, so [3, 4, 5] becomes [5, 3, 4] in RAS+
OBLIQUE = np.array([[0.0, 0.6, -0.8, 5], [-2, 0, 0, 6], [0, 0.8, 0.6, 7], [0, 0, 0, 1]])


Write = Callable[[Path], tuple[int, ...]]


def own(ending: str) -> tuple[str, Write]:
    """The sample of an ending that its reader writes: its name, and what writes it."""
    return f"sample{ending}", lambda path: readers.get(ending)().write_sample(path)


def further(name: str, write: Callable[..., Path], shape: tuple[int, ...], **arguments: Any) -> tuple[str, Write]:
    """Another kind of what a format holds."""

    def write_it(path: Path) -> tuple[int, ...]:
        write(path, **arguments)
        return shape

    return name, write_it


SAMPLES = dict(
    [
        *map(own, readers.names()),
        further("deep.png", scans.write_picture, (1, 12, 16), values=GREY.astype(np.uint16) * 300),
        further("colour.png", scans.write_picture, (3, 12, 16), values=COLOUR),
        further("colour.jpeg", scans.write_picture, (3, 12, 16), values=COLOUR),
        further("float.tif", scans.write_picture, (1, 12, 16), values=GREY.astype(np.float32) / 7),
        further("pages.tiff", scans.write_tiff_pages, (1, 6, 12, 16), pages=list(CLIP)),
        further("mjpeg.avi", scans.write_video, (1, 6, 12, 16), frames=CLIP, codec="mjpeg", pixels="yuvj420p"),
        further("h264.mp4", scans.write_video, (1, 6, 12, 16), frames=CLIP, codec="libx264"),
        further("lossless.mkv", scans.write_video, (1, 6, 12, 16), frames=CLIP, codec="ffv1", pixels="gray"),
        further("oblique.nii", scans.write_nifti, (1, 5, 3, 4), values=VOLUME, affine=OBLIQUE),
        further("times.nii.gz", scans.write_nifti, (2, 3, 4, 5), values=SERIES),
        further("analyze.img", scans.write_image, (1, 7, 8, 9), image=nib.AnalyzeImage(LARGE, np.eye(4))),
        further("nifti2.hdr", scans.write_image, (1, 7, 8, 9), image=nib.Nifti2Pair(LARGE, np.eye(4))),
        further("times.mgz", scans.write_image, (2, 3, 4, 5), image=nib.MGHImage(SERIES, np.eye(4))),
        further("packed.mhd", scans.write_itk, (1, 7, 8, 9), volume=LARGE),
        further("packed.mha", scans.write_itk, (1, 7, 8, 9), volume=LARGE),
        further("packed.nhdr", scans.write_itk, (1, 7, 8, 9), volume=LARGE),
        further("packed.nrrd", scans.write_itk, (1, 7, 8, 9), volume=LARGE),
        further("oblique/", scans.write_dicom_series, (1, 5, 3, 4), volume=VOLUME, affine=OBLIQUE),
        further("dynamic/", scans.write_dynamic_series, (2, 5, 3, 4), frames=SERIES, affine=OBLIQUE),
        further("enhanced.dcm", scans.write_enhanced_dicom, (1, 5, 3, 4), volume=VOLUME, affine=OBLIQUE),
        further("xray.dicom", scans.write_xray_dicom, (1, 12, 16), values=GREY.astype(np.uint16)),
        further("cine.ima", scans.write_cine_dicom, (1, 3, 12, 16), frames=np.stack([COLOUR] * 3)),
    ]
)


@pytest.fixture(params=list(SAMPLES))
def name(request: pytest.FixtureRequest) -> str:
    """One sample of each kind in turn."""
    return str(request.param)


@pytest.fixture
def shape(name: str, tmp_path: Path) -> tuple[int, ...]:
    """What the sample, which is written here, is read as."""
    return SAMPLES[name](tmp_path / name)


@pytest.fixture
def scan(name: str, shape: tuple[int, ...], tmp_path: Path) -> Path:
    """Where the sample is."""
    return tmp_path / name


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


def test_values_are_float32_and_channels_first_and_the_header_agrees(scan: Path, shape: tuple[int, ...]) -> None:
    image, header = readers.read(scan), readers.read_header(scan)
    assert image.values.dtype == np.float32
    assert image.values.flags.c_contiguous
    assert np.ptp(image.values) > 0
    assert image.values.shape == header.shape == shape
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
    if image is not None and not content.isascii():  # a shorter text is a smaller table
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
