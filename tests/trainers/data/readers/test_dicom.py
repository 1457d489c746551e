from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import SimpleITK
from numpy.typing import NDArray
from pydicom.dataset import FileDataset
from pydicom.uid import MPEG2MPML, RLELossless, generate_uid

from contrasweep.trainers.data import readers
from contrasweep.trainers.data.readers import Image, UnreadableError
from tests.trainers.data import scans

STORED = np.random.default_rng(0).integers(-1000, 1000, (5, 6, 7), dtype=np.int16)
XRAY = np.random.default_rng(1).integers(0, 4096, (8, 10), dtype=np.uint16)
CLIP = np.random.default_rng(2).integers(0, 256, (4, 16, 24), dtype=np.uint8)


def rigid(angles: tuple[float, float, float], sizes: tuple[float, float, float]) -> NDArray[np.float64]:
    """An affine [4, 4] turned by angles in radians, with voxels of these sizes."""
    affine = np.eye(4)
    for axis, angle in enumerate(angles):
        turn = np.eye(4)
        a, b = [other for other in range(3) if other != axis]
        turn[a, a] = turn[b, b] = np.cos(angle)
        turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
        affine = affine @ turn
    affine = affine @ np.diag([*sizes, 1.0])
    affine[:3, 3] = (-20.0, 35.0, 7.5)
    return affine


def assert_same_volume(one: Image, other: Image) -> None:
    """The same values to the bit at the same places to 0.1 um."""
    np.testing.assert_array_equal(one.values, other.values)
    assert one.affine is not None
    assert other.affine is not None
    np.testing.assert_allclose(one.affine, other.affine, atol=1e-4)


def reason(path: Path) -> str:
    with pytest.raises(UnreadableError) as caught:
        readers.read(path)
    return str(caught.value)


def changed(name: str, value: Any, *, index: int = 2) -> Callable[[FileDataset, int], None]:
    """Sets a field of one slice."""

    def change(dataset: FileDataset, at: int) -> None:
        if at == index:
            setattr(dataset, name, value)

    return change


AFFINES = {
    "axial": np.diag([-1.0, -1.0, 3.0, 1.0]),
    "sagittal": np.array([[0, 0, 1.5, 0], [-1, 0, 0, 9], [0, -1, 0, 4], [0, 0, 0, 1.0]]),
    "oblique": rigid((0.2, -0.1, 0.3), (0.8, 1.2, 2.5)),
    "turned": rigid((1.7, 0.4, -2.8), (1.0, 1.0, 4.0)),
    "flipped": np.diag([1.0, -1.0, -3.0, 1.0]),
}


@pytest.mark.parametrize("name", list(AFFINES))
def test_a_series_equals_the_same_volume_as_nifti(name: str, tmp_path: Path) -> None:
    affine = AFFINES[name]
    series = readers.read(scans.write_dicom_series(tmp_path / "s", STORED, affine, slope=0.5, intercept=-1024.0))
    nifti = readers.read(scans.write_nifti(tmp_path / "v.nii.gz", STORED * np.float32(0.5) - 1024, affine))
    assert_same_volume(series, nifti)


@pytest.mark.parametrize("name", list(AFFINES))
def test_a_series_equals_what_another_program_makes_of_it(name: str, tmp_path: Path) -> None:
    folder = scans.write_dicom_series(tmp_path / "s", STORED, AFFINES[name], slope=2.0, intercept=-5.0)
    files = SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder))
    SimpleITK.WriteImage(SimpleITK.ReadImage(files), tmp_path / "itk.nii")
    assert_same_volume(readers.read(folder), readers.read(tmp_path / "itk.nii"))


@pytest.mark.parametrize("name", list(AFFINES))
def test_an_enhanced_file_equals_the_same_volume_as_nifti(name: str, tmp_path: Path) -> None:
    enhanced = readers.read(scans.write_enhanced_dicom(tmp_path / "e.dcm", STORED, AFFINES[name]))
    nifti = readers.read(scans.write_nifti(tmp_path / "v.nii.gz", STORED * np.float32(2) - 1, AFFINES[name]))
    assert_same_volume(enhanced, nifti)


