"""A study and a spec of data as one ordinary sweep, whose points are the study's rows, or which tunes their methods.

Precedence, the weakest first: the preset, the data's spec, the study's `spec`, a row. Preset and study tell epochs and
batch sizes of the preset's training, or of the spec's defaults where there is none; where the data's spec trains for
longer or shorter, or on larger or smaller batches, they are scaled by as much. The same study, data and options are the
same sweep.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contrasweep.services.spec.presets import laid_under, over_preset, preset
from contrasweep.services.spec.spec import LoadedSpec, SweepSpec, spec_of
from contrasweep.services.studies.study import RowConfig, RowRead, StudyConfig, path_of
from contrasweep.trainers import losses
from contrasweep.trainers.config import FINETUNE, ModelConfig, TrainingConfig

Document = Mapping[str, Any]
AXIS, PLAIN = "row", "plain"
QUICK = "-quick"
QUICK_SEEDS = (0, 1)
_QUICK_EPOCHS, _QUICK_BATCH, _QUICK_SCANS, _QUICK_WIDTH = 2, 8, 48, 0.125
_FROM_DATA = ("data", "model", "training", "probe", "read", "search", "budget")
_BY_EPOCHS = ("epochs", "evaluate_every", "nn_step_size", "step_epochs")
"""Fields and parameters that are numbers of epochs; `warmup_epochs` is one that may come to 0."""
_BY_BATCH = ("batch_size", "nn_final")
_LONGEST_OPTION = 40


@dataclass(frozen=True)
class DataSpec:
    """The spec of the data that a study is run on, as far as it is said: where it is from, and relative paths are.

    `largest_batch` is as many as each row can be trained on; None where nobody knows.
    """

    document: Document
    source: str
    base: Path
    largest_batch: int | None = None


@dataclass(frozen=True)
class Scale:
    """By how much a run is longer, and its batches larger, than those that numbers are told for; batches have at most
    `largest` rows.
    """

    epochs: float = 1.0
    batch: float = 1.0
    largest: int | None = None

    @classmethod
    def between(cls, told: Document, own: Document, largest: int | None = None) -> "Scale":
        """From the training that numbers are told for to a run's; what a recipe does not say is the spec's default."""
        of = TrainingConfig().model_dump() | dict(told.get("training", {}))
        to = of | dict(own.get("training", {}))
        return cls(to["epochs"] / of["epochs"], to["batch_size"] / of["batch_size"], largest)

    def of(self, fields: Document) -> dict[str, Any]:
        """Fields, or a method's parameters, with those that are epochs or parts of a batch scaled."""
        return {key: self._scaled(key, value) for key, value in fields.items()}

    def _scaled(self, key: str, value: Any) -> Any:
        if key == "warmup_epochs":
            return int(value * self.epochs)
        factor = self.epochs if key in _BY_EPOCHS else self.batch if key in _BY_BATCH else 1.0
        scaled = value if factor == 1.0 or not value else max(1, round(value * factor))
        return min(max(2, scaled), self.largest or scaled) if key == "batch_size" else scaled

    def of_sections(self, document: Document) -> dict[str, Any]:
        """Sections of a spec, scaled."""
        scaled = dict(document)
        if "training" in document:
            scaled["training"] = self.of(document["training"])
        if tune := isinstance(probe := document.get("probe"), dict) and probe.get(FINETUNE):
            scaled["probe"] = {FINETUNE: self.of(tune)}
        if "read" in document:
            scaled["read"] = self._of_read(document["read"])
        if "fix" in document.get("search", {}):
            fix = document["search"]["fix"].items()
            scaled["search"] = document["search"] | {
                "fix": {key: self._scaled(key.rpartition(".")[2], value) for key, value in fix}
            }
        return scaled

    def _of_read(self, read: Document) -> dict[str, Any]:
        if "epochs" not in read:
            return dict(read)
        return {**read, "epochs": sorted({self.epoch(epoch) for epoch in read["epochs"]})}

    def epoch(self, epoch: int) -> int:
        """An epoch, counted from 1."""
        return max(1, round(epoch * self.epochs))


@dataclass(frozen=True)
class Compiled:
    """A study's sweep.

    `points` names the point of each row that is trained: one that comes to the same as an earlier row, with these data,
    is that row's. Rows that are tuned have none.
    """

    loaded: LoadedSpec
    points: Mapping[str, str]


