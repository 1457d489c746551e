"""What `contrasweep init` decides of a study by what it saw: every number is in the tables here, and has a reason."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from contrasweep.services.spec.look import Seen, Shape
from contrasweep.services.text import count
from contrasweep.trainers.config import ModelConfig

SHARE = 0.75
"""Of the hours that are planned with: clocks are noisy, and preparation and the final evaluation take some."""

FEW_PEOPLE = 1000
"""Below, one validation split says little, as the MAE of 150 people whose ages are told to 9 years is known to 0.5:
folds make it everyone's."""
SIDES: Mapping[tuple[int, bool], tuple[int, ...]] = MappingProxyType(
    {(2, False): (160, 112, 64), (2, True): (224,), (3, False): (96, 64, 48, 32), (3, True): (128, 96, 64)}
)
"""Longest side by dimensions and whether there is a GPU: the first with which a search fits into the hours."""
WIDTHS: Mapping[tuple[str, int], float] = MappingProxyType(
    {("resnet18", 1): 0.5, ("resnet18", 2): 0.5, ("resnet18", 3): 0.5, ("sfcn", 2): 0.5, ("sfcn", 3): 0.25}
)
"""On CPUs, of an encoder's published channels, by dimensions; all others are as published."""
ENCODERS: Mapping[tuple[int, bool], str] = MappingProxyType(
    {(1, False): "resnet18", (1, True): "resnet18", (2, False): "sfcn", (2, True): "resnet18"}
    | {(3, False): "sfcn", (3, True): "sfcn"}
)
"""By dimensions and whether there is a GPU."""
MLP = "mlp"
NARROWER = ((1000, 0.5),)
"""On a GPU: factors of the width by people, below so many."""
HEAD_HIDDEN = ((5000, 256), (math.inf, 2048))
EPOCHS = ((1000, 40), (10_000, 30), (math.inf, 15))
BATCHES = ((5000, 32), (math.inf, 64))
PEOPLE_IN_BATCH = 4
"""A batch has at most one of so many people."""
WEIGHT_DECAY = ((1000, 1e-4), (math.inf, 5e-5))
"""By people, each below so many: the last is what there is for all others."""
LR, LR_RANGE = 3e-3, (1e-3, 5e-3)
WARMUP = 0.1
"""Of the epochs."""
EMA = ((5000, 0.99), (math.inf, 0.999))
"""By steps of a run: the average looks back on a hundred or a thousand of them."""
RUNGS = (0.25, 0.5)
"""Of the epochs: where racing judges."""
PARALLEL, PARALLEL_ON_GPUS = 4, 8
"""Configurations at once, at most."""
CPUS_FOR_GPU = 4
"""Of a worker on a GPU, at most."""
MOST_EACH = 10
"""Configurations of each method."""
METHODS = ("dynlocrep", "supremix", "exponential", "vanilla")
"""Without a second view, supremix has only equal labels to attract, and there may be none."""
ONE_VIEW = ("dynlocrep", "exponential", "vanilla")
PAIR = ("supremix", "vanilla")
"""Where there is little time."""
FLOATS: Mapping[str, float] = MappingProxyType({"sfcn": 130, MLP: 1})
"""Numbers that training keeps for each value of an image, at width 1; `MOST_FLOATS` for all others."""
MOST_FLOATS = 90
MEMORY = 0.5
"""Of the memory that training may take."""
STORE = 0.25
"""Of the memory that decoded images may take before they are kept in half precision."""
SHARED_GPU, LIGHT_VALUES = 0.25, 200_000
"""The share of a GPU that a configuration gets whose images have fewer values than that."""


@dataclass(frozen=True)
class Effort:
    """How much a search does at least: so many configurations of `each` of the methods, with so many seeds, or folds
    where people are few, so many finalists, and a share of the `epochs`.
    """

    methods: tuple[str, ...]
    each: int
    seeds: int
    folds: int
    finalists: int
    epochs: float = 1.0


EFFORTS = (
    Effort(METHODS, 3, 3, 5, 3),
    Effort(METHODS, 2, 2, 5, 2),
    Effort(PAIR, 3, 2, 5, 2),
    Effort(PAIR, 2, 1, 3, 1),
    Effort(PAIR, 2, 1, 0, 1, 0.5),
)
"""The first that fits into the hours is done, with as many configurations as fit; the last where none does."""
GOOD = EFFORTS[:3]
"""Images are made smaller until one of these fits: a search brings more than their details."""
ENSEMBLE = 8
"""Seeds at most."""


