"""What `init` decides by what was seen, a case for each kind of study."""

from dataclasses import replace
from typing import Any

import pytest

from contrasweep.services.spec import decide
from contrasweep.services.spec.decide import EFFORTS, Choice
from contrasweep.services.spec.look import Labels, Machine, Seen
from contrasweep.trainers.config import ModelConfig

CPUS = Machine(cpus=2, memory_bytes=24e9)
GPU = Machine(cpus=16, memory_bytes=128e9, gpus=1, gpu_bytes=80e9, bf16=True)
AGE = Labels("age", distinct=66, low=16, median=60, high=89)
NIHSS = Labels("nihss", distinct=35, low=0, median=5, high=35, heaped=0.14, most=0)
SLICES = Seen(people=755, scans=755, kind="flair", shape=(1, 189, 503), labels=AGE, machine=CPUS)
VOLUMES = replace(
    SLICES,
    kind="t1",
    shape=(1, 182, 218, 182),
    spacing_mm=(1.0, 1.0, 1.0),
    extent_mm=(182.0, 218.0, 182.0),
)
LESIONS = replace(VOLUMES, kind="mask", labels=NIHSS)
MATRICES = replace(SLICES, people=600, scans=600, kind="connectivity", shape=(1, 116, 116))
PHANTOM = replace(VOLUMES, people=311, scans=311, kind="stiffness", shape=(1, 12, 14, 12))


def transforms(seen: Seen, longest: int | None) -> list[str]:
    return [line.text for line in decide.prepare(seen, longest).transforms]


def network(seen: Seen) -> ModelConfig:
    encoder = "mlp" if not seen.of.convolved else decide.ENCODERS[seen.dims, seen.has_gpu]
    return ModelConfig(encoder=encoder, spatial_dims=seen.dims, width=0.5)


def fields(seen: Seen, shape: tuple[int, ...] | None = None) -> dict[str, Choice]:
    return decide.training(seen, network(seen), shape or seen.shape, 2)


def values(seen: Seen, shape: tuple[int, ...] | None = None) -> dict[str, Any]:
    return {name: choice.value for name, choice in fields(seen, shape).items()}


def search(seen: Seen, step_s: float, views: int = 2) -> decide.Search:
    shape = (1, 32, 32)
    return decide.search(seen, fields(seen, shape), shape, views, step_s)


@pytest.mark.parametrize(
    ("seen", "sides"),
    [
        (SLICES, (160, 112, 64)),
        (replace(SLICES, shape=(3, 64, 64)), (None,)),
        (replace(SLICES, machine=GPU), (224,)),
        (VOLUMES, (96, 64, 48, 32)),
        (replace(VOLUMES, shape=(1, 60, 72, 60)), (None, 64, 48, 32)),
        (PHANTOM, (None,)),
        (MATRICES, (None,)),
        (replace(SLICES, kind="series", shape=(400, 1000)), (None,)),
    ],
)
def test_sides_to_try(seen: Seen, sides: tuple[int | None, ...]) -> None:
    assert decide.sides(seen) == sides


def test_images_that_are_alike_are_made_smaller_alone() -> None:
    assert transforms(VOLUMES, 96)[0] == "Resize: {spatial_size: [80, 96, 80]}"
    assert transforms(VOLUMES, None) == ["NormalizeIntensity: {nonzero: true}"]
    assert decide.prepare(replace(SLICES, images=3), 160).shape == (3, 60, 160)


def test_voxel_sizes_that_differ_become_their_median_or_a_coarser_one() -> None:
    seen = replace(VOLUMES, shapes=4, spacings=3, spacing_mm=(1.0, 1.0, 2.0), extent_mm=(200.0, 240.0, 180.0))
    fine, coarse = decide.prepare(seen, None), decide.prepare(seen, 96)
    assert [line.text for line in fine.transforms[:2]] == [
        "Spacing: {pixdim: [1.0, 1.0, 2.0]}",
        "ResizeWithPadOrCrop: {spatial_size: [200, 240, 90]}",
    ]
    assert coarse.transforms[0].text == "Spacing: {pixdim: [2.5, 2.5, 2.5]}"
    assert coarse.shape == (1, 80, 96, 72)


