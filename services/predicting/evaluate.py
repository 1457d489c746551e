"""A served model on another cohort with labels: how wrong it is there, for whom, and what to doubt of that."""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contrasweep.services.pages.sample import doubts_of
from contrasweep.services.predicting.answers import Refused
from contrasweep.services.predicting.model import sweep_of
from contrasweep.services.predicting.overlap import OwnScans
from contrasweep.services.predicting.predict import Found, Said
from contrasweep.services.predicting.scans import Asked
from contrasweep.services.records.answers import Answer
from contrasweep.services.settings import Settings
from contrasweep.services.text import count, number
from contrasweep.trainers.errors import UserError
from contrasweep.trainers.groups import FEW
from contrasweep.trainers.served import SampleEvaluation, ServedConfig, evaluate_sample

FOLDER = "evaluations"
FEWEST = 2
"""Labelled scans, with fewer of which nothing can be said."""
UNLIKE = "unlike training"
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True)
class Cohort:
    """What a model is to be evaluated on, how that is called, and where it is kept: by default with the sweep."""

    asked: Asked
    name: str
    out: Path | None = None
    force: bool = False

    def __post_init__(self) -> None:
        """Raises UserError where nothing is named to evaluate on, and on a name that cannot be a file's."""
        if self.asked.participants is None and self.asked.bids is None:
            raise UserError("nothing is given; one of --participants and --bids is needed")
        if not _NAME.fullmatch(self.name):
            raise UserError(f"--name: '{self.name}' is not allowed: must be letters, digits, '_', '-' and '.'")

    def place(self, config: ServedConfig, settings: Settings) -> Path:
        """Where the evaluation goes, without the files' endings.

        Raises UserError where there is one of this name, unless it is to be replaced, and where the model's sweep is
        not here and no other folder is named.
        """
        folder = self.out
        if folder is None:
            sweep = sweep_of(config, settings)
            if sweep is None:
                raise UserError(f"--out is missing: the model's sweep, {config.sweep}, is not in {settings.home}")
            folder = sweep.path / FOLDER
        if (folder / f"{self.name}.json").exists() and not self.force:
            raise UserError(f"--name: there is an evaluation '{self.name}' in {folder}; --force replaces it")
        return folder / self.name


class CohortReport(Answer):
    """An evaluation as it is kept.

    Attributes:
        name: of the cohort. model: where the model comes from. label: what is predicted, unit: what errors are in.
        time: when it was made, in seconds since 1970.
        trained: how many subjects the model was trained on; `trained_labels` are the ends of their labels.
        beyond: scans with labels outside of these. unlike: scans that the model flags. unlabelled: scans left out.
        own: scans that are the study's own; null where its volume store is not here.
    """

    name: str
    model: str
    label: str
    unit: str
    time: float
    trained: int
    trained_labels: tuple[float, float]
    figures: SampleEvaluation
    beyond: int
    unlike: int
    unlabelled: int
    own: OwnScans | None
    rejected: tuple[Refused, ...]

    @property
    def sample(self) -> str:
        """The sample's size in words."""
        scans = f" ({count(self.figures.scans, 'scan')})" if self.figures.scans > self.figures.subjects else ""
        return f"{count(self.figures.subjects, 'subject')}{scans}"


def check_labelled(labelled: int, usable: int, asked: Asked, config: ServedConfig) -> None:
    """Raise UserError where too few scans have a label."""
    if labelled < FEWEST:
        column = asked.label or config.data.label
        raise UserError(
            f"{asked.participants or asked.bids}: {labelled} of {count(usable, 'usable scan')} with a number in column "
            f"'{column}'; at least {FEWEST} are needed (--label names another column)"
        )


def report_on(cohort: Cohort, found: Found, unlabelled: int, own: OwnScans | None) -> CohortReport:
    """The report on what a model says of a cohort's labelled scans."""
    config, scans = found.config, [one.scan for one in found.said]
    labels, predictions = labels_of(found.said), [one.prediction.prediction for one in found.said]
    known = config.trained.labels
    figures = evaluate_sample(
        labels,
        predictions,
        [scan.subject for scan in scans],
        sessions=[scan.session for scan in scans],
        columns=_columns(found.said, cohort.asked.by),
        features=_features(found.said),
        calibration=config.calibration,
    )
    told = {column: one for column, one in figures.told.items() if column != UNLIKE}
    return CohortReport(
        name=cohort.name,
        model=found.model,
        label=cohort.asked.label or config.data.label,
        unit=config.data.unit or f"units of {cohort.asked.label or config.data.label}",
        time=time.time(),
        trained=config.trained.subjects,
        trained_labels=(known.minimum, known.maximum),
        figures=figures.model_copy(update={"told": told}),
        beyond=sum(not known.minimum <= label <= known.maximum for label in labels),
        unlike=sum(bool(one.prediction.unlike) for one in found.said),
        unlabelled=unlabelled,
        own=own,
        rejected=tuple(map(Refused.of, found.rejected)),
    )


def labels_of(said: Sequence[Said]) -> list[float]:
    """The labels of scans that all have one."""
    return [one.scan.label for one in said if one.scan.label is not None]


def doubts(report: CohortReport) -> list[str]:
    """What to doubt of the figures, the gravest first, each in a sentence without its end."""
    return [*_of_sample(report), *doubts_of(report.figures, report.label)]


def _of_sample(report: CohortReport) -> list[str]:
    figures, own = report.figures, report.own or OwnScans(trained=0, test=0)
    low, high = report.trained_labels
    told = {
        "were trained on, or chosen by: of these this is no evaluation": own.trained,
        "are in the test split of the sweep, which is read once more by this": own.test,
        "are unlike those of training": report.unlike,
        f"have labels outside of training's {number(low)} to {number(high)}": report.beyond,
    }
    found = [f"{many:,} of {count(figures.scans, 'scan')} {words}" for words, many in told.items() if many]
    if report.rejected:
        found.append(f"{count(len(report.rejected), 'scan')} rejected, and in no figure")
    if figures.subjects < FEW:
        found.append(f"fewer than {FEW} people: intervals are too short, and say little")
    return found


def _features(said: Sequence[Said]) -> dict[str, NDArray[np.float32]]:
    """The embedding [N, F] of each run."""
    return {run: np.array([one.prediction.features[run] for one in said]) for run in said[0].prediction.features}


def _columns(said: Sequence[Said], by: Sequence[str]) -> dict[str, list[str]]:
    """Cells by column: of those that tell site and sex where they differ, and of all that are asked for."""
    columns = dict.fromkeys(column for one in said for column in one.scan.described)
    cells = {column: [one.scan.described[column] for one in said] for column in columns}
    cells[UNLIKE] = ["yes" if one.prediction.unlike else "no" for one in said]
    return {column: own for column, own in cells.items() if column in by or len({*own}) > 1}