@dataclass(frozen=True)
class Choice:
    """A value of a field, and the reason for it."""

    value: Any
    why: str


@dataclass(frozen=True)
class Line:
    """A line of the spec, and the reason for it."""

    text: str
    why: str = ""


@dataclass(frozen=True)
class Prepared:
    """Transforms, a line each, further lines of `data`, and the shape (C, *S) of a scan that comes out."""

    transforms: tuple[Line, ...]
    data: tuple[Line, ...]
    shape: Shape


def _by(table: Sequence[tuple[float, float]], size: float) -> float:
    """The value of the first row whose bound is above the size."""
    return next(value for bound, value in table if size < bound)


# Preparation


def sides(seen: Seen) -> tuple[int | None, ...]:
    """The longest sides to try, the largest first; None leaves images as they are."""
    if not seen.of.convolved or seen.dims == 1:
        return (None,)
    allowed = SIDES[seen.dims, seen.has_gpu]
    fits = [side for side in allowed if side < max(_sides_as_they_are(seen))]
    return tuple(fits) if len(fits) == len(allowed) else (None, *fits)


def _sides_as_they_are(seen: Seen) -> Shape:
    """Of images at the median voxel size, or as they are."""
    if seen.placed and seen.spacings > 1 and seen.spacing_mm and seen.extent_mm:
        return tuple(max(1, round(e / s)) for e, s in zip(seen.extent_mm, seen.spacing_mm, strict=True))
    return seen.shape[1:]


def prepare(seen: Seen, longest: int | None) -> Prepared:
    """How images become alike, with no side above the longest."""
    channels, grey = _channels(seen)
    geometry, spatial = _geometry(seen, longest)
    values, data = _intensities(seen)
    shape = (channels * seen.images, *spatial)
    decoded = 4.0 * seen.scans * math.prod(shape)
    if decoded > STORE * seen.machine.memory_bytes:
        data += (
            Line("dtype: float16", f"{decoded / 1e9:.0f} GB in float32, of {seen.machine.memory_bytes / 1e9:.0f}"),
        )
    return Prepared((*grey, *geometry, *values), data, shape)


def _channels(seen: Seen) -> tuple[int, tuple[Line, ...]]:
    if seen.channels == 1:
        return seen.shape[0], ()
    if seen.dims == 2:
        return 1, (Line("Grey: {}", "some in colour, some not"),)
    return 1, (Line("MeanOverFrames: {}", "numbers of frames differ"),)


def _geometry(seen: Seen, longest: int | None) -> tuple[tuple[Line, ...], Shape]:
    as_they_are = seen.shape[1:]
    if not seen.of.convolved:
        return (), as_they_are
    if seen.placed and seen.spacings > 1:
        return _respaced(seen, longest)
    lines: list[Line] = []
    reasons = []
    if seen.shapes > 1 and (seen.dims == 1 or (seen.placed and seen.spacings == 1)):
        why = f"{seen.shapes} shapes among those looked at; the median, padded or cut"
        lines.append(Line(f"ResizeWithPadOrCrop: {{spatial_size: {list(as_they_are)}}}", why))
    elif seen.shapes > 1:
        reasons.append(f"{seen.shapes} shapes among those looked at")
    spatial = as_they_are
    if longest is not None:
        spatial = tuple(max(1, round(side * longest / max(as_they_are))) for side in as_they_are)
        reasons.append(f"smaller, to be trained on {_trainer(seen)}")
    if reasons:
        lines.append(Line(f"Resize: {{spatial_size: {list(spatial)}}}", "; ".join(reasons)))
    return tuple(lines), spatial


def _respaced(seen: Seen, longest: int | None) -> tuple[tuple[Line, ...], Shape]:
    """One voxel size for all: the median, or a coarser one with which no side is above the longest."""
    assert seen.spacing_mm is not None and seen.extent_mm is not None
    least = 0.0 if longest is None else max(seen.extent_mm) / longest
    pixdim = [float(f"{max(edge, least):.3g}") for edge in seen.spacing_mm]
    spatial = tuple(max(1, round(extent / edge)) for extent, edge in zip(seen.extent_mm, pixdim, strict=True))
    median = " x ".join(f"{edge:.3g}" for edge in seen.spacing_mm)
    coarser = f", made coarser to be trained on {_trainer(seen)}" if least > min(seen.spacing_mm) else ""
    return (
        Line(f"Spacing: {{pixdim: {pixdim}}}", f"mm: voxel sizes differ; the median is {median}{coarser}"),
        Line(f"ResizeWithPadOrCrop: {{spatial_size: {list(spatial)}}}", "the median field of view, padded or cut"),
    ), spatial