@pytest.mark.parametrize(
    ("seen", "first"),
    [
        (replace(SLICES, shapes=3), "Resize: {spatial_size: [189, 503]}"),
        (replace(VOLUMES, shapes=3), "ResizeWithPadOrCrop: {spatial_size: [182, 218, 182]}"),
        (replace(VOLUMES, shapes=3, spacing_mm=None), "Resize: {spatial_size: [182, 218, 182]}"),
        (replace(SLICES, kind="series", shape=(400, 300), shapes=2), "ResizeWithPadOrCrop: {spatial_size: [300]}"),
        (replace(SLICES, channels=2), "Grey: {}"),
        (replace(VOLUMES, channels=2), "MeanOverFrames: {}"),
    ],
)
def test_shapes_that_differ_become_one(seen: Seen, first: str) -> None:
    assert transforms(seen, None)[0] == first


def test_values_with_a_unit_keep_it() -> None:
    for seen in (PHANTOM, MATRICES):
        prepared = decide.prepare(seen, None)
        assert (prepared.transforms, prepared.data[0].text) == ((), "normalize: training")
    assert transforms(LESIONS, None) == [], "a mask's values are its meaning"


def test_a_store_too_large_for_memory_is_kept_in_half_precision() -> None:
    large = replace(VOLUMES, scans=10_000)
    assert [line.text for line in decide.prepare(large, 96).data] == ["dtype: float16"]
    assert decide.prepare(VOLUMES, 96).data == ()


@pytest.mark.parametrize(
    ("seen", "line"),
    [
        (SLICES, "{encoder: sfcn, spatial_dims: 2, width: 0.5, head_hidden: 256}"),
        (
            replace(SLICES, machine=GPU, people=9000),
            "{encoder: resnet18, spatial_dims: 2, width: 1, head_hidden: 2048}",
        ),
        (VOLUMES, "{encoder: sfcn, spatial_dims: 3, width: 0.25, head_hidden: 256}"),
        (replace(VOLUMES, machine=GPU), "{encoder: sfcn, spatial_dims: 3, width: 0.5, head_hidden: 256}"),
        (MATRICES, "{encoder: mlp, spatial_dims: 2, head_hidden: 256}"),
        (
            replace(SLICES, kind="series", shape=(400, 300)),
            "{encoder: resnet18, spatial_dims: 1, width: 0.5, head_hidden: 256}",
        ),
    ],
)
def test_the_model(seen: Seen, line: str) -> None:
    assert decide.model(seen).text == f"model: {line}"
    assert decide.model(seen).why


@pytest.mark.parametrize(
    ("seen", "mirrored"),
    [
        (VOLUMES, "  flip: {axis: 0}"),
        (replace(VOLUMES, labels=NIHSS), "  # flip: {axis: 0}"),
        (replace(VOLUMES, spacing_mm=None), None),
        (SLICES, None),
        (LESIONS, None),
        (MATRICES, None),
        (replace(SLICES, kind="hand", labels=replace(AGE, name="boneage")), "  flip: {axis: 1}"),
        (replace(SLICES, kind="radiograph"), None),
    ],
)
def test_left_for_right_only_where_they_may_be_exchanged(seen: Seen, mirrored: str | None) -> None:
    assert next((line.text for line in decide.augmentations(seen) if "flip" in line.text), None) == mirrored


def test_a_gpu_is_used_in_half_precision_and_shared_by_small_images() -> None:
    large, small = values(replace(VOLUMES, machine=GPU)), values(replace(SLICES, machine=GPU))
    assert (large["gpus_per_worker"], large["precision"]) == (1, "bf16")
    assert small["gpus_per_worker"] == 0.25
    assert values(replace(VOLUMES, machine=replace(GPU, bf16=False)))["precision"] == "fp16"
    on_cpus = values(SLICES)
    assert (on_cpus["gpus_per_worker"], on_cpus.get("precision")) == (0, None)


