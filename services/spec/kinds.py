"""What kind of image a study has, by its names and shape, and which augmentations leave such images' labels alone."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

MODERATE = "affine: {degrees: 5, shift: 0.05, zoom: 0.05}"
HIDDEN = "cutout: {size: 0.3}"
SCANNED = ("affine: {degrees: 8, shift: 0.05, zoom: 0.1}", "intensity: {scale: 0.2, shift: 0.2}")
"""Of MRI, whose units are each scanner's own."""


@dataclass(frozen=True)
class Kind:
    """A kind of image.

    Attributes:
        title: for people.
        words: a regular expression of what names it in a path, in lower case; empty where only shape or values tell.
        dims: spatial dimensions that it has.
        augmentations: of `training`, a line each.
        why: the reason for these.
        intensities: what its values are: `relative` to each image, `absolute`, with a meaning across images, or a
            `mask`'s.
        mirror: of images of so many dimensions the axis from left to right, where a mirror image is as likely.
        recipe: what prepares such images as published; recipe_for: which of them, where not all.
        placed: whether the recipe needs voxels that have places; skull_stripped: and brains without skulls.
        convolved: whether places next to each other belong together.
    """

    title: str
    words: str = ""
    dims: tuple[int, ...] = (2, 3)
    augmentations: tuple[str, ...] = (HIDDEN, MODERATE, "intensity: {scale: 0.1, shift: 0.1}")
    why: str = "small turns and shifts, brightness and contrast"
    intensities: str = "relative"
    mirror: tuple[int, int] | None = None
    recipe: str = ""
    recipe_for: str = ""
    placed: bool = False
    skull_stripped: bool = False
    convolved: bool = True


_VOLUME, _PICTURE = (3, 0), (2, 1)
"""Volumes whose voxels have places come in RAS+ order; of slices nobody knows which plane they are in."""
_MEANT = (HIDDEN, MODERATE, "noise: {std: 0.05}")
_WHY_MEANT = "small turns and shifts; values have a unit and stay"

KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "mask": Kind(
            "lesion or region mask",
            r"lesions?|masks?|rois?|segmentations?|dseg|probseg",
            augmentations=(MODERATE,),
            why="small turns and shifts; a hole would be another lesion",
            intensities="mask",
        ),
        "flair": Kind("FLAIR MRI", r"flair", augmentations=SCANNED, mirror=_VOLUME),
        "t2": Kind("T2-weighted MRI", r"t2w?|t2star|swi", augmentations=SCANNED, mirror=_VOLUME),
        "t1": Kind(
            "T1-weighted MRI",
            r"t1w?|mp2?rage|spgr|bravo",
            augmentations=SCANNED,
            mirror=_VOLUME,
            recipe="t1_brain",
            placed=True,
            skull_stripped=True,
        ),
        "diffusion": Kind(
            "diffusion maps", r"dwi|dti|fa|md|adc", augmentations=_MEANT, why=_WHY_MEANT, intensities="absolute"
        ),
        "stiffness": Kind(
            "stiffness maps",
            r"stiffness|mre|elasto\w*",
            augmentations=_MEANT,
            why=_WHY_MEANT,
            intensities="absolute",
            mirror=_VOLUME,
            recipe="stiffness",
            placed=True,
            skull_stripped=True,
        ),
        "pet": Kind(
            "PET",
            r"pet|suvr?|pib|av45|florbeta\w*|fdg",
            dims=(3,),
            augmentations=_MEANT,
            why=_WHY_MEANT,
            intensities="absolute",
            mirror=_VOLUME,
            recipe="pet_amyloid",
            recipe_for="amyloid PET",
            placed=True,
        ),
        "ct": Kind("CT", r"ct", augmentations=_MEANT, why=_WHY_MEANT, intensities="absolute"),
        "bold": Kind("fMRI volumes", r"bold|fmri", dims=(3,), recipe="fmri_volumes", placed=True),
        "hand": Kind(
            "radiographs of hands",
            r"hands?|bone-?ages?\w*|rhpe",
            dims=(2,),
            augmentations=(HIDDEN, "affine: {degrees: 10, shift: 0.05, zoom: 0.05}", "intensity: {contrast: 0.1}"),
            mirror=_PICTURE,  # the bones of both hands are of one age, and SupReMix flips them (B.1.3)
            recipe="xray_hand",
        ),
        "radiograph": Kind(
            "radiographs",
            r"x-?rays?|cxr|chest\w*|radiographs?",
            dims=(2,),
            augmentations=(HIDDEN, MODERATE, "intensity: {contrast: 0.1}"),
        ),
        "video": Kind(
            "video",
            r"echo(?!-?\d)\w*|a4c|videos?",
            dims=(3,),
            augmentations=("frame_jitter: {}", "intensity: {scale: 0.1, shift: 0.1}"),
            why="a later beginning, brightness and contrast; views are standard ones and stay upright",
            recipe="echo",
            recipe_for="echocardiograms",
        ),
        "connectivity": Kind(
            "connectivity matrices",
            r"connectivit\w*|connectomes?|conn|relmat|correlations?|corrmat\w*",
            dims=(1, 2),
            augmentations=("noise: {std: 0.1}",),
            why="noise alone: rows have no neighbours and no sides",
            intensities="absolute",
            convolved=False,
        ),
        "vector": Kind(
            "vectors of features",
            dims=(1,),
            augmentations=("noise: {std: 0.1}",),
            why="noise alone: features have no neighbours",
            intensities="absolute",
            convolved=False,
        ),
        "series": Kind(
            "series",
            r"timeseries|ptseries|dtseries|series|ts",
            dims=(1,),
            augmentations=("cutout: {size: 0.2}", "noise: {std: 0.1}"),
            why="a stretch of time hidden, noise",
            recipe="fmri_series",
            recipe_for="series of fMRI regions",
        ),
        "picture": Kind("pictures", dims=(2,)),
        "volume": Kind("volumes", dims=(3,)),
    }
)
"""In the order in which names are tried: a lesion on a FLAIR is a lesion."""
BY_SHAPE = MappingProxyType({1: "series", 2: "picture", 3: "volume"})
VIDEOS = (".avi", ".mp4", ".mov", ".mkv")


def kind_of(names: str, shape: Sequence[int], *, symmetric: bool = False, binary: bool = False) -> str:
    """The kind, a key of `KINDS`, of images (C, *S), by the `names` of their files, suffix and folders.

    `symmetric` says whether they are matrices that equal their transpose, `binary` whether they have two values alone.

    >>> kind_of("anat/sub-1_T1w.nii.gz", (1, 182, 218, 182)), kind_of("flair3plane/a.png", (1, 189, 503))
    ('t1', 'flair')
    >>> kind_of("a.npy", (1, 6670)), kind_of("a.npy", (400, 478)), kind_of("a.npy", (1, 116, 116), symmetric=True)
    ('vector', 'series', 'connectivity')
    """
    told, dims = names.lower(), len(shape) - 1
    square = dims < 3 and shape[-1] == shape[-2]
    if symmetric or (square and _names(KINDS["connectivity"].words, told)):
        return "connectivity"
    if told.endswith(VIDEOS):
        return "video"
    if binary and dims > 1:
        return "mask"
    for name, kind in KINDS.items():
        if name != "connectivity" and dims in kind.dims and kind.words and _names(kind.words, told):
            return name
    return "vector" if dims == 1 and 1 in shape else BY_SHAPE[dims]


def _names(words: str, told: str) -> bool:
    return re.search(rf"(?<![a-z])(?:{words})(?![a-z])", told) is not None
