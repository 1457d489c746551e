"""Writes scans in their real formats, one function for each kind, each returning the path it wrote."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import av
import nibabel as nib
import numpy as np
import pydicom
import SimpleITK as sitk
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import (
    UID,
    CTImageStorage,
    DigitalXRayImageStorageForPresentation,
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    UltrasoundMultiFrameImageStorage,
    generate_uid,
)

RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def write_nifti(path: Path, values: NDArray[Any], affine: NDArray[Any] | None = None) -> Path:
    """[X, Y, Z] or [X, Y, Z, T] as .nii or .nii.gz; `affine` goes to the sform, the qform is unset."""
    nib.save(nib.Nifti1Image(values, np.eye(4) if affine is None else affine), path)
    return path


def write_image(path: Path, image: Any) -> Path:
    """An image of nibabel's, in its own format."""
    nib.save(image, path)
    return path


def write_itk(path: Path, volume: NDArray[Any]) -> Path:
    """[X, Y, Z] as ITK writes it, packed, in the format of the ending."""
    sitk.WriteImage(sitk.GetImageFromArray(volume.T), str(path), True)
    return path


def write_picture(path: Path, values: NDArray[Any]) -> Path:
    """[H, W] grey or [H, W, 3] colours, in the format of the ending."""
    Image.fromarray(values).save(path)
    return path


def write_tiff_pages(path: Path, pages: Sequence[NDArray[Any]]) -> Path:
    """A TIFF of one page for each [H, W]."""
    first, *others = [Image.fromarray(page) for page in pages]
    first.save(path, save_all=True, append_images=others)
    return path


def write_video(
    path: Path, frames: NDArray[np.uint8], codec: str = "mpeg4", pixels: str = "yuv420p", rate: int = 30
) -> Path:
    """[T, H, W] grey or [T, H, W, 3] colours, H and W even, in the container of the ending."""
    with av.open(path, "w") as container:
        stream = container.add_stream(codec, rate=rate)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = pixels
        container.start_encoding()  # which a video without frames would not
        for values in frames:
            container.mux(
                stream.encode(av.VideoFrame.from_ndarray(values, format="gray" if values.ndim == 2 else "rgb24"))
            )
        container.mux(stream.encode())
    return path


def write_matrix(path: Path, values: NDArray[Any], delimiter: str = ",") -> Path:
    """[rows, columns] as text without a header."""
    np.savetxt(path, values, delimiter=delimiter, fmt="%.9g")
    return path


def write_dicom_series(
    folder: Path,
    volume: NDArray[np.int16],
    affine: NDArray[Any] | None = None,
    *,
    slope: float = 1.0,
    intercept: float = 0.0,
    change: Callable[[FileDataset, int], None] | None = None,
    skip: Sequence[int] = (),
    series: str | None = None,
    name: str = "IM{index:04d}.dcm",
) -> Path:
    """A volume [X, Y, Z] of stored values as one CT file for each Z; `affine` [4, 4] takes X, Y, Z to RAS+ mm.

    `change` may edit the data set of each index before it is written, `skip` leaves indices out, `series` is the UID.
    """
    folder.mkdir(exist_ok=True)
    series = series or str(generate_uid())
    for index in range(volume.shape[2]):
        if index in skip:
            continue
        dataset = _dataset(volume[:, :, index].T, CTImageStorage, series)
        dataset.update(_place(np.eye(4) if affine is None else affine, index))
        dataset.RescaleSlope, dataset.RescaleIntercept = slope, intercept
        dataset.InstanceNumber = index + 1
        if change:
            change(dataset, index)
        dataset.save_as(folder / name.format(index=index), enforce_file_format=True)
    return folder


def write_dynamic_series(folder: Path, frames: NDArray[np.int16], affine: NDArray[Any] | None = None) -> Path:
    """A dynamic series [X, Y, Z, T] as T * Z files, the FrameReferenceTime of each telling T in ms."""
    series = generate_uid()
    for time in range(frames.shape[3]):

        def at_time(dataset: FileDataset, index: int, time: int = time) -> None:
            dataset.FrameReferenceTime = 1000.0 * time

        name = f"T{time:02d}_{{index:04d}}.dcm"
        write_dicom_series(folder, frames[..., time], affine, change=at_time, series=series, name=name)
    return folder


