import gzip
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from contrasweep.trainers.data import readers
from contrasweep.trainers.data.readers import UnreadableError
from tests.trainers.data.readers.itk import VOLUME, assert_same_as_nifti, itk_image
from tests.trainers.data.test_readers import reason

HEADER = """\
NRRD0005
# a comment: with a colon
type: short
dimension: 3
sizes: 2 3 4
encoding: raw
endian: little
"""
PLACED = "space: right-anterior-superior\nspace directions: (1,0,0) (0,2,0) (0,0,3)\nspace origin: (5,6,7)\n"


def write_header(path: Path, data: str, fields: str = HEADER) -> Path:
    path.write_text(f"{fields}data file: {data}\n")
    return path


@pytest.mark.parametrize("name", ["größe [1] 50%.nrrd", "A.NRRD", "a.nhdr"])
@pytest.mark.parametrize("packed", [False, True])
def test_it_is_the_same_as_the_volume_in_nifti(name: str, packed: bool, tmp_path: Path) -> None:
    sitk.WriteImage(itk_image(), str(tmp_path / name.lower()), packed)
    (tmp_path / name.lower()).rename(tmp_path / name)
    assert_same_as_nifti(tmp_path / name, itk_image())


def test_components_are_channels(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)
    sitk.WriteImage(itk_image(values, is_vector=True), str(tmp_path / "v.nrrd"))
    assert_same_as_nifti(tmp_path / "v.nrrd", itk_image(values, is_vector=True))


def test_directions_of_diffusion_are_channels_wherever_their_axis_is(tmp_path: Path) -> None:
    """3D Slicer writes diffusion with an axis of kind list, the last one."""
    values = np.arange(120, dtype="<i2").reshape(2, 3, 4, 5)
    (tmp_path / "dwi.raw").write_bytes(values.tobytes(order="F"))
    fields = HEADER.replace("dimension: 3", "dimension: 4").replace("2 3 4", "2 3 4 5")
    fields += "space: left-posterior-superior\nspace directions: (1,0,0) (0,1,0) (0,0,1) none\n"
    path = write_header(tmp_path / "dwi.nhdr", "dwi.raw", f"{fields}kinds: space space space list\n")
    np.testing.assert_array_equal(readers.read(path).values, np.moveaxis(values[::-1, ::-1], -1, 0))


def test_a_picture_stays_as_it_is_stored(tmp_path: Path) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(VOLUME[0]), str(tmp_path / "a.nrrd"))
    np.testing.assert_array_equal(readers.read(tmp_path / "a.nrrd").values, VOLUME[0].T[None])


def test_the_space_of_the_header_counts(tmp_path: Path) -> None:
    (tmp_path / "a.raw").write_bytes(VOLUME.tobytes(order="F"))
    image = readers.read(write_header(tmp_path / "a.nhdr", "a.raw", HEADER + PLACED))
    np.testing.assert_array_equal(image.values[0], VOLUME)
    assert image.affine is not None
    np.testing.assert_array_equal(image.affine, [[1, 0, 0, 5], [0, 2, 0, 6], [0, 0, 3, 7], [0, 0, 0, 1]])
    assert image.orientation == "RAS"


def test_without_a_space_the_orientation_is_unknown(tmp_path: Path) -> None:
    (tmp_path / "a.raw").write_bytes(VOLUME.tobytes(order="F"))
    image = readers.read(write_header(tmp_path / "a.nhdr", "a.raw", f"{HEADER}spacings: 1 2 3\n"))
    assert (image.orientation, image.spacing_mm) == (None, (1.0, 2.0, 3.0))


@pytest.mark.parametrize("data", ["LIST\n1.raw\n2.raw\n3.raw\n4.raw", "%d.raw 1 4 1"])
def test_slices_may_be_in_a_file_each(data: str, tmp_path: Path) -> None:
    for z in range(4):
        (tmp_path / f"{z + 1}.raw").write_bytes(VOLUME[..., z].tobytes(order="F"))
    path = write_header(tmp_path / "a.nhdr", data, HEADER + PLACED)
    np.testing.assert_array_equal(readers.read(path).values[0], VOLUME)
    assert readers.files(path) == (*(tmp_path / f"{z}.raw" for z in (1, 2, 3, 4)), path)


@pytest.mark.parametrize("field", ["data file", "datafile", "Data File"])
@pytest.mark.parametrize("data", ["../a.raw", "/etc/hostname", "s/../../a.raw", "http://a/b", "LIST\n../a.raw", "-"])
def test_a_data_file_outside_the_folder_is_refused(field: str, data: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "a.raw").write_bytes(VOLUME.tobytes())
    path = tmp_path / "in/a.nrrd"
    path.write_text(f"{HEADER}{field}: {data}\n")
    assert reason(path).endswith("as its data file; allowed: a file in the header's folder")
    assert readers.files(path) == (path,)


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.nhdr"
    assert reason(write_header(path, "b.raw")) == "its data file b.raw: no such file"
    (tmp_path / "b.raw").write_bytes(VOLUME.tobytes()[:40])
    assert reason(write_header(path, "b.raw")) == "ends early: its header promises 48 bytes, it has 40"
    assert reason(write_header(path, "b.raw\ndatafile: b.raw")) == "says 2 times what its data file is"
    huge = HEADER.replace("2 3 4", "2000 3000 4000")
    assert reason(write_header(path, "b.raw", huge)).startswith("claims 1 x 2000 x 3000 x 4000 values")
    wrong = HEADER.replace("type: short", "type: colour")
    assert "colour" in reason(write_header(path, "b.raw", wrong))
    (tmp_path / "b.raw.gz").write_bytes(gzip.compress(VOLUME.tobytes())[:-12])
    gzipped = HEADER.replace("encoding: raw", "encoding: gzip")
    with pytest.raises(UnreadableError, match="cannot be read"):
        readers.read(write_header(path, "b.raw.gz", gzipped))
    path.write_text("hello: world\n")
    assert reason(path) == "is no NRRD file"


def test_complex_numbers_are_refused(tmp_path: Path) -> None:
    sitk.WriteImage(sitk.Image([2, 3, 4], sitk.sitkComplexFloat32), str(tmp_path / "a.nrrd"))
    assert reason(tmp_path / "a.nrrd") == "holds complex numbers; one real number for each voxel is needed"