def _trainer(seen: Seen) -> str:
    return "a GPU" if seen.has_gpu else "CPUs"


def _intensities(seen: Seen) -> tuple[tuple[Line, ...], tuple[Line, ...]]:
    """The transforms of values, and lines of `data`."""
    if seen.of.intensities == "mask":
        return (), ()
    if seen.of.intensities == "absolute":
        return (), (Line("normalize: training", "by the training split's mean and sd: values mean the same in all"),)
    if seen.kind in ("hand", "radiograph", "video", "series"):
        each = "{channel_wise: true}" if seen.kind == "series" else "{}"
        return (Line(f"NormalizeIntensity: {each}", "units are each image's own"),), ()
    return (Line("NormalizeIntensity: {nonzero: true}", "mean 0, sd 1 of each image without its background"),), ()


# Model and training


def model(seen: Seen) -> Line:
    """The line of the model."""
    if not seen.of.convolved:
        return Line(
            f"model: {{encoder: {MLP}, spatial_dims: {seen.dims}, {_head(seen)}}}",
            "no convolutions: values have no neighbours",
        )
    encoder = "resnet18" if seen.kind == "video" else ENCODERS[seen.dims, seen.has_gpu]
    width = 1.0 if seen.has_gpu else WIDTHS.get((encoder, seen.dims), 1.0)
    width *= math.prod(factor for bound, factor in NARROWER if seen.has_gpu and seen.people < bound)
    why = f"{seen.people:,} people, {_trainer(seen)}"
    return Line(f"model: {{encoder: {encoder}, spatial_dims: {seen.dims}, width: {width:g}, {_head(seen)}}}", why)


def _head(seen: Seen) -> str:
    return f"head_hidden: {_by(HEAD_HIDDEN, seen.people):g}"


def augmentations(seen: Seen) -> tuple[Line, ...]:
    """The lines of `training` that say what views of an image are."""
    first, *others = (f"  {one}" for one in seen.of.augmentations)
    lines = [Line("views: 2"), Line("augmentations:", seen.of.why), Line(first), *map(Line, others)]
    dims, axis = seen.of.mirror or (None, None)
    if dims == seen.dims and (dims == 2 or seen.placed):
        sign, why = (
            ("", "brains of an age have no side") if seen.labels.is_age else ("# ", "where the label has no side")
        )
        lines.append(Line(f"  {sign}flip: {{axis: {axis}}}", f"left for right: {why}"))
    return tuple(lines)


