"""DICOM series, multi-frame files and single pictures through pydicom."""

import logging
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from contrasweep.trainers.data.readers import FOLDER, UnreadableError, register
from contrasweep.trainers.data.readers._files import check_file, is_dicom
from contrasweep.trainers.data.readers._orient import to_ras
from contrasweep.trainers.data.readers._stack import Slice, Stack, stack
from contrasweep.trainers.data.readers.base import Header, Image, check_shape

if TYPE_CHECKING:
    from pydicom import Dataset

_ENDINGS = (".dcm", ".dicom", ".ima")
_IN_SPACE = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing")
_CINE = ("FrameTime", "FrameTimeVector", "CineRate", "RecommendedDisplayFrameRate")
_TIMES = (
    "TemporalPositionIdentifier",
    "TemporalPositionIndex",
    "FrameReferenceTime",
    "FrameReferenceDateTime",
    "FrameAcquisitionDateTime",
    "AcquisitionDateTime",
    "AcquisitionTime",
    "TriggerTime",
)
_CONTRAST = ("EchoTime", "EffectiveEchoTime", "FlipAngle", "ImageType", "FrameType")
_PIXELS = frozenset({0x0028, 0x7FE0})
"""Groups of elements that say how pixels are coded, and hold them."""
_RESCALE = ("ModalityLUTSequence", "RescaleSlope", "RescaleIntercept")
_GREYS = ("MONOCHROME1", "MONOCHROME2")
_COLOURS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
_PALETTE = "PALETTE COLOR"
_JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"
_LUMINANCE = np.array([0.299, 0.587, 0.114])

# pydicom logs what it puts up with in a data set
logging.getLogger("pydicom").disabled = True


@register(FOLDER)
@register(".dcm")
@register(".dicom")
@register(".ima")
class Dicom:
    """One series in a folder, or one file: what says where it lies in the patient is a volume, the rest pictures.

    - Slices, or an enhanced multi-frame file: [1, X, Y, Z] in the closest RAS+ order, equal voxel by voxel to the same
      volume as NIfTI. Several times at each place (dynamic PET, fMRI): [T, X, Y, Z].
    - A picture, such as an X-ray: [1, H, W], or [3, H, W] in colour.
    - A cine, such as an echocardiogram: luminance [1, T, H, W], the same as of a video file.

    Values are in the unit of the rescale slope and intercept (or lookup table); in pictures and cines MONOCHROME1 is
    inverted, so that more is brighter. In volumes it is not: there it says how to show a measurement.

    A folder holds one series, no subfolders are searched, and files in it that are no DICOM images are passed over. A
    series whose slices differ in size or direction, overlap, or miss one in between is refused.
    """

    def read(self, path: Path) -> Image:
        """Decoded, rescaled, in order."""
        images = _load(path, pixels=True)
        planes = [plane for name, image in images for plane in _planes(name, image)]
        if not _in_space(planes):
            return Image(values=_picture(images[0][1]))
        stacked = _stacked([_slice(name, plane) for name, plane in planes], images[0][1])
        pixels = [frame for name, image in images for frame in _frames_of(name, image)]
        values = [_rescaled(frame, plane).T for frame, (_, plane) in zip(pixels, planes, strict=True)]
        volume = np.stack([np.stack([values[index] for index in place], -1) for place in stacked.order], 2)
        return to_ras(volume, stacked.affine)

    def header(self, path: Path) -> Header:
        """Shape and place without pixels; every file of a series is opened."""
        images = _load(path, pixels=False)
        planes = [plane for name, image in images for plane in _planes(name, image)]
        if not _in_space(planes):
            return Header(shape=_picture_shape(images[0][1]))
        slices = [_slice(name, plane) for name, plane in planes]
        stacked = _stacked(slices, images[0][1])
        shape = (*slices[0].shape[::-1], len(stacked.order), len(stacked.order[0]))
        image = to_ras(np.broadcast_to(np.float32(0), shape), stacked.affine)  # takes no memory
        return Header(shape=image.values.shape, affine=image.affine, orientation=image.orientation)

    def write_sample(self, path: Path) -> tuple[int, ...]:
        """An axial slice of CT, or a folder of three."""
        from pydicom import examples

        if path.suffix:
            path.write_bytes(examples.get_path("ct").read_bytes())
            return 1, 128, 128, 1
        path.mkdir()
        for index in range(3):
            slice_ = examples.ct
            slice_.ImagePositionPatient[2] += 5 * index
            slice_.save_as(path / f"{index}.dcm")
        return 1, 128, 128, 3