@pytest.mark.parametrize(("cpus", "parallel", "each", "together"), [(1, 2, 1, 1), (2, 2, 1, 2), (16, 4, 4, 4)])
def test_cpus_are_divided(cpus: int, parallel: int, each: int, together: int) -> None:
    seen = replace(SLICES, machine=replace(CPUS, cpus=cpus))
    own = decide.shares(seen, seen.shape)
    assert (own["parallel"].value, own["cpus_per_worker"].value) == (parallel, each)
    assert decide.at_once(seen, own) == together


def test_a_batch_is_bounded_by_people_and_memory() -> None:
    assert values(SLICES, (1, 60, 160))["batch_size"] == 32
    assert values(replace(SLICES, people=39, scans=39), (1, 60, 160))["batch_size"] == 8
    tight = replace(VOLUMES, machine=replace(CPUS, memory_bytes=4e9))
    assert 2 <= values(tight, (1, 96, 96, 96))["batch_size"] < 16
    assert fields(tight, (1, 96, 96, 96))["batch_size"].why == "as many as memory holds"


def test_few_people_are_in_folds() -> None:
    assert search(PHANTOM, 0.01).folds == 5
    assert search(PHANTOM, 0.01).seeds == 1
    assert search(replace(SLICES, people=1000, scans=1000), 0.01).folds == 0
    assert search(replace(PHANTOM, folds=False), 0.01).folds == 0, "a published split has a validation split"


def test_the_search_fits_into_the_hours_and_shrinks_with_them() -> None:
    found = [search(SLICES, step_s) for step_s in (0.01, 0.1, 0.3, 0.6)]
    assert all(one.fits and one.hours <= decide.SHARE * SLICES.hours for one in found)
    assert [EFFORTS.index(one.effort) for one in found] == sorted(EFFORTS.index(one.effort) for one in found)
    assert found[0].trials == decide.MOST_EACH * len(decide.METHODS)
    hopeless = search(SLICES, 60.0)
    assert (hopeless.fits, hopeless.effort) == (False, EFFORTS[-1])
    assert search(replace(SLICES, hours=200), 60.0).fits


def test_each_method_gets_as_many_configurations() -> None:
    for step_s in (0.01, 0.1, 0.3, 0.6, 5.0):
        found = search(SLICES, step_s)
        assert found.trials % len(found.methods) == 0
        assert found.trials >= found.effort.each * len(found.methods)


def test_a_search_is_estimated_as_plan_does() -> None:
    """A step of 0.1 s, 600 of 1000 scans in 18 batches of 32, 30 epochs: 54 s a run, two of them at once."""
    found = search(replace(SLICES, people=1000, scans=1000), 0.1)
    runs = found.seeds * (found.trials + found.effort.finalists + 1)
    assert found.hours == pytest.approx(54 * runs / 2 / 3600)


def test_supremix_is_left_out_with_one_view() -> None:
    assert "supremix" in search(SLICES, 0.01).methods
    assert "supremix" not in search(SLICES, 0.01, views=1).methods


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (AGE, "66 values from 16 to 89"),
        (NIHSS, "35 values from 0 to 35, 14% of them 0, half below 5"),
        (Labels("mmse", 20, 5, 28, 30), "20 values from 5 to 30, half above 28"),
    ],
)
def test_what_is_said_of_labels(labels: Labels, said: str) -> None:
    assert str(labels) == said


@pytest.mark.parametrize(
    ("name", "age"),
    [
        ("age", True),
        ("AGE_AT_SCAN", True),
        ("boneage", True),
        ("stage", False),
        ("nihss", False),
        ("education_years", False),
    ],
)
def test_labels_that_are_ages(name: str, age: bool) -> None:
    assert replace(AGE, name=name).is_age is age