def write_enhanced_dicom(path: Path, volume: NDArray[np.int16], affine: NDArray[Any] | None = None) -> Path:
    """A volume [X, Y, Z] as one enhanced multi-frame MR file, slope 2 and intercept -1 in each frame's group."""
    affine = np.eye(4) if affine is None else affine
    dataset = _dataset(np.moveaxis(volume, (2, 1, 0), (0, 1, 2)), EnhancedMRImageStorage, generate_uid())
    dataset.SharedFunctionalGroupsSequence = [
        _groups(PixelValueTransformationSequence={"RescaleSlope": 2.0, "RescaleIntercept": -1.0, "RescaleType": "US"})
    ]
    frames = []
    for index in range(volume.shape[2]):
        place = _place(affine, index)
        frames.append(
            _groups(
                PlanePositionSequence={"ImagePositionPatient": place.ImagePositionPatient},
                PlaneOrientationSequence={"ImageOrientationPatient": place.ImageOrientationPatient},
                PixelMeasuresSequence={"PixelSpacing": place.PixelSpacing, "SliceThickness": place.SliceThickness},
            )
        )
    dataset.PerFrameFunctionalGroupsSequence = frames
    dataset.save_as(path, enforce_file_format=True)
    return path


def write_xray_dicom(path: Path, values: NDArray[np.uint16], photometric: str = "MONOCHROME2", bits: int = 12) -> Path:
    """[H, W] stored values of `bits` as a digital X-ray, which says nothing of its place."""
    dataset = _dataset(values, DigitalXRayImageStorageForPresentation, generate_uid())
    dataset.PhotometricInterpretation, dataset.BitsStored, dataset.HighBit = photometric, bits, bits - 1
    dataset.save_as(path, enforce_file_format=True)
    return path


def write_cine_dicom(path: Path, frames: NDArray[np.uint8]) -> Path:
    """[T, H, W] grey or [T, H, W, 3] RGB as an ultrasound multi-frame file at 30 frames a second."""
    dataset = _dataset(frames, UltrasoundMultiFrameImageStorage, generate_uid())
    dataset.FrameTime = 1000 / 30
    dataset.save_as(path, enforce_file_format=True)
    return path


def _dataset(values: NDArray[Any], kind: str, series: str) -> FileDataset:
    """Stored values [H, W], [T, H, W] or with 3 colours at the end, 8 or 16 bits, uncompressed."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = UID(kind), generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = kind, meta.MediaStorageSOPInstanceUID
    dataset.PatientName, dataset.PatientID = "Doe", "1"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), series
    colour = values.shape[-1] == 3 and values.dtype == np.uint8
    grid = values.shape[:-1] if colour else values.shape
    dataset.SamplesPerPixel = 3 if colour else 1
    dataset.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        dataset.PlanarConfiguration = 0
    if len(grid) == 3:
        dataset.NumberOfFrames = grid[0]
    dataset.Rows, dataset.Columns = grid[-2:]
    dataset.BitsAllocated = dataset.BitsStored = 8 * values.dtype.itemsize
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(values.dtype.kind == "i")
    dataset.PixelData = np.ascontiguousarray(values).tobytes()
    dataset["PixelData"].VR = "OB" if values.dtype.itemsize == 1 else "OW"
    return dataset


def _place(affine: NDArray[Any], index: int) -> pydicom.Dataset:
    """Where slice `index` of a volume with this RAS+ affine lies, as DICOM says it: in LPS+."""
    lps = RAS_TO_LPS @ affine
    edges = np.linalg.norm(lps[:3, :3], axis=0)
    row, column = lps[:3, 0] / edges[0], lps[:3, 1] / edges[1]
    place = pydicom.Dataset()
    place.ImageOrientationPatient = [float(f"{number:.9g}") for number in (*row, *column)]
    place.ImagePositionPatient = [float(f"{number:.9g}") for number in lps[:3, 2] * index + lps[:3, 3]]
    place.PixelSpacing = [float(f"{edges[1]:.9g}"), float(f"{edges[0]:.9g}")]
    place.SliceThickness = float(f"{edges[2]:.9g}")
    return place


def _groups(**groups: Mapping[str, Any]) -> pydicom.Dataset:
    """Functional groups, each a sequence of one item."""
    dataset = pydicom.Dataset()
    for name, fields in groups.items():
        item = pydicom.Dataset()
        for field, value in fields.items():
            setattr(item, field, value)
        setattr(dataset, name, [item])
    return dataset