def test_a_dynamic_series_equals_the_same_one_as_nifti(tmp_path: Path) -> None:
    frames = np.random.default_rng(3).integers(0, 99, (5, 6, 7, 3), dtype=np.int16)
    affine = AFFINES["oblique"]
    dynamic = readers.read(scans.write_dynamic_series(tmp_path / "s", frames, affine))
    nifti = readers.read(scans.write_nifti(tmp_path / "v.nii", frames, affine))
    assert dynamic.values.shape[0] == 3
    assert_same_volume(dynamic, nifti)


def test_the_orientation_is_that_of_columns_rows_and_slices(tmp_path: Path) -> None:
    image = readers.read(scans.write_dicom_series(tmp_path / "s", STORED, np.diag([-1.0, -1.0, 3.0, 1.0])))
    assert (image.orientation, image.spacing_mm) == ("LPS", (1.0, 1.0, 3.0))


def test_names_of_files_say_nothing_of_their_order(tmp_path: Path) -> None:
    plain = readers.read(scans.write_dicom_series(tmp_path / "plain", STORED))
    named = scans.write_dicom_series(tmp_path / "named", STORED)
    for index, file in enumerate(sorted(named.iterdir())):
        file.rename(named / f"{(index * 3) % 7}")
    np.testing.assert_array_equal(readers.read(named).values, plain.values)


def test_each_slice_has_its_own_slope(tmp_path: Path) -> None:
    def change(dataset: FileDataset, index: int) -> None:
        dataset.RescaleSlope = index + 1

    values = readers.read(scans.write_dicom_series(tmp_path / "s", STORED, change=change)).values
    np.testing.assert_array_equal(values[0], STORED * np.arange(1.0, 8.0))


@pytest.mark.parametrize(
    ("slope", "intercept", "expected"), [(2.0, None, STORED * 2.0), (None, -1024.0, STORED - 1024.0)]
)
@pytest.mark.parametrize("empty", [True, False])
def test_slope_and_intercept_count_alone_too(
    slope: float | None, intercept: float | None, expected: NDArray[Any], empty: bool, tmp_path: Path
) -> None:
    def change(dataset: FileDataset, index: int) -> None:
        for field, value in (("RescaleSlope", slope), ("RescaleIntercept", intercept)):
            setattr(dataset, field, value)
            if value is None and not empty:
                delattr(dataset, field)

    values = readers.read(scans.write_dicom_series(tmp_path / "s", STORED, change=change)).values
    np.testing.assert_array_equal(values[0], expected)


def test_an_enhanced_file_may_say_its_slope_once(tmp_path: Path) -> None:
    path = scans.write_enhanced_dicom(tmp_path / "e.dcm", STORED)
    dataset = pydicom.dcmread(path)
    del dataset.SharedFunctionalGroupsSequence
    dataset.RescaleSlope, dataset.RescaleIntercept = 3.0, 10.0
    dataset.save_as(path)
    np.testing.assert_array_equal(readers.read(path).values[0], STORED * 3.0 + 10)


def test_in_volumes_monochrome1_is_how_to_show_them(tmp_path: Path) -> None:
    def change(dataset: FileDataset, index: int) -> None:
        dataset.PhotometricInterpretation = "MONOCHROME1"

    values = readers.read(scans.write_dicom_series(tmp_path / "s", STORED, change=change)).values
    np.testing.assert_array_equal(values[0], STORED)


def test_a_slice_alone_is_a_volume_of_one(tmp_path: Path) -> None:
    folder = scans.write_dicom_series(tmp_path / "s", STORED[..., :1], np.diag([1.0, 1.0, 4.0, 1.0]))
    image = readers.read(next(folder.iterdir()))
    np.testing.assert_array_equal(image.values, STORED[None, ..., :1])
    assert image.spacing_mm == (1.0, 1.0, 4.0)


