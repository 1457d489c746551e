"""Kinds of images: how they are told, and that their augmentations can be built."""

import pytest
import yaml

from contrasweep.services import recipes
from contrasweep.services.spec.kinds import KINDS, kind_of
from contrasweep.trainers.augmentations import Augmenter

BRAIN = (1, 182, 218, 182)


@pytest.mark.parametrize(
    ("names", "shape", "kind"),
    [
        ("sub-1/anat/sub-1_T1w.nii.gz", BRAIN, "t1"),
        ("bulk/{eid}_20252_2_0.zip/T1/T1_brain_to_MNI.nii.gz", BRAIN, "t1"),
        ("ADNI/{Subject}/MPRAGE/a.nii", BRAIN, "t1"),
        ("FLAIR.nii.gz", BRAIN, "flair"),
        ("flair_slices/{subject_id}_flair3plane.png", (1, 189, 503), "flair"),
        ("T2w.nii.gz", BRAIN, "t2"),
        ("lesion_mni1mm/{id}_lesion.nii.gz", BRAIN, "mask"),
        ("flair_lesions/{id}_mask.nii.gz", BRAIN, "mask"),
        ("{id}_stiffness.nii.gz", (1, 60, 72, 60), "stiffness"),
        ("A4/{BID}_PET.nii", (4, 128, 128, 63), "pet"),
        ("fa_map.nii.gz", BRAIN, "diffusion"),
        ("task-rest_bold.nii.gz", (200, 64, 64, 36), "bold"),
        ("boneage-training-dataset.csv {id}.png", (1, 1500, 1200), "hand"),
        ("images/{Image Index} chest.png", (1, 1024, 1024), "radiograph"),
        ("Videos/{FileName}.avi", (1, 120, 112, 112), "video"),
        ("rois_cc200.1D", (200, 78), "series"),
        ("a.npy", (400, 478), "series"),
        ("a.npy", (1, 6670), "vector"),
        ("a_connectivity.npy", (116, 116), "connectivity"),
        ("a_connectivity.nii.gz", BRAIN, "volume"),
        ("n4corr/{id}_corrected.png", (1, 64, 64), "picture"),
        ("sub-1_echo-1_MEGRE.nii.gz", BRAIN, "volume"),
        ("start1.png", (1, 30, 40), "picture"),
    ],
)
def test_kinds_are_told_by_names_and_shapes(names: str, shape: tuple[int, ...], kind: str) -> None:
    assert kind_of(names, shape) == kind


def test_values_tell_what_names_do_not() -> None:
    assert kind_of("a.npy", (1, 116, 116), symmetric=True) == "connectivity"
    assert kind_of("sub-1_T1w.nii.gz", BRAIN, binary=True) == "mask"


@pytest.mark.parametrize("name", KINDS)
def test_what_a_kind_names_is_there(name: str) -> None:
    kind = KINDS[name]
    assert not kind.recipe or kind.recipe in recipes.names()
    parsed = yaml.safe_load("\n".join(kind.augmentations))
    for dims in kind.dims:
        Augmenter(parsed, (1, *[16] * dims), seed=0)


@pytest.mark.parametrize("name", ["mask", "connectivity", "vector", "series", "video", "radiograph", "bold"])
def test_left_and_right_stay_where_they_differ(name: str) -> None:
    assert KINDS[name].mirror is None
    assert not any("flip" in one for one in KINDS[name].augmentations)