def compile_study(
    study: StudyConfig, data: DataSpec, *, seeds: Sequence[int] | None = None, quick: bool = False
) -> Compiled:
    """The sweep of a study. Raises UserError, in one line, where study and data together are no spec."""
    recipe, said = _recipe(study), over_preset(data.document)
    own = {section: said[section] for section in _FROM_DATA if section in said}
    if quick:
        own = laid_under(own, _small(laid_under(recipe, own)))
    scale = Scale.between(recipe, own, data.largest_batch)
    base = laid_under(laid_under(scale.of_sections(recipe), own), scale.of_sections(study.spec))
    base = laid_under(base, study.quick) if quick else base
    scale = _scale(study, base, data.largest_batch)
    each = 1 if study.tuned and quick else study.tuned
    points, options = ({}, {}) if each else _points(study, base, scale)
    reads = {row.name: _read_of(row, scale) for row in study.rows}
    document = {
        **{key: value for key, value in base.items() if key not in ("read", "search")},
        "name": study.name + QUICK * quick,
        "read": _union(study, base, reads),
        "search": _search(study, base.get("search", {}), seeds or _seeds(study, quick))
        | (_tuned(study, base.get("search", {}), each) if each else _tried(points.values(), options)),
    }
    if len(options) == 1:  # what all rows change is the study's
        document = laid_under(document, next(iter(options.values())))
    path = path_of(study.name)
    spec = spec_of(document, f"{path.name} with {data.source}")
    return Compiled(LoadedSpec(spec, path, data.base), {name: one["name"] for name, one in points.items()})


def _recipe(study: StudyConfig) -> Document:
    return preset(study.preset) if study.preset else {}


def _seeds(study: StudyConfig, quick: bool) -> Sequence[int]:
    return QUICK_SEEDS if quick else range(study.seeds)


def _small(document: Document) -> dict[str, Any]:
    """What makes a spec small: 48 scans, a narrow encoder, two epochs."""
    rows = document.get("training", {}).get("batch_size", _QUICK_BATCH)
    width = document.get("model", {}).get("width", _QUICK_WIDTH)
    return {
        "data": {"sample": _QUICK_SCANS},
        "model": {"width": min(width, _QUICK_WIDTH), "head_hidden": 32, "embedding": 16},
        "training": {"epochs": _QUICK_EPOCHS, "batch_size": min(rows, _QUICK_BATCH), "warmup_epochs": 0},
    }


def read_in(study: StudyConfig, spec: SweepSpec) -> dict[str, RowRead]:
    """Which reading each row is in a sweep of the study, whose epochs may be others than the study's."""
    scale = _scale(study, {"training": {"epochs": spec.training.epochs}})
    return {row.name: _read_of(row, scale) for row in study.rows}


def _scale(study: StudyConfig, own: Document, largest_batch: int | None = None) -> Scale:
    """From the training that a study's rows are told for to that of its own sweep."""
    return Scale.between(laid_under(_recipe(study), study.spec), own, largest_batch)


def repeated(study: StudyConfig, spec: SweepSpec) -> dict[str, str]:
    """The earlier row that a row is the same reading as, of those that are: its epochs may have come to the same."""
    first: list[tuple[str, RowRead, str]] = []
    found, reads = {}, read_in(study, spec)
    for row in study.rows:
        point, read = study.point_of(row), reads[row.name]
        if read.epoch is not None and read.epoch == _epoch_that_counts(spec, point):
            read = read.model_copy(update={"epoch": None})
        same = next((name for *known, name in first if known == [point, read]), None)
        if same is None:
            first.append((point, read, row.name))
        else:
            found[row.name] = same
    return found


def _epoch_that_counts(spec: SweepSpec, point: str) -> int | None:
    """The last epoch of a point, where it is the last that counts."""
    choices = next((one.choices for one in spec.search.points if one.name == point), {})
    training = spec.choosing(choices).training
    return training.epochs if training.checkpoint == "last" else None


