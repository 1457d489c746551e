"""What `contrasweep predict` answers: one line for each scan, as a table, TSV or JSON."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from contrasweep.services.predicting.predict import Found, Said
from contrasweep.services.records.answers import Answer
from contrasweep.services.records.files import write_asked
from contrasweep.trainers.data.participants import Rejected
from contrasweep.trainers.served import Calibration

if TYPE_CHECKING:
    import pandas as pd


class Predicted(Answer):
    """What a model says of a scan, in the label's unit.

    Attributes:
        scan: its id. paths: of its images.
        prediction: the mean over the model's runs, `sd` their standard deviation, null for one run.
        low, high: hold the label of 9 in 10 people; null where the model's study held out too few to tell.
        label: what the table has, null where it has none; `gap` is the prediction less that, and the corrected ones are
            without what it owes to the label itself, as validation tells it, by a line and by bands of it.
        unlike: in what the scan is unlike those of training; empty where it is not.
    """

    scan: str
    paths: tuple[str, ...]
    prediction: float
    sd: float | None
    low: float | None
    high: float | None
    label: float | None
    gap: float | None
    gap_corrected: float | None
    gap_corrected_by_bands: float | None
    unlike: str

    @classmethod
    def of(cls, said: Said, calibration: Calibration | None) -> "Predicted":
        """Of a scan; with a calibration and a label the corrected gaps, too."""
        scan, prediction = said.scan, said.prediction
        by_line = by_bands = None
        if calibration is not None and scan.label is not None:
            by_line, by_bands = calibration.corrected(prediction.prediction, scan.label)
        return cls(
            scan=scan.id,
            paths=tuple(map(str, scan.paths)),
            prediction=prediction.prediction,
            sd=prediction.sd,
            label=scan.label,
            low=prediction.interval and prediction.interval[0],
            high=prediction.interval and prediction.interval[1],
            gap=None if scan.label is None else prediction.prediction - scan.label,
            gap_corrected=by_line,
            gap_corrected_by_bands=by_bands,
            unlike=prediction.unlike,
        )


class Refused(Answer):
    """A scan that cannot be used, and why."""

    scan: str
    path: str | None
    reason: str

    @classmethod
    def of(cls, rejected: Rejected) -> "Refused":
        """What it answers of one that was rejected."""
        return cls(scan=rejected.subject, path=rejected.path and str(rejected.path), reason=rejected.reason)

    @property
    def words(self) -> str:
        """It in a line."""
        return f"{self.scan}: {self.reason}{f' ({self.path})' if self.path else ''}"


class Predictions(Answer):
    """All of one call; `label` is what is predicted, `unit` its unit if it is told, `model` where it comes from."""

    model: str
    label: str
    unit: str | None
    scans: tuple[Predicted, ...]
    rejected: tuple[Refused, ...]

    @classmethod
    def of(cls, found: Found) -> "Predictions":
        """Of what a model says."""
        return cls(
            model=found.model,
            label=found.config.data.label,
            unit=found.config.data.unit,
            scans=tuple(Predicted.of(one, found.config.calibration) for one in found.said),
            rejected=tuple(map(Refused.of, found.rejected)),
        )


COLUMNS = (
    *("scan", "prediction", "sd", "low", "high", "label"),
    *("gap", "gap_corrected", "gap_corrected_by_bands", "unlike", "path"),
)
"""Of a table of predictions."""


def to_tsv(scans: Sequence[Predicted]) -> str:
    """A header and a line for each scan."""
    return tsv(COLUMNS, _rows(scans))


def to_frame(scans: Sequence[Predicted]) -> "pd.DataFrame":
    """The same as a data frame; a number that is not known is NaN."""
    import pandas as pd

    texts = ("scan", "unlike", "path")
    numbers = {column: "float64" for column in COLUMNS if column not in texts}
    return pd.DataFrame(_rows(scans), columns=COLUMNS).astype(numbers)


def _rows(scans: Sequence[Predicted]) -> list[list[float | str | None]]:
    return [[*(getattr(one, name) for name in COLUMNS[:-1]), ",".join(one.paths)] for one in scans]


def write_tsv(path: Path, scans: Sequence[Predicted]) -> None:
    """Write `to_tsv`, whole or not at all. Raises UserError where that cannot be."""
    write_asked(path, to_tsv(scans).encode())


def tsv(columns: Sequence[str], rows: Iterable[Iterable[float | str | None]]) -> str:
    """A table as text; n/a where there is no value, as BIDS has it."""
    lines = [columns, *([_cell(value) for value in row] for row in rows)]
    return "".join("\t".join(line) + "\n" for line in lines)


def _cell(value: float | str | None) -> str:
    if value is None or value == "":
        return "n/a"
    return repr(value) if isinstance(value, float) else " ".join(str(value).split())
