"""Every file that pydicom ships as test data: read as pydicom reads it, or refused with a reason that is known."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut

from contrasweep.trainers.data import readers
from contrasweep.trainers.data.readers import UnreadableError

FOLDER = Path(pydicom.__file__).parent / "data" / "test_files"
FILES = sorted(FOLDER.glob("*.dcm"))
NO_IMAGE = "is a DICOM file without an image"
REFUSED = {
    "ExplVR_BigEndNoMeta.dcm": NO_IMAGE,
    "ExplVR_LitEndNoMeta.dcm": NO_IMAGE,
    "JPEG2000-embedded-sequence-delimiter.dcm": "cannot be read: RuntimeError: Unable to decode",
    "MR_truncated.dcm": "the file cannot be decoded: The number of bytes of pixel data is less than expected",
    "SC_rgb_rle_16bit_2frame.dcm": "has 2 frames and says neither where nor when they were taken",
    "SC_rgb_rle_2frame.dcm": "has 2 frames and says neither where nor when they were taken",
    "SC_rgb_rle_32bit_2frame.dcm": "has 2 frames and says neither where nor when they were taken",
    "UN_sequence.dcm": "is damaged or ends early: an image without Rows",
    "badVR.dcm": "cannot be read: ValueError: invalid literal",
    "empty_charset_LEI.dcm": "is damaged or ends early: it does not say what it holds",
    "liver_1frame.dcm": "the file has 1 frames and describes 3",
    "liver_expb_1frame.dcm": "the file has 1 frames and describes 3",
    "meta_missing_tsyntax.dcm": NO_IMAGE,
    "nested_priv_SQ.dcm": NO_IMAGE,
    "no_meta.dcm": "is no DICOM file",
    "no_meta_group_length.dcm": "is damaged or ends early: an image without Rows",
    "priv_SQ.dcm": "is damaged or ends early: an image without Rows",
    "reportsi.dcm": NO_IMAGE,
    "reportsi_with_empty_number_tags.dcm": NO_IMAGE,
    "rtdose.dcm": "the file has 15 frames and one position",
    "rtdose_expb.dcm": "the file has 15 frames and one position",
    "rtdose_rle.dcm": "the file has 15 frames and one position",
    "rtplan.dcm": NO_IMAGE,
    "rtplan_truncated.dcm": NO_IMAGE,
    "rtstruct.dcm": NO_IMAGE,
    "test-SR.dcm": NO_IMAGE,
    "waveform_ecg.dcm": NO_IMAGE,
}
"""How the reasons begin."""
TWELVE_BITS = {"JPEG-lossy.dcm", "JPGExtended.dcm"}
"""Which pydicom reads with a decoder under the GPL only; they hold the picture that JPEG2000.dcm holds."""
LUMINANCE = np.array([0.299, 0.587, 0.114])


def of_pydicom(path: Path, shape: tuple[int, ...]) -> NDArray[Any]:
    """All values of an image that is read as `shape`, sorted, as the order of voxels is not pydicom's to say."""
    image = pydicom.dcmread(path)
    if image.PhotometricInterpretation == "PALETTE COLOR":
        values = apply_color_lut(image.pixel_array, image)[..., :3]
        values = values if values.itemsize == 1 else values >> 8
    else:
        values = apply_modality_lut(image.pixel_array, image).astype(np.float64)
    if len(shape) == 4 and values.shape[-1] == 3:
        values = np.rint(values @ LUMINANCE)
    if image.PhotometricInterpretation == "MONOCHROME1" and len(shape) < 4:
        stored = np.array([0, (1 << image.BitsStored) - 1]) - (image.PixelRepresentation << (image.BitsStored - 1))
        values = apply_modality_lut(stored, image).sum() - values
    return np.sort(values.astype(np.float32).ravel())


def test_there_are_files_of_all_kinds() -> None:
    names = {path.name for path in FILES}
    assert names >= {*REFUSED, "CT_small.dcm", "examples_palette.dcm", "JPEG2000.dcm"}


@pytest.mark.parametrize("name", sorted(TWELVE_BITS))
def test_jpeg_of_12_bits_shows_what_another_coding_of_the_picture_shows(
    name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    image, other = readers.read(FOLDER / name).values, readers.read(FOLDER / "JPEG2000.dcm").values
    assert capfd.readouterr().err == ""
    assert image.shape == other.shape == readers.read_header(FOLDER / name).shape
    assert np.corrcoef(image.ravel(), other.ravel())[0, 1] > 0.95
    bright = other > 60
    assert np.abs(image[bright].mean() / other[bright].mean() - 1) < 0.05


def test_jpeg_of_12_bits_is_what_libjpeg_makes_of_it() -> None:
    pytest.importorskip("libjpeg", reason="under the GPL, so not among what the tests install")
    dataset = pydicom.dcmread(FOLDER / "JPGExtended.dcm")
    dataset.pixel_array_options(decoding_plugin="pylibjpeg")
    expected = dataset.pixel_array.astype(np.float32)
    np.testing.assert_allclose(readers.read(FOLDER / "JPGExtended.dcm").values[0], expected, atol=1)  # rounding


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("path", [path for path in FILES if path.name not in TWELVE_BITS], ids=lambda path: path.name)
def test_it_is_read_as_pydicom_reads_it_or_refused(path: Path) -> None:
    if expected := REFUSED.get(path.name):
        with pytest.raises(UnreadableError, match=f"^{re.escape(expected)}"):
            readers.read(path)
        return
    image = readers.read(path)
    assert readers.read_header(path).shape == image.values.shape
    np.testing.assert_allclose(np.sort(image.values.ravel()), of_pydicom(path, image.values.shape), rtol=1e-6)