def test_a_missing_slice_is_told_by_its_neighbours(tmp_path: Path) -> None:
    folder = scans.write_dicom_series(tmp_path / "s", STORED, np.diag([1.0, 1.0, 2.0, 1.0]), skip=[3])
    assert reason(folder) == (
        "has uneven slices, one may be missing: 4 mm between IM0002.dcm and IM0004.dcm, elsewhere 2 mm"
    )
    with pytest.raises(UnreadableError, match="one may be missing"):
        readers.read_header(folder)


@pytest.mark.parametrize(("shift", "allowed"), [(0.04, True), (0.1, False)])
def test_positions_may_be_rounded(shift: float, allowed: bool, tmp_path: Path) -> None:
    folder = scans.write_dicom_series(tmp_path / "s", STORED, change=changed("ImagePositionPatient", [0, 0, 2 + shift]))
    if allowed:
        assert readers.read(folder).values.shape == (1, 5, 6, 7)
    else:
        assert reason(folder).startswith("has uneven slices")


def test_a_slice_beside_the_others_is_refused(tmp_path: Path) -> None:
    folder = scans.write_dicom_series(tmp_path / "s", STORED, change=changed("ImagePositionPatient", [3, 0, 2]))
    assert reason(folder) == "IM0002.dcm does not lie on the line from IM0000.dcm to IM0006.dcm"


def test_a_tilted_gantry_shears_the_affine(tmp_path: Path) -> None:
    def change(dataset: FileDataset, index: int) -> None:
        dataset.ImagePositionPatient = [0, 0.5 * index, 2 * index]

    affine = readers.read(scans.write_dicom_series(tmp_path / "s", STORED, np.eye(4), change=change)).affine
    assert affine is not None
    np.testing.assert_allclose(affine[:3, 2], [0, -0.5, 2])  # to the front in LPS+ is backwards in RAS+


def test_pet_says_how_many_slices_there_are(tmp_path: Path) -> None:
    def change(dataset: FileDataset, index: int) -> None:
        dataset.NumberOfSlices = 7

    folder = scans.write_dicom_series(tmp_path / "s", STORED, change=change)
    assert readers.read(folder).values.shape == (1, 5, 6, 7)
    (folder / "IM0006.dcm").unlink()
    assert reason(folder) == "has slices at 6 of 7 places"


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("PixelSpacing", [1, 2], "slices differ in pixel size: 1 x 1 in IM0000.dcm, 1 x 2 in IM0002.dcm"),
        ("ImageOrientationPatient", [0, 1, 0, 1, 0, 0], "slices differ in orientation"),
        ("Rows", 5, "slices differ in rows and columns: 6 x 5 in IM0000.dcm, 5 x 5 in IM0002.dcm"),
        ("ImagePositionPatient", None, "IM0002.dcm does not say where it lies, others do"),
        ("SeriesInstanceUID", "1.2.3", "holds 2 series: "),
        ("SamplesPerPixel", 3, "IM0002.dcm is in colour"),
        ("ImageType", ["ORIGINAL", "PRIMARY", "M", "MOSAIC"], "IM0002.dcm is a mosaic of slices"),
    ],
)
def test_slices_that_do_not_fit_are_refused(field: str, value: Any, message: str, tmp_path: Path) -> None:
    folder = scans.write_dicom_series(tmp_path / "s", STORED, change=changed(field, value))
    for read in (readers.read, readers.read_header):
        with pytest.raises(UnreadableError) as caught:
            read(folder)
        assert str(caught.value).startswith(message)


def test_several_series_are_named(tmp_path: Path) -> None:
    def described(text: str) -> Callable[[FileDataset, int], None]:
        def change(dataset: FileDataset, index: int) -> None:
            dataset.SeriesDescription = text

        return change

    scans.write_dicom_series(tmp_path / "s", STORED, change=described("T1"), name="a{index}")
    scans.write_dicom_series(tmp_path / "s", STORED[..., :3], change=described("FLAIR"), name="b{index}")
    assert reason(tmp_path / "s") == "holds 2 series: FLAIR (3 files), T1 (7 files); a folder of one is needed"


