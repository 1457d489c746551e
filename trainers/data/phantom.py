"""A phantom data set: 3D brain stiffness maps whose ageing is known, for the demo and the tests.

Five studies with the sizes, ages and sexes of Table 2 of the DynLocRep paper, so that ages have two modes,
and the missing coverage of its Appendix A.2. Stiffness is in kPa.
"""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

PHANTOM_IMAGE = "stiffness/{participant_id}_stiffness.nii.gz"
_AGES = (18.0, 90.0)
_BRAIN_MM = 180.0
_AGEING_SD_Y = 2.0
_FIELD_SD, _REGION_SD, _SUBJECT_SD, _NOISE_KPA = 0.05, 0.035, 0.03, 0.2

Field = NDArray[np.float64]
Grid = tuple[Field, Field, Field]


@dataclass(frozen=True)
class _Study:
    """One row of Table 2; `scale` and `noise` are what its scanner adds, small."""

    name: str
    subjects: int
    age_mean: float
    age_sd: float
    female: float
    scale: float
    noise: float


_STUDIES = (
    _Study("study-1", 134, 23.4, 4.0, 78 / 134, 1.000, 1.0),
    _Study("study-2", 60, 37.8, 20.9, 34 / 60, 0.985, 1.2),
    _Study("study-3", 12, 69.4, 2.4, 6 / 12, 1.010, 1.0),
    _Study("study-4", 68, 69.3, 5.8, 49 / 68, 1.005, 0.9),
    _Study("study-5", 37, 49.1, 16.6, 16 / 37, 0.990, 1.1),
)


@dataclass(frozen=True)
class _Region:
    """Stiffness at age 18 (kPa), its relative loss per decade at 18, and how much the loss grows by age 90."""

    stiffness_kpa: float
    loss: float
    acceleration: float
    where: Callable[[Grid], Field]


def _blob(x: float, y: float, z: float, radius: float) -> Callable[[Grid], Field]:
    """A smooth region around a centre, and its mirror image: 1 at the centre, coordinates in brain radii."""
    return lambda g: np.exp(-((np.abs(g[0]) - x) ** 2 + (g[1] - y) ** 2 + (g[2] - z) ** 2) / (2 * radius**2))


_REGIONS = (
    _Region(3.0, 0.025, 0.8, _blob(0.30, 0.65, 0.15, 0.30)),  # frontal
    _Region(2.9, 0.015, 0.4, _blob(0.35, -0.25, 0.55, 0.30)),  # parietal
    _Region(2.8, 0.020, 1.5, _blob(0.70, 0.00, -0.25, 0.28)),  # temporal: late and steep
    _Region(2.7, 0.008, 0.2, _blob(0.25, -0.75, 0.10, 0.28)),  # occipital: keeps
    _Region(3.6, 0.030, 0.5, _blob(0.18, 0.00, -0.02, 0.16)),  # deep grey matter
    _Region(2.2, 0.010, 0.3, _blob(0.25, -0.60, -0.60, 0.25)),  # cerebellum
)
_CORTEX_KPA, _VENTRICLE_KPA = 2.3, 0.9


def write_phantom(
    folder: Path, *, subjects: int = 311, shape: tuple[int, int, int] = (32, 40, 32), seed: int = 0
) -> Path:
    """Write `participants.tsv` and one NIfTI map per subject (float32, axes RAS) under `folder`; its path.

    Columns: participant_id, age (years), sex, study, coverage (fraction of the brain that was imaged). The
    image template is `PHANTOM_IMAGE`. The same arguments give the same bytes.
    """
    people = _people(subjects, np.random.default_rng([seed, 0]))
    anatomy = _Anatomy(shape)
    affine = _affine(shape)
    rows = []
    for index, (study, age, sex) in enumerate(people):
        subject = f"sub-{index + 1:04d}"
        volume, coverage = anatomy.draw(age, sex, study, np.random.default_rng([seed, 1, index]))
        path = folder / PHANTOM_IMAGE.format(participant_id=subject)
        path.parent.mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image(volume, affine), path)
        rows.append([subject, f"{age:.1f}", sex, study.name, f"{coverage:.3f}"])
    table = folder / "participants.tsv"
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(["participant_id", "age", "sex", "study", "coverage"])
        writer.writerows(rows)
    return table


def _people(subjects: int, rng: np.random.Generator) -> list[tuple[_Study, float, str]]:
    """Study, age in years and sex of each subject, in random order."""
    people: list[tuple[_Study, float, str]] = []
    for study, size in zip(_STUDIES, _sizes(subjects), strict=True):
        women = round(size * study.female)
        sexes = rng.permutation(["F"] * women + ["M"] * (size - women))
        people += [(study, age, str(sex)) for age, sex in zip(_ages(study, size, rng), sexes, strict=True)]
    return [people[index] for index in rng.permutation(len(people))]


def _sizes(subjects: int) -> list[int]:
    """Subjects of each study, in Table 2's proportions (largest remainders)."""
    shares = np.array([study.subjects for study in _STUDIES]) * subjects / sum(study.subjects for study in _STUDIES)
    sizes = np.floor(shares).astype(int)
    sizes[np.argsort(sizes - shares, kind="stable")[: subjects - sizes.sum()]] += 1
    return [int(size) for size in sizes]


