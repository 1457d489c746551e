import zlib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from contrasweep.trainers.data import readers
from contrasweep.trainers.data.readers import UnreadableError
from tests.trainers.data.readers.itk import VOLUME, assert_same_as_nifti, itk_image
from tests.trainers.data.test_readers import reason

HEADER = """\
ObjectType = Image
NDims = 3
ElementSpacing = 1 2 3
DimSize = 2 3 4
ElementType = MET_SHORT
"""


def write_header(path: Path, data: str, fields: str = HEADER) -> Path:
    path.write_text(f"{fields}ElementDataFile = {data}\n")
    return path


@pytest.mark.parametrize("name", ["größe [1] 50%.mha", "A.MHA", "a.mhd"])
@pytest.mark.parametrize("packed", [False, True])
def test_it_is_the_same_as_the_volume_in_nifti(name: str, packed: bool, tmp_path: Path) -> None:
    sitk.WriteImage(itk_image(), str(tmp_path / name.lower()), packed)
    (tmp_path / name.lower()).rename(tmp_path / name)
    assert_same_as_nifti(tmp_path / name, itk_image())


@pytest.mark.parametrize("dtype", ["int8", "uint8", "uint16", "int32", "uint32", "int64", "float32", "float64"])
def test_all_kinds_of_numbers_are_kept(dtype: str, tmp_path: Path) -> None:
    values = (np.arange(24) * 5).astype(dtype).reshape(2, 3, 4)
    sitk.WriteImage(itk_image(values), str(tmp_path / "a.mha"))
    assert_same_as_nifti(tmp_path / "a.mha", itk_image(values))


def test_components_and_times_are_channels(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)
    for name, image in (("v.mha", itk_image(values, is_vector=True)), ("t.mha", sitk.GetImageFromArray(values.T))):
        sitk.WriteImage(image, str(tmp_path / name))
        assert_same_as_nifti(tmp_path / name, image)


def test_a_picture_stays_as_it_is_stored(tmp_path: Path) -> None:
    """CAMUS holds echocardiograms as 2CH_ED.mhd with a .raw beside."""
    image = sitk.GetImageFromArray(VOLUME[0])
    image.SetSpacing((0.308, 0.154))
    sitk.WriteImage(image, str(tmp_path / "patient0001_2CH_ED.mhd"))
    read = readers.read(tmp_path / "patient0001_2CH_ED.mhd")
    np.testing.assert_array_equal(read.values, VOLUME[0].T[None])
    assert read.spacing_mm == pytest.approx((0.308, 0.154, 1))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("skip", [0, 7, -1])
def test_byte_order_and_what_comes_before_the_values(order: str, skip: int, tmp_path: Path) -> None:
    fields = f"{HEADER}ElementByteOrderMSB = {order == '>'}\nHeaderSize = {skip}\n"
    before = b"?" * (11 if skip == -1 else skip)
    (tmp_path / "a.raw").write_bytes(before + VOLUME.astype(f"{order}i2").tobytes(order="F"))
    path = write_header(tmp_path / "a.mhd", "a.raw", fields)
    np.testing.assert_array_equal(readers.read(path).values[0], VOLUME[::-1, ::-1])
    assert readers.read(path).orientation is None  # no field says how the axes lie


@pytest.mark.parametrize("data", ["LIST\ns/1.raw\ns/2.raw\ns/3.raw\ns/4.raw", "s/%d.raw 1 4 1"])
def test_slices_may_be_in_a_file_each(data: str, tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    for z in range(4):
        (tmp_path / f"s/{z + 1}.raw").write_bytes(VOLUME[..., z].tobytes(order="F"))
    path = write_header(tmp_path / "a.mhd", data)
    np.testing.assert_array_equal(readers.read(path).values[0], VOLUME[::-1, ::-1])
    assert readers.files(path) == (path, *(tmp_path / f"s/{z}.raw" for z in (1, 2, 3, 4)))


@pytest.mark.parametrize(
    "data",
    [
        "../a.raw",
        "/etc/hostname",
        "s/../../a.raw",
        "http://host/a.raw",
        "C:\\a.raw",
        "LIST\n../a.raw",
        "../%d.raw 1 2 1",
    ],
)
def test_a_data_file_outside_the_folder_is_refused(data: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "a.raw").write_bytes(VOLUME.tobytes())
    path = write_header(tmp_path / "in/a.mhd", data)
    assert reason(path).endswith("as its data file; allowed: a file in the header's folder")
    assert readers.files(path) == (path,)


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.mhd"
    (tmp_path / "a.raw").write_bytes(VOLUME.tobytes())
    assert reason(write_header(path, "b.raw")) == "its data file b.raw: no such file"
    (tmp_path / "b.raw").write_bytes(VOLUME.tobytes()[:40])
    assert reason(write_header(path, "b.raw")) == "ends early: its header promises 48 bytes, it has 40"
    assert reason(write_header(path, "%d-%d.raw 1 2 1")).startswith("names its data files '%d-%d.raw'")
    assert reason(write_header(path, "%d.raw 1 900000 1")) == "numbers its data files from 1 to 900000 by 1"
    for old, new, expected in (
        ("NDims = 3", "NDims = x", "has NDims 'x'; allowed: 1 numbers"),
        ("DimSize = 2 3 4", "DimSize = 2 3", "has DimSize '2 3'; allowed: 3 numbers"),
        ("DimSize = 2 3 4", "DimSize = 2 0 4", "holds no values: its shape is 1 x 2 x 0 x 4"),
        ("2 3 4", "2000 3000 4000", "claims 1 x 2000 x 3000 x 4000 values; allowed: up to 2147483648"),
        ("MET_SHORT", "MET_SHORT\nBinaryData = False", "holds its values as text; binary ones are needed"),
    ):
        assert reason(write_header(path, "a.raw", HEADER.replace(old, new))) == expected
    assert "'MET_COLOUR'; allowed: MET_CHAR" in reason(write_header(path, "a.raw", HEADER.replace("SHORT", "COLOUR")))
    path.write_text(HEADER)
    assert reason(path) == "is no MetaImage, or its header is damaged: it names no ElementDataFile"


def test_a_stream_that_unpacks_to_more_is_not_unpacked_whole(tmp_path: Path) -> None:
    packed = zlib.compress(VOLUME.tobytes(order="F") + bytes(1 << 20))
    path = write_header(tmp_path / "a.mha", "LOCAL", f"{HEADER}CompressedData = True\n")
    path.write_bytes(path.read_bytes() + packed)
    np.testing.assert_array_equal(readers.read(path).values[0], VOLUME[::-1, ::-1])


def test_the_checksum_of_a_packed_file_is_compared(tmp_path: Path) -> None:
    packed = bytearray(zlib.compress(VOLUME.tobytes(order="F")))
    packed[-1] ^= 1
    path = write_header(tmp_path / "a.mha", "LOCAL", f"{HEADER}CompressedData = True\n")
    path.write_bytes(path.read_bytes() + packed)
    with pytest.raises(UnreadableError, match=r"is damaged: .*incorrect data check"):
        readers.read(path)