def test_a_copy_of_a_slice_is_refused(tmp_path: Path) -> None:
    folder = scans.write_dicom_series(tmp_path / "s", STORED)
    (folder / "copy.dcm").write_bytes((folder / "IM0003.dcm").read_bytes())
    assert reason(folder) == "has 2 slices at the place of IM0003.dcm and 1 at that of IM0000.dcm"


def test_two_volumes_that_no_time_tells_apart_are_refused(tmp_path: Path) -> None:
    uid = str(generate_uid())
    for letter in "ab":
        scans.write_dicom_series(tmp_path / "s", STORED, series=uid, name=letter + "{index}")
    assert reason(tmp_path / "s") == "has 2 slices at one place, and no time tells them apart: a0 and b0"


def test_a_dynamic_series_with_a_frame_missing_is_refused(tmp_path: Path) -> None:
    folder = scans.write_dynamic_series(tmp_path / "s", np.ones((2, 2, 3, 4), np.int16))
    (folder / "T02_0001.dcm").unlink()
    assert reason(folder) == "has 4 slices at the place of T00_0000.dcm and 3 at that of T00_0001.dcm"


def write_times(folder: Path, times: Sequence[Mapping[str, Any]], skip: Mapping[int, Sequence[int]]) -> Path:
    """A series of one volume for each of `times`, which each holds its place among them."""
    uid = str(generate_uid())
    for place, fields in enumerate(times):

        def change(dataset: FileDataset, index: int, fields: Mapping[str, Any] = fields) -> None:
            for field, value in fields.items():
                setattr(dataset, field, value)

        name, volume = f"{place}_{{index}}", np.full((2, 2, 3), place, np.int16)
        scans.write_dicom_series(folder, volume, series=uid, name=name, change=change, skip=skip.get(place, ()))
    return folder


def test_a_scan_may_go_on_after_midnight(tmp_path: Path) -> None:
    days = [("20200131", "235900"), ("20200131", "235930.5"), ("20200201", "000010")]
    times = [{"AcquisitionDate": date, "AcquisitionTime": time} for date, time in days]
    values = readers.read(write_times(tmp_path / "s", times, {})).values
    assert [np.unique(frame).tolist() for frame in values] == [[0.0], [1.0], [2.0]]


def test_frames_that_lack_different_slices_are_not_mixed(tmp_path: Path) -> None:
    times = [{"TemporalPositionIdentifier": number} for number in (1, 2, 3)]
    folder = write_times(tmp_path / "s", times, {0: [1, 2], 2: [0]})
    assert reason(folder) == "has slices of other times at some places: their TemporalPositionIdentifier differ"


def test_several_echoes_are_no_times(tmp_path: Path) -> None:
    uid = str(generate_uid())
    for echo in (1, 2):

        def change(dataset: FileDataset, index: int, echo: int = echo) -> None:
            dataset.EchoTime, dataset.AcquisitionTime = 10 * echo, f"10000{echo}"

        scans.write_dicom_series(tmp_path / "s", STORED, series=uid, name=f"{echo}_{{index}}", change=change)
    assert reason(tmp_path / "s") == "has slices at one place that differ in EchoTime: 10.0, 20.0"


def test_what_is_no_image_is_passed_over(tmp_path: Path) -> None:
    folder = scans.write_dicom_series(tmp_path / "s", STORED)
    (folder / "notes.txt").write_text("left ear")
    (folder / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    (folder / "DICOMDIR").write_bytes(b"x" * 200)
    (folder / "thumbnails").mkdir()
    report = pydicom.dcmread(folder / "IM0000.dcm")
    for field in ("PixelData", "Rows", "Columns", "ImagePositionPatient"):
        del report[field]
    report.SOPClassUID = pydicom.uid.BasicTextSRStorage
    report.SeriesInstanceUID = generate_uid()
    report.save_as(folder / "report.dcm")
    assert readers.read(folder).values.shape == readers.read_header(folder).shape == (1, 5, 6, 7)
    assert reason(folder / "report.dcm") == "is a DICOM file without an image"


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "IM0006.dcm is empty"), (b"x" * 500, "IM0006.dcm is no DICOM file"), (None, "IM0006.dcm is a link to ")],
)
def test_what_should_be_an_image_is_not_passed_over(content: bytes | None, message: str, tmp_path: Path) -> None:
    folder = scans.write_dicom_series(tmp_path / "s", STORED)
    if content is None:
        (folder / "IM0006.dcm").unlink()
        (folder / "IM0006.dcm").symlink_to("annex")
    else:
        (folder / "IM0006.dcm").write_bytes(content)
    assert reason(folder).startswith(message)