def _load(path: Path, *, pixels: bool) -> list[tuple[str, "Dataset"]]:
    """Names and data sets of the images in `path`, all of one series."""
    if not path.is_dir():
        image = _dataset(path, pixels=pixels)
        if image is None:
            raise UnreadableError("is a DICOM file without an image")
        return [("the file", image)]
    images = [(file.name, image) for file in sorted(path.iterdir()) if (image := _image(file, pixels)) is not None]
    if not images:
        raise UnreadableError("is a folder that holds no DICOM images")
    _check_one_series([image for _, image in images])
    return images


def _check_one_series(images: Sequence["Dataset"]) -> None:
    series = Counter((image.get("SeriesDescription", "no name"), image.get("SeriesInstanceUID")) for image in images)
    if len({uid for _, uid in series}) > 1:
        shown = ", ".join(sorted(f"{description} ({count} files)" for (description, _), count in series.items()))
        raise UnreadableError(f"holds {len(series)} series: {shown}; a folder of one is needed")


def _image(file: Path, pixels: bool) -> "Dataset | None":
    """The image in a file of a folder, None where it is something else. A file that should be one must be readable."""
    if file.is_dir() or file.name.startswith(".") or file.name.upper() == "DICOMDIR":
        return None
    try:
        check_file(file)
        if not is_dicom(file) and not file.name.lower().endswith(_ENDINGS):
            return None
        return _dataset(file, pixels=pixels)
    except UnreadableError as error:
        raise UnreadableError(f"{file.name} {error}") from error


def _dataset(file: Path, *, pixels: bool) -> "Dataset | None":
    """The image in a DICOM file, None where it is of another kind, such as a report."""
    import pydicom

    dataset: Dataset
    try:
        dataset = pydicom.dcmread(file, stop_before_pixels=not pixels)
    except pydicom.errors.InvalidDicomError:
        dataset = _without_meta(file, pixels=pixels)
    except EOFError:
        raise UnreadableError("ends early") from None
    kind = dataset.get("SOPClassUID") or dataset.file_meta.get("MediaStorageSOPClassUID")
    if kind is None:
        raise UnreadableError("is damaged or ends early: it does not say what it holds")
    if "Rows" not in dataset and "Image" not in getattr(kind, "name", ""):
        return None
    for field in ("Rows", "Columns", *(("PixelData",) if pixels else ())):
        if field not in dataset:
            raise UnreadableError(f"is damaged or ends early: an image without {field}")
    _check_coding(dataset)
    return dataset


def _without_meta(file: Path, *, pixels: bool) -> "Dataset":
    """A data set without the meta information in front of it, as old scanners wrote them: coded as pydicom guesses."""
    import pydicom

    try:
        dataset = pydicom.dcmread(file, stop_before_pixels=not pixels, force=True)
        kind = dataset.get("SOPClassUID")
        compressed = "PixelData" in dataset and dataset["PixelData"].is_undefined_length
    except Exception as error:  # nearly anything on bytes that are none
        raise UnreadableError("is no DICOM file") from error
    if kind is None or (not kind.is_private and kind.name == kind):  # no DICOM object is of an unknown kind
        raise UnreadableError("is no DICOM file")
    if "TransferSyntaxUID" not in dataset.file_meta and not compressed:
        implicit, little = dataset.original_encoding
        explicit = pydicom.uid.ExplicitVRLittleEndian if little else pydicom.uid.ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian if implicit else explicit
    return dataset


def _check_coding(image: "Dataset") -> None:
    """Raise UnreadableError where the pixels are in a coding or in colours that are not decoded."""
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.uid import MPEGTransferSyntaxes

    if "TransferSyntaxUID" not in image.file_meta:
        raise UnreadableError("does not say how it is coded: it has no TransferSyntaxUID")
    syntax = image.file_meta.TransferSyntaxUID
    try:
        available = get_decoder(syntax).is_available
    except NotImplementedError:
        available = False
    if not available:
        is_video = syntax in MPEGTransferSyntaxes
        video = "video, which is not decoded in DICOM; take it out of the file, as .mp4 or .avi"
        packed = "pip install 'contrasweep[dicom]' decodes most, gdcmconv --raw all"
        raise UnreadableError(f"is compressed as {syntax.name}: {video if is_video else packed}")
    colours = str(image.get("PhotometricInterpretation"))
    allowed = (*_GREYS, *_COLOURS, _PALETTE)
    if colours not in allowed:
        raise UnreadableError(f"is in {colours}; allowed: {', '.join(allowed)}")


