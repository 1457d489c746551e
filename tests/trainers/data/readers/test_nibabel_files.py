"""Every file that nibabel ships as test data: read as nibabel reads it, or refused with a reason that is known."""

import importlib.util
import re
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from nibabel.testing import data_path
from numpy.typing import NDArray

from contrasweep.trainers.data import readers
from contrasweep.trainers.data.readers import FOLDER, UnreadableError

FOLDERS = (Path(str(data_path)), *sorted(Path(nib.__file__).parent.glob("*/tests/data")))
ENDINGS = tuple(ending for ending in readers.names() if ending != FOLDER)
FILES = [path for folder in FOLDERS for path in sorted(folder.iterdir()) if path.name.lower().endswith(ENDINGS)]
REFUSED = {
    "0.dcm": "the file is a mosaic of slices",
    "1.dcm": "the file is a mosaic of slices",
    "csa_slice_norm.dcm": "is damaged or ends early: an image without PixelData",
    "ascconv_sample.txt": "line 3, column 1 is 'tSequenceFileName', no number",
    "analyze.hdr": "is half of an image: analyze.img is missing",
    "nifti1.hdr": "is half of an image: nifti1.img is missing",
    "nifti2.hdr": "is half of an image: nifti2.img is missing",
    "bad_attribute+orig.HEAD": "is half of an image: bad_attribute+orig.BRIK is missing",
    "bad_datatype+orig.HEAD": "is half of an image: bad_datatype+orig.BRIK is missing",
    "row_major.dconn.nii": "is a CIFTI matrix of grayordinates by grayordinates",
}
"""How the reasons begin."""
TIME_IS_FIRST = ("minc1_4d.mnc", "minc2_4d.mnc", "minc2-4d-d.mnc")
"""In these nibabel gives time before space, with an affine of space."""


def reason(path: Path) -> str | None:
    """Why a file is refused, if it is."""
    if importlib.util.find_spec("h5py") is None and path.suffix == ".mnc" and path.read_bytes()[1:4] == b"HDF":
        return "is a MINC 2 file, which needs h5py"
    return REFUSED.get(path.name)


def of_nibabel(path: Path) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Scaled values [T, X, Y, Z] and affine in the closest canonical order."""
    if path.suffix == ".dcm":
        from nibabel.nicom.dicomwrappers import wrapper_from_file  # warns when imported

        slice_ = wrapper_from_file(path)
        image = nib.Nifti1Image(slice_.get_data()[..., None], np.diag([-1, -1, 1, 1]) @ slice_.affine)
    else:
        loaded: Any = nib.load(path)
        values = np.asanyarray(loaded.dataobj)
        values = np.moveaxis(values, 0, -1) if path.name in TIME_IS_FIRST else values
        image = nib.Nifti1Image(values.astype(np.float64), loaded.affine)
    image = nib.as_closest_canonical(image)
    values = np.asanyarray(image.dataobj)
    return np.moveaxis(values.reshape(*values.shape[:3], -1), -1, 0), image.affine


def test_there_are_files_of_all_kinds() -> None:
    assert {path.name for path in FILES} >= {*REFUSED, "test.mgz", "tiny.mnc", "scaled+tlrc.BRIK", "functional.nii"}


@pytest.mark.filterwarnings("ignore::UserWarning:nibabel", "ignore:The DICOM readers")
@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parents[2].name}-{path.name}")
def test_it_is_read_as_nibabel_reads_it_or_refused(path: Path) -> None:
    expected = reason(path)
    if expected is not None:
        with pytest.raises(UnreadableError, match=f"^{re.escape(expected)}"):
            readers.read(path)
        with pytest.raises(UnreadableError):
            readers.read_header(path)
        return
    image, header = readers.read(path), readers.read_header(path)
    values, affine = of_nibabel(path)
    np.testing.assert_allclose(image.values, values, rtol=1e-6)
    assert header.shape == image.values.shape
    assert image.affine is not None
    np.testing.assert_allclose(image.affine, affine, atol=1e-4)
