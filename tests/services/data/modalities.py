"""A small data set of each modality, in the format that it comes in, whose images tell the label in one known place."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from tests.trainers.data.scans import (
    write_dynamic_series,
    write_matrix,
    write_picture,
    write_video,
    write_xray_dicom,
)

Values = NDArray[Any]
Figure = Callable[[Values], Any]
Cells = dict[str, str]
Write = Callable[[Path, int, float, Generator], Cells]
"""Writes the scan of a subject at a path that still lacks its ending; returns the row's cells, `file` among them.

It gets the subject's number, how far between the least and the greatest label the subject's is, and an own generator.
"""
TR_S = 0.8
FIELD_MM = 96.0


@dataclass(frozen=True)
class Modality:
    """`instead` are the recipe's steps that a test makes smaller or exchanges, by name; `values` fill its blanks.

    `figure` takes stored images [n, C, *S] to the figures [n] that follow the label.
    """

    recipe: str
    write: Write
    figure: Figure
    shape: tuple[int, ...]
    instead: Mapping[str, Mapping[str, Any]]
    values: Mapping[str, str] = field(default_factory=dict)


# Brains -------------------------------------------------------------------------------------------------------------


def places(spacing: tuple[float, float, float]) -> Values:
    """Millimetres from the middle of the field of view [3, X, Y, Z], in RAS+."""
    axes = [(np.arange(round(FIELD_MM / mm)) + 0.5) * mm - FIELD_MM / 2 for mm in spacing]
    return np.stack(np.meshgrid(*axes, indexing="ij"))


def brain(at: Values, right_mm: float) -> Values:
    """Folded tissue [X, Y, Z], 0 outside: a half ball with a radius of 30 mm at the left and another at the right."""
    inside = np.linalg.norm(at, axis=0) < np.where(at[0] < 0, 30, right_mm)
    folds = np.sin(at[0] / 5) * np.sin(at[1] / 6) * np.sin(at[2] / 7)
    return np.where(inside, 100 + 30 * folds, 0).astype(np.float32)


def write_placed(path: Path, values: Values, spacing: tuple[float, float, float], axes: str) -> None:
    """A volume [X, Y, Z] or series [X, Y, Z, T] in RAS+ order, written along other axes."""
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = (np.array(spacing) - FIELD_MM) / 2
    turn = nib.orientations.ornt_transform(nib.io_orientation(affine), nib.orientations.axcodes2ornt(axes))
    nib.save(nib.Nifti1Image(values, affine).as_reoriented(turn), path)


SPACINGS = ((4.0, 4.0, 4.0), (3.0, 3.0, 6.0), (4.8, 3.0, 4.0))
AXES = ("RAS", "LPS", "ASR", "LIA")


def write_t1(path: Path, number: int, share: float, rng: Generator) -> Cells:
    """The older, the smaller the right hemisphere; slices are thick in some, and axes odd in most."""
    spacing = SPACINGS[number % 3]
    values = brain(places(spacing), right_mm=40 - 20 * share)
    values *= rng.uniform(0.5, 2) * rng.normal(1, 0.02, values.shape)  # scanners' units are their own
    write_placed(path.with_suffix(".nii.gz"), values.astype(np.float32), spacing, AXES[number % 4])
    return {"file": f"{path.name}.nii.gz"}


def right_volume(images: Values) -> Any:
    """How much of the right half is tissue."""
    return (images[:, 0, images.shape[2] // 2 :] != 0).mean(axis=(1, 2, 3))


def write_stiffness(path: Path, number: int, share: float, rng: Generator) -> Cells:
    """The older, the softer, in kPa."""
    spacing = SPACINGS[number % 3]
    values = brain(places(spacing), right_mm=30) / 100 * (3.5 - 1.5 * share)
    values *= rng.normal(1, 0.02, values.shape)
    write_placed(path.with_suffix(".nii"), values.astype(np.float32), spacing, AXES[number % 4])
    return {"file": f"{path.name}.nii"}


def middle(images: Values) -> Any:
    """The mean of the middle of each axis."""
    x, y, z = (slice(side * 3 // 8, side * 5 // 8) for side in images.shape[2:])
    return images[:, 0, x, y, z].mean(axis=(1, 2, 3))


def write_pet(path: Path, number: int, share: float, rng: Generator) -> Cells:
    """Two frames of 6 mm voxels, the second moved by 3 mm; the older, the more is taken up in the middle.

    Every second subject is a 4-D NIfTI file, the others are folders of DICOM slices.
    """
    at, dose = places((6.0, 6.0, 6.0)), rng.uniform(500, 1000)
    frames = []
    for moved in (0.0, 3.0):
        here = at - np.array([0, moved, 0])[:, None, None, None]
        uptake = brain(here, right_mm=30) / 100 * (1 + 2 * share * (np.linalg.norm(here, axis=0) < 15))
        frames.append(dose * uptake)
    series = np.stack(frames, axis=3).astype(np.int16)
    if number % 2:
        write_placed(path.with_suffix(".nii.gz"), series, (6.0, 6.0, 6.0), AXES[number % 4])
        return {"file": f"{path.name}.nii.gz"}
    write_dynamic_series(path, series, np.diag([6.0, 6.0, 6.0, 1.0]))
    return {"file": path.name}


# Radiographs --------------------------------------------------------------------------------------------------------


def hand(height: int, width: int, length: float) -> Values:
    """A bright bar [H, W], 0 to 1, that fills `length` of the height, from below, and the middle third of the width."""
    picture = np.zeros((height, width))
    picture[round(height * (1 - length)) :, width // 3 : -(width // 3)] = 1
    return picture


def radiograph(values: Values, rng: Generator) -> Values:
    """Levels [H, W] of 12 bits out of 0 to 1, exposed more or less, with noise."""
    return np.clip(rng.uniform(1500, 2500) * (values + 0.3) + rng.normal(0, 40, values.shape), 0, 4095).astype(
        np.uint16
    )


def write_hand(path: Path, number: int, share: float, rng: Generator) -> Cells:
    """The older, the longer the hand; as PNG, or as DICOM in which more is brighter, or darker."""
    levels = radiograph(hand(52, 40, 0.3 + 0.6 * share), rng)
    if number % 3 == 0:
        write_picture(path.with_suffix(".png"), (levels // 16).astype(np.uint8))
        return {"file": f"{path.name}.png"}
    inverted = number % 3 == 1
    stored = 4095 - levels if inverted else levels
    write_xray_dicom(path.with_suffix(".dcm"), stored, "MONOCHROME1" if inverted else "MONOCHROME2")
    return {"file": f"{path.name}.dcm"}


def write_hands(path: Path, number: int, share: float, rng: Generator) -> Cells:
    """Both hands; only the left one in the picture tells the age. It lies anywhere, and the table has its box."""
    picture = np.zeros((210, 300))
    left, top = int(rng.integers(0, 78)), int(rng.integers(0, 90))
    picture[top : top + 120, left : left + 72] = hand(120, 72, 0.3 + 0.6 * share)
    picture[30:180, 195:255] = hand(150, 60, rng.uniform(0.3, 0.9))
    write_picture(path.with_suffix(".tif"), radiograph(picture, rng))
    box = {"x": str(left), "y": str(top), "width": "72", "height": "120"}
    return {"file": f"{path.name}.tif", **box}


def bright_share(images: Values) -> Any:
    """How many values are above 0.5."""
    return (images.reshape(len(images), -1) > 0.5).mean(axis=1)


def rows_reached(images: Values) -> Any:
    """How many rows hold a value above 0.5."""
    return (images > 0.5).any(axis=(1, 3)).sum(axis=1)


def length(images: Values) -> Any:
    """How far up the middle columns are brighter than the outer ones, in rows."""
    columns = images[:, 0].astype(np.float64)
    third = images.shape[3] // 3
    return (columns[:, :, third:-third].mean(axis=2) > columns.mean(axis=(1, 2))[:, None]).sum(axis=1)


# Videos -------------------------------------------------------------------------------------------------------------

CODECS = ((".avi", "mjpeg", "yuvj420p"), (".mp4", "libx264", "yuv420p"), (".mkv", "ffv1", "gray"))


def write_echo(path: Path, number: int, share: float, rng: Generator) -> Cells:
    """A chamber that beats twice; the older, the wider. Videos differ in codec and length."""
    ending, codec, pixels = CODECS[number % 3]
    count = int(rng.integers(20, 41))
    rows, columns = np.indices((48, 64)) - np.array([23.5, 31.5])[:, None, None]
    radius = (8 + 10 * share) * (1 + 0.2 * np.sin(np.linspace(0, 4 * np.pi, count)))
    frames = np.hypot(rows, columns) < radius[:, None, None]
    write_video(path.with_suffix(ending), (30 + 180 * frames).astype(np.uint8), codec, pixels)
    return {"file": f"{path.name}{ending}"}


# Series -------------------------------------------------------------------------------------------------------------


def series(count: int, share: float, rng: Generator) -> Values:
    """Four regions [4, T] that swing at 0.02 to 0.08 Hz, the older the faster, each at another phase.

    On top of what all share, a slow drift and the breath at 0.3 Hz, which are to be removed.
    """
    seconds = np.arange(count) * TR_S
    phases = np.arange(4)[:, None] * np.pi / 2 + rng.uniform(0, 2 * np.pi)
    own = np.sin(2 * np.pi * (0.02 + 0.06 * share) * seconds + phases)
    drift = 5 * np.sin(2 * np.pi * 0.002 * seconds + phases)
    breath = 3 * np.sin(2 * np.pi * 0.3 * seconds)
    values: Values = 100 + own + drift + breath + rng.normal(0, 0.2, (4, count))
    return values


def write_series(path: Path, number: int, share: float, rng: Generator) -> Cells:
    """Regions by time as .npy, .csv or .tsv; short series are padded, long ones cut."""
    values = series(int(rng.integers(150, 220)), share, rng)
    ending = (".npy", ".csv", ".tsv")[number % 3]
    if ending == ".npy":
        np.save(path.with_suffix(ending), values)
    else:
        write_matrix(path.with_suffix(ending), values, {".csv": ",", ".tsv": "\t"}[ending])
    return {"file": f"{path.name}{ending}"}


def write_fmri(path: Path, number: int, share: float, rng: Generator) -> Cells:
    """4-D NIfTI of 12 x 12 x 3 voxels, each quarter of which follows one region; axes are odd in most."""
    values = series(int(rng.integers(150, 220)), share, rng)
    volumes = values[quarters()] + rng.normal(0, 0.2, (12, 12, 3, values.shape[1]))
    write_placed(path.with_suffix(".nii.gz"), volumes.astype(np.float32), (4.0, 4.0, 4.0), AXES[number % 4])
    return {"file": f"{path.name}.nii.gz"}


def quarters() -> Values:
    """The region of each voxel [12, 12, 3], from 0."""
    x, y, _ = np.indices((12, 12, 3))
    regions: Values = 2 * (x >= 6) + (y >= 6)
    return regions


def write_atlas(path: Path) -> Path:
    """The four regions, each a block inside its quarter, on a grid of 4 mm."""
    x, y, _ = np.indices((12, 12, 3))
    inside = np.isin(x % 6, range(1, 5)) & np.isin(y % 6, range(1, 5))
    write_placed(path, (quarters() + 1.0) * inside, (4.0, 4.0, 4.0), "RAS")
    return path


def frequency(images: Values) -> Any:
    """Of the strongest swing, in steps of the spectrum."""
    power = np.abs(np.fft.rfft(images.astype(np.float64), axis=2)) ** 2
    return power.sum(axis=1).argmax(axis=1)


def spaced(mm: float) -> dict[str, dict[str, Any]]:
    return {"Spacing": {"Spacing": {"pixdim": [mm, mm, mm]}}}


def cropped(*size: int) -> dict[str, dict[str, Any]]:
    return {"ResizeWithPadOrCrop": {"ResizeWithPadOrCrop": {"spatial_size": list(size)}}}


def resized(*size: int, **how: Any) -> dict[str, dict[str, Any]]:
    return {"Resize": {"Resize": {"spatial_size": list(size), **how}}}


N4 = {"N4BiasCorrection": {"N4BiasCorrection": {"mask": "nonzero", "levels": 2, "iterations": 5}}}
RADIOGRAPH = resized(26, 20, mode="bilinear", anti_aliasing=True)
BOX = {"LeftHalf": {"BoundingBox": {"columns": ["x", "y", "width", "height"]}}}
SERIES = {"tr_s": str(TR_S)}

MODALITIES = {
    "T1": Modality("t1_brain", write_t1, right_volume, (1, 22, 22, 22), N4 | spaced(4) | cropped(22, 22, 22)),
    "stiffness": Modality("stiffness", write_stiffness, middle, (1, 16, 20, 16), N4 | spaced(4) | cropped(16, 20, 16)),
    "amyloid PET": Modality("pet_amyloid", write_pet, middle, (1, 12, 12, 12), spaced(6) | cropped(12, 12, 12)),
    "hand": Modality("xray_hand", write_hand, length, (1, 26, 20), RADIOGRAPH),
    "two hands": Modality("xray_hands", write_hands, rows_reached, (1, 26, 20), RADIOGRAPH),
    "two hands with boxes": Modality("xray_hands", write_hands, length, (1, 26, 20), RADIOGRAPH | BOX),
    "echo": Modality(
        "echo",
        write_echo,
        bright_share,
        (1, 8, 24, 24),
        {"SampleFrames": {"SampleFrames": {"count": 8}}, **resized(8, 24, 24, mode="trilinear")},
    ),
    "fMRI series": Modality("fmri_series", write_series, frequency, (4, 180), cropped(180), SERIES),
    "fMRI volumes": Modality(
        "fmri_volumes", write_fmri, frequency, (4, 180), cropped(180), SERIES | {"atlas": "atlas.nii.gz"}
    ),
}