def _frames(image: "Dataset") -> int:
    return int(image.get("NumberOfFrames") or 1)


def _planes(name: str, image: "Dataset") -> list[tuple[str, "Dataset"]]:
    """What is said of each plane: by the file of a slice itself, by an enhanced file of each of its frames."""
    if "MOSAIC" in image.get("ImageType", ()):
        raise UnreadableError(f"{name} is a mosaic of slices; convert it to NIfTI (dcm2niix) first")
    frames = image.get("PerFrameFunctionalGroupsSequence")
    if not frames:
        return [(name, image)]
    if len(frames) != _frames(image):
        raise UnreadableError(f"{name} has {_frames(image)} frames and describes {len(frames)}")
    shared = image.get("SharedFunctionalGroupsSequence", [])[:1]
    planes = [(f"frame {number} of {name}", _flat([*shared, frame])) for number, frame in enumerate(frames, 1)]
    for _, plane in planes:
        plane.Rows, plane.Columns = image.Rows, image.Columns
        if not any(field in plane for field in _RESCALE):  # some say it once for the file
            for field in filter(image.__contains__, _RESCALE):
                setattr(plane, field, image[field].value)
    return planes


def _flat(groups: Sequence["Dataset"]) -> "Dataset":
    """Functional groups as one data set, as the file of a single slice would have it."""
    from pydicom import Dataset

    flat = Dataset()
    for group in groups:
        for element in group:
            if element.VR == "SQ" and len(element.value) == 1:
                flat.update(element.value[0])
    return flat


def _in_space(planes: list[tuple[str, "Dataset"]]) -> bool:
    """Whether planes say where they lie; all must, or there is only one file, of a picture or a cine."""
    placed = [all(plane.get(field) for field in _IN_SPACE) for _, plane in planes]
    if all(placed):
        return True
    if any(placed):
        raise UnreadableError(f"{planes[placed.index(False)][0]} does not say where it lies, others do")
    if len(planes) > 1:
        raise UnreadableError(f"holds {len(planes)} pictures that do not say where they lie; one is needed")
    return False


def _slice(name: str, plane: "Dataset") -> Slice:
    if _frames(plane) > 1:
        raise UnreadableError(f"{name} has {_frames(plane)} frames and one position")
    if _channels(plane) != 1:
        raise UnreadableError(f"{name} is in colour; slices of a volume must be grey")
    return Slice(
        name=name,
        shape=(plane.Rows, plane.Columns),
        position=np.array(plane.ImagePositionPatient, dtype=np.float64),
        axes=np.array(plane.ImageOrientationPatient, dtype=np.float64).reshape(2, 3),
        pixel_mm=np.array(plane.PixelSpacing, dtype=np.float64),
        thickness_mm=float(plane.get("SpacingBetweenSlices") or plane.get("SliceThickness") or 1),
        times={kind: _time(kind, plane) for kind in _TIMES if plane.get(kind) not in (None, "")},
        contrast={kind: str(plane[kind].value) for kind in _CONTRAST if kind in plane},
    )


def _time(kind: str, plane: "Dataset") -> Any:
    """A time of day with its date, as a scan may go on after midnight."""
    time = plane[kind].value
    return (str(plane.get("AcquisitionDate") or ""), time) if kind == "AcquisitionTime" else time


def _stacked(slices: list[Slice], image: "Dataset") -> Stack:
    stacked = stack(slices)
    promised = image.get("NumberOfSlices")  # only PET and nuclear medicine say it
    if len(slices) > 1 and promised and int(promised) != len(stacked.order):
        raise UnreadableError(f"has slices at {len(stacked.order)} of {promised} places")
    return stacked