def _ages(study: _Study, size: int, rng: np.random.Generator) -> list[float]:
    """Ages of adults: a beta distribution over 18 to 90 years with exactly the study's mean and deviation."""
    low, high = _AGES
    mean = (study.age_mean - low) / (high - low)
    precision = mean * (1 - mean) * ((high - low) / study.age_sd) ** 2 - 1
    ages = low + (high - low) * rng.beta(mean * precision, (1 - mean) * precision, size)
    return [round(float(age), 1) for age in ages]


def _affine(shape: tuple[int, int, int]) -> Field:
    """Voxels to millimetres, the origin in the middle."""
    voxel_mm = _BRAIN_MM / np.array(shape)
    affine = np.diag([*voxel_mm, 1.0])
    affine[:3, 3] = -voxel_mm * (np.array(shape) - 1) / 2
    return affine


class _Anatomy:
    """The grid and everything on it that all subjects share."""

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self._axes = [np.linspace(-1.1, 1.1, size) for size in shape]
        x, y, z = np.meshgrid(*self._axes, indexing="ij", sparse=True)
        self._grid: Grid = (x, y, z)
        weights = np.stack([region.where(self._grid) for region in _REGIONS])
        self._weights = weights / (weights.sum(axis=0) + 0.05)
        self._smooth = [_interpolation(size, points) for size, points in zip(shape, (5, 6, 5), strict=True)]

    def draw(self, age: float, sex: str, study: _Study, rng: np.random.Generator) -> tuple[NDArray[np.float32], float]:
        """One stiffness map [X, Y, Z] in kPa, zero outside of what was imaged, and the coverage."""
        apparent = float(np.clip(age + _AGEING_SD_Y * rng.standard_normal(), 15, 95))
        radius = self._radius(rng)
        stiffness = self._tissue(apparent, radius, rng)
        stiffness *= study.scale * (1.015 if sex == "F" else 1.0) * np.exp(_SUBJECT_SD * rng.standard_normal())
        stiffness *= np.exp(_FIELD_SD * self._field(rng))
        stiffness += self._ventricles(apparent, rng) * (_VENTRICLE_KPA - stiffness)
        stiffness += _NOISE_KPA * study.noise * rng.standard_normal(stiffness.shape)
        imaged, coverage = _cover(radius < 1, rng)
        return (np.maximum(stiffness, 0.1) * imaged).astype(np.float32), coverage

    def _radius(self, rng: np.random.Generator) -> Field:
        """Distance from the middle, 1 on the surface of this subject's brain."""
        half = 1 + 0.03 * rng.standard_normal(3)
        squares: Field = sum((axis / size) ** 2 for axis, size in zip(self._grid, half, strict=True))
        return np.sqrt(squares)

    def _tissue(self, age: float, radius: Field, rng: np.random.Generator) -> Field:
        """Regions soften each in its own way; the cortex softens and thins with age."""
        decades = (age - _AGES[0]) / 10
        cortex_kpa = _CORTEX_KPA * (1 - 0.022 * decades)
        values = [
            region.stiffness_kpa * (1 - region.loss * decades * (1 + region.acceleration * decades / 7.2))
            for region in _REGIONS
        ]
        values = [value * np.exp(_REGION_SD * rng.standard_normal()) for value in values]
        inside: Field = cortex_kpa + np.tensordot(np.array(values) - cortex_kpa, self._weights, axes=1)
        rim: Field = 1 / (1 + np.exp(-(radius - 0.93 + 0.008 * decades + 0.02 * rng.standard_normal()) / 0.03))
        return inside * (1 - 0.35 * rim)

    def _ventricles(self, age: float, rng: np.random.Generator) -> Field:
        """Share of fluid in each voxel: two horns that widen with age, later faster."""
        late = max(age - _AGES[0], 0) / (_AGES[1] - _AGES[0])
        width = (0.11 + 0.10 * late**1.5) * np.exp(0.12 * rng.standard_normal())
        x, y, z = self._grid
        distance: Field = np.sqrt(
            ((np.abs(x) - 0.16) / width) ** 2 + (y / (3.2 * width)) ** 2 + ((z - 0.12) / (1.6 * width)) ** 2
        )
        share: Field = 1 / (1 + np.exp((distance - 1) / 0.15))
        return share

    def _field(self, rng: np.random.Generator) -> Field:
        """Smooth noise of about unit variance over the grid."""
        coarse = rng.standard_normal([len(matrix) for matrix in self._smooth])
        field: Field = 1.5 * np.einsum("abc,ax,by,cz->xyz", coarse, *self._smooth, optimize=True)
        return field


def _interpolation(size: int, points: int) -> Field:
    """Linear interpolation [points, size] from a coarse axis to a fine one."""
    place = np.linspace(0, points - 1, size)
    weights: Field = np.maximum(0, 1 - np.abs(np.arange(points)[:, None] - place))
    return weights


def _cover(brain: NDArray[np.bool_], rng: np.random.Generator) -> tuple[NDArray[np.bool_], float]:
    """Drop slices from the top or the bottom; coverage stays in 0.8 to 1, mostly above 0.9."""
    wanted = 1 - 0.2 * rng.beta(1.0, 2.5)
    slices = brain.sum(axis=(0, 1)) / brain.sum()
    from_top = bool(rng.random() < 0.6)
    lost = np.cumsum(slices[::-1] if from_top else slices)
    dropped = int(np.searchsorted(lost, 1 - wanted, side="right"))
    imaged = brain.copy()
    imaged[:, :, len(slices) - dropped :] &= not from_top
    imaged[:, :, :dropped] &= from_top
    return imaged, float(imaged.sum() / brain.sum())
