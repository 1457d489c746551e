"""What a served model is told of the study that it comes from: how scans are prepared, and whom it was trained on."""

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from contrasweep.trainers.config import DataConfig, Frozen, SplitConfig, TrainingSplitConfig
from contrasweep.trainers.data.store import LabelStatistics, Source, StoredSubject
from contrasweep.trainers.errors import UserError
from contrasweep.trainers.served.calibration import Calibration

FORMAT: Literal[2] = 2
FILE = "served.json"
SLACK = 0.1
"""How far beyond those of training a voxel's edge or an image's shape may be, as a share, before it is unlike them."""


class SourceRange(Frozen):
    """What the files of an image held in training: the least and the largest shape (C, *S) and voxel edge in mm.

    `spacing_mm` is None where none of the files told any. Shapes are of the images with the usual number of axes.
    """

    shape: tuple[tuple[int, ...], tuple[int, ...]]
    spacing_mm: tuple[float, float] | None

    @classmethod
    def of(cls, sources: Sequence[Source]) -> Self:
        """The range of some files."""
        ((axes, _),) = Counter(len(source.shape) for source in sources).most_common(1)
        shapes = [source.shape for source in sources if len(source.shape) == axes]
        edges = [edge for source in sources for edge in source.spacing_mm or ()]
        ends = tuple(map(min, zip(*shapes, strict=True))), tuple(map(max, zip(*shapes, strict=True)))
        return cls(shape=ends, spacing_mm=(min(edges), max(edges)) if edges else None)

    def unlike(self, source: Source) -> list[str]:
        """What of a file is beyond the range, in words."""
        low, high = self.shape
        found = []
        if len(source.shape) != len(low) or not all(map(_within, source.shape, low, high)):
            found.append(f"shape {_shown(source.shape)} is unlike training's {_shown(low)} to {_shown(high)}")
        if self.spacing_mm is not None:
            least, most = self.spacing_mm
            if source.spacing_mm is None:
                found.append("it tells no voxel size")
            elif not all(_within(edge, least, most) for edge in source.spacing_mm):
                told = " x ".join(f"{edge:.3g}" for edge in source.spacing_mm)
                found.append(f"voxels of {told} mm are unlike training's {least:.3g} to {most:.3g} mm")
        return found


class Trained(Frozen):
    """Whom a model was trained on: how many, their labels, and by an image's name what its files held.

    `groups` are subjects by column that tells site or sex, and by what is in it.
    """

    subjects: int
    scans: int
    labels: LabelStatistics
    sources: dict[str, SourceRange]
    groups: dict[str, dict[str, int]] = Field(default_factory=dict)

    @classmethod
    def of(cls, scans: Sequence[StoredSubject], column: str) -> Self:
        """The scans that a model was trained on, labelled in `column`; at least one has a label."""
        labels = [scan.label for scan in scans if scan.label is not None]
        names = scans[0].sources
        return cls(
            subjects=len({scan.subject for scan in scans}),
            scans=len(scans),
            labels=LabelStatistics.of(column, labels),
            sources={name: SourceRange.of([scan.sources[name] for scan in scans]) for name in names},
            groups={column: _subjects_by(column, scans) for column in scans[0].described},
        )


class ServedConfig(Frozen):
    """Everything about a served model but its weights.

    Attributes:
        format: raised by whoever changes what a reader must know.
        sweep, trials: where it comes from; by the number of each configuration whose runs it has, the method.
        weights: of the runs in the mean, by their names; empty where all count alike.
        data: how scans are found and prepared. Files that the transforms read lie beside it, in `files/`.
        image_shape: (C, *S) of a prepared image.
        trained: whom it was trained on.
        calibration: what it said of others; None where too few were held out.
        versions: of what it was made with, by name.
    """

    format: Literal[2] = FORMAT
    sweep: str
    trials: Annotated[dict[int, str], Field(min_length=1)]
    weights: dict[str, float] = Field(default_factory=dict)
    data: DataConfig
    image_shape: tuple[int, ...]
    trained: Trained
    calibration: Calibration | None = None
    versions: dict[str, str]

    @property
    def origin(self) -> str:
        """Sweep and configurations in words: `study-1c2e, trial 3` or `study-1c2e, trials 3, 8`."""
        return f"{self.sweep}, trial{'s' if len(self.trials) > 1 else ''} {', '.join(map(str, self.trials))}"

    @model_validator(mode="before")
    @classmethod
    def _of_one_configuration(cls, given: Any) -> Any:
        """Models of format 1 have runs of one `trial` and its `method`."""
        if not (isinstance(given, dict) and given.get("format") == 1):
            return given
        kept = {name: value for name, value in given.items() if name not in ("trial", "method")}
        return kept | {"format": FORMAT, "trials": {given.get("trial"): given.get("method")}}

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The one in a model's folder. Raises UserError where there is none, or one of a later version."""
        path = folder / FILE
        if not path.is_file():
            raise UserError(f"{folder}: is no model that takes scans: it has no {FILE}")
        text = path.read_text()
        try:
            told = json.loads(text)
            if isinstance(told, dict) and isinstance(told.get("format"), int) and told["format"] > FORMAT:
                made = f"contrasweep {told.get('versions', {}).get('contrasweep', 'of a later version')}"
                raise UserError(f"{path}: was made by {made}; this version reads up to format {FORMAT}: upgrade it")
            return cls.model_validate_json(text)
        except (ValidationError, json.JSONDecodeError) as error:
            raise UserError(f"{path}: is damaged: {' '.join(str(error).split())[:200]}") from error


def without_study(data: DataConfig, transforms: Sequence[Mapping[str, Mapping[str, object]]]) -> DataConfig:
    """What a model needs of a study's data, with its `transforms`: who took part, and where they lie, stays there."""
    table = os.path.basename(data.participants) if data.participants else None
    return data.model_copy(
        update={
            "participants": table,
            "bids": "." if data.bids is not None else None,
            "join": (),
            "where": {},
            "group": None,
            "max_rejected": 1.0,
            "split": SplitConfig(),
            "train": TrainingSplitConfig(),
            "external": (),
            "unlabelled": "train",
            "transforms": tuple(transforms),
        }
    )


def _subjects_by(column: str, scans: Sequence[StoredSubject]) -> dict[str, int]:
    """How many subjects there are of each group, the largest first."""
    first = {scan.subject: scan.described.get(column) or "n/a" for scan in reversed(scans)}
    return dict(Counter(first.values()).most_common())


def _within(value: float, low: float, high: float) -> bool:
    return low * (1 - SLACK) <= value <= high * (1 + SLACK)


def _shown(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape[1:])) + (f" of {shape[0]} channels" if shape[0] > 1 else "")
