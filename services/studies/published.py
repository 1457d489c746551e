"""The papers' numbers: `search_spaces/studies/published.csv`, and which of them are a row's."""

import csv
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

from contrasweep.services.studies.study import FOLDER, PublishedIn, RowConfig, StudyConfig
from contrasweep.trainers.config import Frozen
from contrasweep.trainers.errors import UserError, nearest

FILE, DATASETS = FOLDER / "published.csv", FOLDER / "datasets.csv"
_SAID = ("paper", "table", "dataset", "setting", "method")
_WHOLE = "whole table"


class Published(Frozen):
    """A published figure, its sd over seeds where there is one, the data set that it is of, and on how many scans."""

    value: float
    sd: float | None
    dataset: str
    n: int | None

    def __str__(self) -> str:
        return f"{self.value:g}" + (f" ± {self.sd:g}" if self.sd is not None else "")


class Further(Frozen):
    """Numbers that are published of a row beside its own, by metric, and in what they differ."""

    row: str
    of: str
    figures: dict[str, Published]


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
    known = published_rows() if rows is None else rows
    return {metric: _number(one) for metric, one in numbers_of(study, row, None, known).items()}


def further_of(study: StudyConfig) -> tuple[Further, ...]:
    """What else is published of the study's rows, in their order. Raises as `published_of`."""
    found = [
        (row.name if row else _WHOLE, also, numbers_of(study, row, also, published_rows()))
        for row, also in further_in(study)
    ]
    return tuple(
        Further(row=name, of=", ".join(also.said.values()), figures={key: _number(one) for key, one in numbers.items()})
        for name, also, numbers in found
    )


def further_in(study: StudyConfig) -> Iterator[tuple[RowConfig | None, PublishedIn]]:
    """Each row, or None for the whole table, with what is said of its further numbers."""
    if all(row.published is None for row in study.rows):
        yield from ((None, also) for also in study.also)
    for row in study.rows:
        yield from ((row, also) for also in (*row.also, *(study.also if row.published else ())))


def numbers_of(
    study: StudyConfig, row: RowConfig | None, also: PublishedIn | None, known: Iterable[Mapping[str, str]]
) -> dict[str, Mapping[str, str]]:
    """Lines of the published table by metric: the row's own, or those that `also` tells. Raises as `published_of`."""
    own = row.published.said if row and row.published else {}
    if also is None and (row is None or row.published is None):
        return {}
    said = {key: getattr(study, key, None) for key in _SAID} | own | (also.said if also else {})
    place = f"{study.name}.yaml: " + (f"rows: {row.name}: " if row else "") + ("also" if also else "published")
    method = study.method_of(row) if row else ""
    found = {}
    for metric in study.metrics:
        hits = _hits(known, said | _elsewhere(study, metric), study.split(metric)[1])
        if len(hits) > 1:  # of several methods the row's own is meant
            hits = [one for one in hits if one["method"] == method] or hits
        if len(hits) > 1:
            raise UserError(f"{place}: {len(hits)} numbers of {metric}; {_apart(hits)} tells them apart")
        if hits:
            found[metric] = hits[0]
    if not found:
        raise UserError(f"{place}: {_missed(said, known)}")
    return found


def _elsewhere(study: StudyConfig, metric: str) -> dict[str, str]:
    """What the study says of the numbers of a metric."""
    places = (study.published.get(name) for name in (study.split(metric)[0], metric))
    return {key: value for place in places if place for key, value in place.said.items()}


def _hits(known: Iterable[Mapping[str, str]], said: Mapping[str, str | None], metric: str) -> list[Mapping[str, str]]:
    wanted = {**said, "metric": metric}
    return [one for one in known if all(value is None or one[key] == value for key, value in wanted.items())]


def _number(row: Mapping[str, str]) -> Published:
    value, sd, dataset = (row[column] for column in ("value", "sd", "dataset"))
    return Published(value=float(value), sd=float(sd) if sd else None, dataset=dataset, n=_tested_on(dataset))


def _tested_on(dataset: str) -> int | None:
    """How many scans a data set's test split has."""
    return next((int(row["n_test"]) for row in published_rows(DATASETS) if row["dataset"] == dataset), None)


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
