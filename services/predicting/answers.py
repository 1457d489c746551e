"""What `contrasweep predict` answers: one line for each scan, as a table, TSV or JSON."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from services.records.answers import Answer
from trainers.atomic import write_atomically
from trainers.errors import UserError


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


class Refused(Answer):
    """A scan that cannot be used, and why."""

    scan: str
    path: str | None
    reason: str


class Predictions(Answer):
    """All of one call; `label` is what is predicted, `model` where it comes from."""

    model: str
    label: str
    scans: tuple[Predicted, ...]
    rejected: tuple[Refused, ...]


COLUMNS = (
    *("scan", "prediction", "sd", "low", "high", "label"),
    *("gap", "gap_corrected", "gap_corrected_by_bands", "unlike", "path"),
)
"""Of a table of predictions."""


def write_tsv(path: Path, scans: Sequence[Predicted]) -> None:
    """Write a header and a line for each scan, whole or not at all. Raises UserError where that cannot be."""
    rows = ([*(getattr(one, name) for name in COLUMNS[:-1]), ",".join(one.paths)] for one in scans)
    try:
        write_atomically(path, tsv(COLUMNS, rows).encode())
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from error


def tsv(columns: Sequence[str], rows: Iterable[Iterable[float | str | None]]) -> str:
    """A table as text; n/a where there is no value, as BIDS has it."""
    lines = [columns, *([_cell(value) for value in row] for row in rows)]
    return "".join("\t".join(line) + "\n" for line in lines)


def _cell(value: float | str | None) -> str:
    if value is None or value == "":
        return "n/a"
    return repr(value) if isinstance(value, float) else " ".join(str(value).split())