def _points(
    study: StudyConfig, base: Document, scale: Scale
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    """The point of each row that is trained, by the row's name, and the options of the axis by theirs."""
    points: dict[str, dict[str, Any]] = {}
    options: dict[str, dict[str, Any]] = {}
    rows = list(study.trained)
    for row in rows:
        option = _option(row, scale.of_sections(row.patch), options)
        point = {"name": row.name, "method": row.method, "params": _params(row, base, scale)}
        if row.start is not None:
            point["start"] = points[row.start]["name"]
        point["choices"] = {AXIS: option}
        points[row.name] = next((one for one in points.values() if _same(one, point)), point)
    if len(options) == 1:
        for point in points.values():
            point["choices"] = {}
    return points, options


def _option(row: RowConfig, patch: dict[str, Any], options: dict[str, dict[str, Any]]) -> str:
    """The option of the axis that changes what a row does: one that is there, or a new one."""
    for name, known in options.items():
        if known == patch:
            return name
    slug = re.sub(r"[^a-z0-9]+", "-", row.name.lower()).strip("-")[: _LONGEST_OPTION - 4] if patch else PLAIN
    name = slug if slug not in options else f"{slug}-{len(options)}"
    options[name] = patch
    return name


def _params(row: RowConfig, base: Document, scale: Scale) -> dict[str, Any]:
    """A row's parameters, those at their published values among them that depend on epochs or on the batch."""
    fixed = base.get("search", {}).get("fix", {})
    known = losses.parameters(row.method)
    told = {
        key: value
        for key, value in known.items()
        if key in (*_BY_EPOCHS, *_BY_BATCH) and f"{row.method}.{key}" not in fixed
    }
    scaled = scale.of(told | row.params)
    return {key: value for key, value in scaled.items() if key in row.params or value != told[key]}


def _same(one: Document, other: Document) -> bool:
    return {**one, "name": ""} == {**other, "name": ""}


def _read_of(row: RowConfig, scale: Scale) -> RowRead:
    epoch = row.read.epoch
    return row.read if epoch is None else row.read.model_copy(update={"epoch": scale.epoch(epoch)})


def _union(study: StudyConfig, base: Document, reads: Mapping[str, RowRead]) -> dict[str, Any]:
    """What the spec has to read for the study and all its rows; if nothing else, features are kept for analyses."""
    read = base.get("read", {})
    probes = [*read.get("probes", []), *(one.probe for one in reads.values() if one.probe)]
    features = [*read.get("features", []), *(one.features for one in reads.values() if one.features)]
    if features:
        features += [own_features(study.row(study.point_of(row)), base) for row in study.rows if not row.read.features]
    found: dict[str, Any] = {
        "probes": [probe for place, probe in enumerate(probes) if probe not in probes[:place]],
        "features": sorted(set(features)),
        "epochs": sorted({*read.get("epochs", []), *(one.epoch for one in reads.values() if one.epoch)}),
    }
    return {key: value for key, value in found.items() if value}


def own_features(row: RowConfig, base: Document) -> str:
    """What the judged probe reads of a row that is trained."""
    said = base.get("model", {}).get("features", "published")
    return losses.build_decided(row.method, row.params, max_epochs=0).space(ModelConfig.model_construct(features=said))


def _search(study: StudyConfig, search: Document, seeds: Sequence[int]) -> dict[str, Any]:
    """What all that is searched has in common."""
    return {
        **{key: search[key] for key in ("objective", "parallel") if key in search},
        "spaces": _methods(study),
        "fix": _of_methods(study, search.get("fix", {})),
        "racing": None,
        "seeds": list(seeds),
        "new_seeds": "all",
    }


def _tried(points: Iterable[Document], options: Mapping[str, Document]) -> dict[str, Any]:
    """The points, each once, and nothing else."""
    once = list({point["name"]: point for point in points}.values())
    return {
        "choices": {AXIS: options} if len(options) > 1 else {},
        "points": once,
        "sampler": "random",
        "fair": False,
        "trials": len(once),
    }


def _tuned(study: StudyConfig, search: Document, each: int) -> dict[str, Any]:
    """As many configurations of each method."""
    return {
        "override": _of_methods(study, search.get("override", {})),
        "sampler": "tpe",
        "fair": True,
        "trials": each * len(_methods(study)),
    }


def _methods(study: StudyConfig) -> list[str]:
    return list(dict.fromkeys(row.method for row in study.trained))


def _of_methods(study: StudyConfig, values: Document) -> dict[str, Any]:
    """Those of `values`, given as `method.parameter`, that are the study's methods' or the training's."""
    return {key: value for key, value in values.items() if key.partition(".")[0] in (*_methods(study), "training")}