def _frames_of(name: str, image: "Dataset") -> NDArray[Any]:
    """Stored values of the planes in a file [N, rows, columns]."""
    try:
        return _decoded(image).reshape(-1, image.Rows, image.Columns)
    except UnreadableError as error:
        raise UnreadableError(f"{name} {error}") from error
    except (ValueError, RuntimeError) as error:
        raise UnreadableError(f"{name} cannot be decoded: {' '.join(str(error).split())}") from error


def _decoded(image: "Dataset") -> NDArray[Any]:
    """Stored values, colours as RGB: [H, W] or [T, H, W], each with 3 at the end where it is in colour."""
    check_shape((_frames(image), image.Rows, image.Columns, image.get("SamplesPerPixel", 1)))
    if image.get("PhotometricInterpretation") != _PALETTE:
        return _stored(image)
    from pydicom.pixels.processing import apply_color_lut

    colours = apply_color_lut(_stored(image), image)[..., :3]
    # of 16 bits the upper 8: palettes are of 8 that are repeated, or have zeros behind them
    return colours if colours.itemsize == 1 else (colours >> 8).astype(np.uint8)


def _stored(image: "Dataset") -> NDArray[Any]:
    """Stored values, places in the palette among them."""
    extended = image.file_meta.TransferSyntaxUID == _JPEG_EXTENDED
    return _through_itk(image) if extended and image.BitsStored > 8 else image.pixel_array


def _through_itk(image: "Dataset") -> NDArray[Any]:
    """Stored values of 12-bit JPEG: of pydicom's decoders only one under the GPL knows it, and ITK brings its own."""
    import SimpleITK
    from pydicom import Dataset

    plain = Dataset()
    plain.update({each.tag: each for each in image if each.tag.group in _PIXELS and each.keyword not in _RESCALE})
    plain.SOPClassUID, plain.SOPInstanceUID, plain.file_meta = image.SOPClassUID, image.SOPInstanceUID, image.file_meta
    with TemporaryDirectory(prefix="contrasweep-dicom-") as folder:
        path = Path(folder) / "image.dcm"
        plain.save_as(path, enforce_file_format=True)
        with _silent():
            values = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path), imageIO="GDCMImageIO"))
    return values.reshape(-1, *values.shape[-2:]) if _frames(image) > 1 else values.reshape(values.shape[-2:])


@contextmanager
def _silent() -> Iterator[None]:
    """Nothing that C writes to standard error is seen: ITK tells of each decoder that it tries before the right one."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _channels(image: "Dataset") -> int:
    """3 in colour, 1 in grey."""
    return 3 if image.get("PhotometricInterpretation") == _PALETTE else int(image.get("SamplesPerPixel", 1))


def _rescaled(values: NDArray[Any], described: "Dataset") -> NDArray[np.float32]:
    from pydicom.pixels.processing import apply_modality_lut

    if described.get("ModalityLUTSequence"):
        return apply_modality_lut(values, described).astype(np.float32)
    slope, intercept = described.get("RescaleSlope"), described.get("RescaleIntercept")  # pydicom wants both
    return (values * float(1 if slope is None else slope) + float(intercept or 0)).astype(np.float32)


def _picture_shape(image: "Dataset") -> tuple[int, ...]:
    """(1 or 3, H, W) of a picture, (1, T, H, W) of a cine."""
    frames, size = _frames(image), (int(image.Rows), int(image.Columns))
    if frames == 1:
        return (_channels(image), *size)
    if not any(kind in image for kind in _CINE):
        raise UnreadableError(f"has {frames} frames and says neither where nor when they were taken")
    return (1, frames, *size)


def _picture(image: "Dataset") -> NDArray[np.float32]:
    """A picture or cine in the shape above."""
    shape = _picture_shape(image)
    kind = str(image.get("PhotometricInterpretation"))
    if kind in (*_COLOURS, _PALETTE):
        colours = _decoded(image)
        luminance = np.rint(colours @ _LUMINANCE) if len(shape) == 4 else np.moveaxis(colours, -1, 0)
        return luminance.reshape(shape).astype(np.float32)
    stored = _decoded(image)
    values = _rescaled(stored, image).reshape(shape)
    if kind == "MONOCHROME2":
        return values
    low = -(1 << (image.BitsStored - 1)) if image.PixelRepresentation else 0
    ends = np.array([low, low + (1 << image.BitsStored) - 1], dtype=stored.dtype)
    inverted: NDArray[np.float32] = _rescaled(ends, image).sum() - values
    return inverted
