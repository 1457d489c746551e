"""The papers' numbers: `search_spaces/studies/published.csv`, and which of them are a row's."""

import csv
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from contrasweep.services.studies.study import FOLDER, RowConfig, StudyConfig
from contrasweep.trainers.config import Frozen
from contrasweep.trainers.errors import UserError, nearest

FILE, DATASETS = FOLDER / "published.csv", FOLDER / "datasets.csv"
_SAID = ("paper", "table", "dataset", "setting", "method")


class Published(Frozen):
    """A published figure, its sd over seeds where there is one, the data set that it is of, and on how many scans."""

    value: float
    sd: float | None
    dataset: str
    n: int | None

    def __str__(self) -> str:
        return f"{self.value:g}" + (f" ± {self.sd:g}" if self.sd is not None else "")


@cache
def published_rows(path: Path = FILE) -> tuple[Mapping[str, str], ...]:
    """The table's rows by its columns."""
    with path.open(newline="", encoding="utf-8") as file:
        return tuple(csv.DictReader(file))


def published_of(
    study: StudyConfig, row: RowConfig, rows: Iterable[Mapping[str, str]] | None = None
) -> dict[str, Published]:
    """What is published of a row by the study's metrics, as far as it is.

    Raises UserError where a row says that something is published and nothing is, or more than one number of a metric.
    """
    if row.published is None:
        return {}
    said = {key: getattr(row.published, key) or getattr(study, key, None) for key in _SAID}
    known = published_rows() if rows is None else rows
    hits = [one for one in known if all(value is None or one[key] == value for key, value in said.items())]
    found = {}
    for metric in study.metrics:
        own = [one for one in hits if one["metric"] == metric]
        if len(own) > 1:  # of several methods the row's own is meant
            own = [one for one in own if one["method"] == study.method_of(row)] or own
        if len(own) > 1:
            raise UserError(f"{_place(study, row)}: {len(own)} numbers of {metric}; {_apart(own)} tells them apart")
        if own:
            value, sd, dataset = (own[0][column] for column in ("value", "sd", "dataset"))
            spread = float(sd) if sd else None
            found[metric] = Published(value=float(value), sd=spread, dataset=dataset, n=_tested_on(dataset))
    if not found:
        raise UserError(f"{_place(study, row)}: {_missed(said, known)}")
    return found


def _tested_on(dataset: str) -> int | None:
    """How many scans a data set's test split has."""
    return next((int(row["n_test"]) for row in published_rows(DATASETS) if row["dataset"] == dataset), None)


def _place(study: StudyConfig, row: RowConfig) -> str:
    return f"{study.name}.yaml: rows: {row.name}: published"


def _apart(rows: Iterable[Mapping[str, str]]) -> str:
    """The first column in which rows differ."""
    rows = list(rows)
    return next((key for key in _SAID if len({one[key] for one in rows}) > 1), "nothing")


def _missed(said: Mapping[str, str | None], rows: Iterable[Mapping[str, str]]) -> str:
    """The first column by which nothing is left of the table, with what it has."""
    left = list(rows)
    for key, value in said.items():
        found = [one for one in left if value is None or one[key] == value]
        if not found:
            return f"{key}: unknown '{value}'; {nearest(str(value), {one[key] for one in left})}"
        left = found
    return f"metrics: none is published; {nearest('', {one['metric'] for one in left})}"