def test_the_last_slice_cut_off_is_named(tmp_path: Path) -> None:
    folder = scans.write_dicom_series(tmp_path / "s", STORED)
    content = (folder / "IM0006.dcm").read_bytes()
    (folder / "IM0006.dcm").write_bytes(content[:-20])
    assert reason(folder).startswith("IM0006.dcm cannot be decoded: ")


def test_an_xray_is_a_picture_as_stored(tmp_path: Path) -> None:
    image = readers.read(scans.write_xray_dicom(tmp_path / "a.dcm", XRAY))
    np.testing.assert_array_equal(image.values, XRAY[None])
    assert image.affine is None


def test_in_pictures_monochrome1_is_inverted(tmp_path: Path) -> None:
    image = readers.read(scans.write_xray_dicom(tmp_path / "a.dcm", XRAY, "MONOCHROME1", bits=12))
    np.testing.assert_array_equal(image.values, 4095.0 - XRAY[None])


def test_an_xray_in_a_folder_of_its_own_is_read(tmp_path: Path) -> None:
    scans.write_xray_dicom(tmp_path / "a.dcm", XRAY)
    np.testing.assert_array_equal(readers.read(tmp_path).values, XRAY[None])


def test_two_xrays_of_one_series_are_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        path = scans.write_xray_dicom(tmp_path / name, XRAY)
        dataset = pydicom.dcmread(path)
        dataset.SeriesInstanceUID = "1.2.3"
        dataset.save_as(path)
    assert reason(tmp_path) == "holds 2 pictures that do not say where they lie; one is needed"


def test_a_cine_is_a_video(tmp_path: Path) -> None:
    grey = readers.read(scans.write_cine_dicom(tmp_path / "grey.dcm", CLIP))
    colour = readers.read(scans.write_cine_dicom(tmp_path / "colour.dcm", np.stack([CLIP] * 3, axis=-1)))
    video = readers.read(scans.write_video(tmp_path / "a.avi", CLIP, "rawvideo", "bgr24"))
    for image in (grey, colour, video):
        np.testing.assert_array_equal(image.values, CLIP[None])


def test_frames_that_say_neither_where_nor_when_are_refused(tmp_path: Path) -> None:
    dataset = pydicom.dcmread(scans.write_cine_dicom(tmp_path / "a.dcm", CLIP))
    del dataset.FrameTime
    dataset.save_as(tmp_path / "a.dcm")
    assert reason(tmp_path / "a.dcm") == "has 4 frames and says neither where nor when they were taken"


def test_run_length_coding_is_decoded(tmp_path: Path) -> None:
    dataset = pydicom.dcmread(scans.write_xray_dicom(tmp_path / "a.dcm", XRAY))
    dataset.compress(RLELossless)
    dataset.save_as(tmp_path / "a.dcm")
    np.testing.assert_array_equal(readers.read(tmp_path / "a.dcm").values, XRAY[None])


def test_a_coding_that_is_not_decoded_is_named(tmp_path: Path) -> None:
    dataset = pydicom.dcmread(scans.write_xray_dicom(tmp_path / "a.dcm", XRAY))
    dataset.PixelData = pydicom.encaps.encapsulate([b"\xff\xd8\xff\xd9"])
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = MPEG2MPML
    dataset.save_as(tmp_path / "a.dcm")
    for read in (readers.read, readers.read_header):
        with pytest.raises(
            UnreadableError, match=r"is compressed as MPEG2 Main Profile.*: video, which is not"
        ) as told:
            read(tmp_path / "a.dcm")
        assert "contrasweep[dicom]" not in str(told.value)