def shares(seen: Seen, shape: Shape) -> dict[str, Choice]:
    """What a configuration gets of the machine, and how many train at once."""
    machine = seen.machine
    if not seen.has_gpu:
        parallel = max(2, min(PARALLEL, machine.cpus))
        return {
            "parallel": Choice(parallel, "configurations at once; later ones learn from those before"),
            "cpus_per_worker": Choice(max(1, machine.cpus // parallel), f"of {count(machine.cpus, 'CPU')}"),
            "gpus_per_worker": Choice(0, "1 where there is a GPU"),
        }
    share = SHARED_GPU if math.prod(shape) < LIGHT_VALUES else 1
    parallel = max(2, min(PARALLEL_ON_GPUS, int(machine.gpus / share)))
    return {
        "parallel": Choice(parallel, "configurations at once; later ones learn from those before"),
        "cpus_per_worker": Choice(max(1, min(CPUS_FOR_GPU, machine.cpus // parallel)), ""),
        "gpus_per_worker": Choice(share, "small images share one" if share < 1 else ""),
    }


def final() -> Line:
    """The line that says what is served."""
    return Line(f"final: {{ensemble: {ENSEMBLE}}}", "the mean of so many seeds at most, chosen by validation")


def at_once(seen: Seen, own: Mapping[str, Choice]) -> int:
    """How many configurations the machine trains at once."""
    places = seen.machine.cpus // own["cpus_per_worker"].value
    if own["gpus_per_worker"].value:
        places = min(places, seen.machine.gpus / own["gpus_per_worker"].value)
    return max(1, int(min(own["parallel"].value, places)))


def training(seen: Seen, network: ModelConfig, shape: Shape, views: int, share: float = 1.0) -> dict[str, Choice]:
    """Fields of the training, with `share` of the epochs, for images of `shape` (C, *S)."""
    epochs = max(4, round(_by(EPOCHS, seen.people) * share))
    batch = _batch(seen, network, shape, views)
    steps = epochs * (train_size(seen, 0) // batch.value)
    own = shares(seen, shape)
    fields = {
        "epochs": Choice(epochs, f"by {seen.people:,} people"),
        "batch_size": batch,
        "lr": Choice(LR, "the search tries others, see override"),
        "weight_decay": Choice(_by(WEIGHT_DECAY, seen.people), ""),
        "schedule": Choice("cosine", "down to zero"),
        "warmup_epochs": Choice(max(1, round(WARMUP * epochs)), ""),
        "ema": Choice(_by(EMA, steps), f"weights averaged over the last of {steps:,} steps"),
        "workers": Choice(1, ""),
        **{name: own[name] for name in ("cpus_per_worker", "gpus_per_worker")},
    }
    if seen.has_gpu:
        fields["precision"] = Choice("bf16" if seen.machine.bf16 else "fp16", "half the memory, and faster")
    return fields


def _batch(seen: Seen, network: ModelConfig, shape: Shape, views: int) -> Choice:
    """As many as people and memory allow."""
    most = int(_by(BATCHES, seen.people))
    by_people = max(2, min(most, seen.people // PEOPLE_IN_BATCH // 2 * 2))
    by_memory = max(2, int(_memory(seen, shape) / (views * _image_bytes(network, shape))) // 2 * 2)
    if by_memory < by_people:
        return Choice(by_memory, "as many as memory holds")
    return Choice(by_people, f"at most a {PEOPLE_IN_BATCH}th of the people" if by_people < most else "")


def _memory(seen: Seen, shape: Shape) -> float:
    """Bytes that a configuration may take."""
    own = shares(seen, shape)
    if seen.has_gpu:
        return MEMORY * seen.machine.gpu_bytes * float(own["gpus_per_worker"].value)
    return MEMORY * seen.machine.memory_bytes / at_once(seen, own)


def _image_bytes(network: ModelConfig, shape: Shape) -> float:
    return 4.0 * math.prod(shape[1:]) * FLOATS.get(network.encoder, MOST_FLOATS) * network.width


# Search


@dataclass(frozen=True)
class Search:
    """What is searched: `hours` if racing stops nothing; `fits` says whether these are as few as are to be had."""

    effort: Effort
    methods: tuple[str, ...]
    trials: int
    seeds: int
    folds: int
    hours: float
    fits: bool

    def __str__(self) -> str:
        runs = f"{self.folds} folds" if self.folds else count(self.seeds, "seed")
        return f"{count(len(self.methods), 'method')}, {count(self.trials, 'configuration')} x {runs}"


def search(seen: Seen, fields: Mapping[str, Choice], shape: Shape, views: int, step_s: float) -> Search:
    """The first of the efforts that fits into the hours, a step taking so many seconds; else the last."""
    for effort in EFFORTS:
        found = _search(seen, fields, shape, views, step_s, effort)
        if found.fits:
            break
    return found


def _search(
    seen: Seen, fields: Mapping[str, Choice], shape: Shape, views: int, step_s: float, effort: Effort
) -> Search:
    methods = tuple(one for one in effort.methods if views == 2 or one in ONE_VIEW)
    folds = effort.folds if seen.folds and seen.people < FEW_PEOPLE else 0
    repeats = folds or effort.seeds
    steps = max(1, train_size(seen, folds) // fields["batch_size"].value) * fields["epochs"].value * effort.epochs
    run_h = step_s * steps / 3600 / _as_fast(seen, shape)
    finals = (effort.finalists + 1) * repeats
    affordable = (SHARE * seen.hours / run_h - finals) / (repeats * len(methods))
    each = max(effort.each, min(MOST_EACH, int(affordable)))
    hours = run_h * (each * len(methods) * repeats + finals)
    seeds = 1 if folds else effort.seeds
    return Search(effort, methods, each * len(methods), seeds, folds, hours, affordable >= effort.each)


def _as_fast(seen: Seen, shape: Shape) -> int:
    """How many configurations train at once, each as fast as if it were alone: those that share a GPU are not."""
    together = at_once(seen, shares(seen, shape))
    return min(together, seen.machine.gpus) if seen.has_gpu else together


def train_size(seen: Seen, folds: int) -> int:
    """Scans that are trained on: all but a fifth to test on and a fold, or another fifth, to validate on."""
    return int(seen.scans * (0.8 * (folds - 1) / folds if folds else 0.6))