def test_colours_that_are_not_decoded_are_named(tmp_path: Path) -> None:
    path = scans.write_xray_dicom(tmp_path / "a.dcm", XRAY, "HSV")
    assert reason(path).startswith("is in HSV; allowed: MONOCHROME1, MONOCHROME2, RGB")


@pytest.mark.parametrize("frames", [1, 3])
def test_a_palette_is_colours(tmp_path: Path, frames: int) -> None:
    places = np.arange(12, dtype=np.uint8).reshape(3, 4) % 3
    path = scans.write_cine_dicom(tmp_path / "a.dcm", np.stack([places] * frames)[: frames if frames > 1 else None])
    dataset = pydicom.dcmread(path)
    dataset.PhotometricInterpretation = "PALETTE COLOR"
    for place, levels in enumerate(([0, 255, 10], [0, 0, 20], [0, 0, 30])):
        dataset.add_new((0x0028, 0x1101 + place), "US", [3, 0, 16])
        dataset.add_new((0x0028, 0x1201 + place), "OW", (np.array(levels, dtype="<u2") * 257).tobytes())
    dataset.save_as(path)
    values, expected = readers.read(path).values, np.array([[0, 0, 0], [255, 0, 0], [10, 20, 30]], dtype=np.float32)
    assert readers.read_header(path).shape == values.shape
    if frames == 1:
        np.testing.assert_array_equal(values, np.moveaxis(expected[places], -1, 0))
    else:
        luminance = np.rint(expected @ [0.299, 0.587, 0.114])
        np.testing.assert_array_equal(values, np.stack([luminance[places]] * 3)[None])


@pytest.mark.parametrize("implicit", [True, False])
def test_an_image_without_meta_information_is_read(tmp_path: Path, implicit: bool) -> None:
    path = scans.write_xray_dicom(tmp_path / "a.dcm", XRAY)
    whole, dataset = readers.read(path).values, pydicom.dcmread(path)
    del dataset.file_meta
    dataset.preamble = None
    dataset.save_as(path, implicit_vr=implicit, little_endian=True, enforce_file_format=False)
    assert path.read_bytes()[128:132] != b"DICM"
    np.testing.assert_array_equal(readers.read(path).values, whole)


def without_preamble(path: Path, implicit: bool, little: bool = True) -> None:
    dataset = pydicom.dcmread(path)
    del dataset.file_meta
    dataset.preamble = None
    dataset.save_as(path, implicit_vr=implicit, little_endian=little, enforce_file_format=False)


def test_a_series_without_preamble_or_ending_is_found(tmp_path: Path) -> None:
    folder = scans.write_dicom_series(tmp_path / "series", STORED)
    whole = readers.read(folder)
    for number, file in enumerate(sorted(folder.iterdir())):
        without_preamble(file, implicit=True)
        file.rename(folder / f"IM{number:04d}")
    assert_same_volume(readers.read(folder), whole)
    assert readers.read_header(folder / "IM0000").shape == readers.read(folder / "IM0000").values.shape


def test_compressed_pixels_without_meta_information_are_refused(tmp_path: Path) -> None:
    path = scans.write_xray_dicom(tmp_path / "a.dcm", XRAY)
    dataset = pydicom.dcmread(path)
    dataset.compress(RLELossless)
    dataset.save_as(path)
    meta = 128 + 4 + 12 + pydicom.dcmread(path).file_meta.FileMetaInformationGroupLength
    path.write_bytes(path.read_bytes()[meta:])
    with pytest.raises(UnreadableError, match="does not say how it is coded"):
        readers.read(path)


def test_a_report_without_preamble_is_a_file_without_an_image(tmp_path: Path) -> None:
    path = scans.write_xray_dicom(tmp_path / "a.dcm", XRAY)
    dataset = pydicom.dcmread(path)
    for field in ("Rows", "Columns", "PixelData"):
        del dataset[field]
    dataset.SOPClassUID = pydicom.uid.BasicTextSRStorage
    dataset.save_as(path)
    without_preamble(path, implicit=True)
    assert reason(path) == "is a DICOM file without an image"


def test_an_empty_folder_holds_no_images(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing here")
    assert reason(tmp_path) == "is a folder that holds no DICOM images"
