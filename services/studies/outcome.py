"""What a study came to: its table as data, ours beside what is published, and how far the orders agree."""

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version
from math import nan
from statistics import fmean, stdev
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from contrasweep.services.records.code import commit
from contrasweep.services.records.final_report import FinalReport
from contrasweep.services.records.folder import SweepFolder
from contrasweep.services.records.trial_record import TrialRecord
from contrasweep.services.spec.spec import SweepSpec
from contrasweep.services.studies.published import Published, published_of
from contrasweep.services.studies.study import RowConfig, StudyConfig
from contrasweep.services.studies.tuned import tied
from contrasweep.services.text import count
from contrasweep.trainers.analyses import Evidence, Findings
from contrasweep.trainers.config import Frozen
from contrasweep.trainers.data.select import holds
from contrasweep.trainers.errors import UserError, nearest
from contrasweep.trainers.history import COMPLETE
from contrasweep.trainers.interval import Interval
from contrasweep.trainers.metrics import METRICS as FIGURES
from contrasweep.trainers.metrics import bootstrap
from contrasweep.trainers.objectives import DEFAULT, OBJECTIVES
from contrasweep.trainers.order_told import OrderTold, order_told

LABEL = "label"
LEFT_OUT: Final = "left out"
State = Literal["complete", "failed", "running", "pruned", "left out"]


class Ours(Frozen):
    """A figure: the mean over runs with its 95 % subject bootstrap interval, and the sd over runs, null for one.

    Runs are seeds, or, with folds, each seed's in each fold.
    """

    value: Interval
    sd: float | None


class Order(Frozen):
    """Kendall's tau-b between our order of rows by a metric and theirs, with its 95 % interval: see `order_told`.

    `rows` are in their order, the best first, which is published or only `claimed`. `higher` says whether more of the
    metric is better; `verdict` is agrees, disagrees or cannot tell. Of an analysis's figure the interval is over seeds
    alone: of training anew, for these test scans.
    """

    metric: str
    higher: bool
    claimed: bool
    rows: tuple[str, ...]
    tau: Interval
    verdict: str


class RowOutcome(Frozen):
    """A row: how it stands and why, and by metric what it reached and what is published.

    One that is tuned is configuration `trial` of the sweep, the best by validation of `best_of` complete ones.
    """

    name: str
    method: str
    state: State
    reason: str = ""
    trial: int | None = None
    best_of: int = 0
    seeds: int = 0
    ours: dict[str, Ours] = Field(default_factory=dict)
    published: dict[str, Published] = Field(default_factory=dict)


class Outcome(Frozen):
    """A study's table and verdict.

    Attributes:
        data: what it ran on, in words; `n` test scans of so many `subjects` count. seeds: of each row.
        order: of our rows against the published or claimed ones; null where fewer than two can be compared.
        tied: the best row by MAE and those that no comparison of `paired` tells from it, where all pairs were compared.
        baselines: MAE of simple models on the same scans, by their titles; none where it is no metric, or only some
            scans count.
        words: what analyses found, a sentence each. lacking: analyses that could not be made, and why.
        code: the commit, where it is known, or else the version. machine: what it ran on.
        seconds: that the sweep took.
    """

    study: str
    title: str
    paper: str | None
    table: str | None
    sweep: str
    quick: bool
    data: str
    label: str
    unit: str
    n: int
    subjects: int
    seeds: int
    metrics: tuple[str, ...]
    rows: tuple[RowOutcome, ...]
    order: Order | None
    tied: tuple[str, ...] = ()
    baselines: dict[str, Interval] = Field(default_factory=dict)
    words: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    code: str
    machine: str
    seconds: float

    def to_json(self) -> str:
        """The text of `outcome.json`; nan is null."""
        return self.model_dump_json(indent=1) + "\n"


@dataclass(frozen=True)
class Seen:
    """A study's finished sweep: evidence of its rows and the scans that count, and findings by the analyses' names.

    `records` are of the rows, by their names, and `complete` says how many of each method's configurations are.
    """

    study: StudyConfig
    folder: SweepFolder
    records: Mapping[str, TrialRecord]
    final: FinalReport
    evidence: Evidence
    findings: Mapping[str, Findings]
    lacking: tuple[str, ...] = ()
    complete: Mapping[str, int] = field(default_factory=dict)

    @cached_property
    def spec(self) -> SweepSpec:
        """Of the sweep."""
        return self.folder.load().spec

    def outcome(self) -> Outcome:
        """The table and the verdict."""
        study, evidence, loaded = self.study, self.evidence, self.folder.load()
        rows = tuple(map(self._row, study.rows))
        return Outcome(
            study=study.name,
            title=study.title,
            paper=study.paper,
            table=study.table,
            sweep=self.folder.sweep_id,
            quick=loaded.spec.name != study.name,
            data=(loaded.base / loaded.spec.data.folder).resolve().name,
            label=evidence.label,
            unit=evidence.unit,
            n=len(evidence.scans),
            subjects=len(set(evidence.subjects)),
            seeds=len(loaded.spec.search.seeds),
            metrics=study.metrics,
            rows=rows,
            order=self._order(rows),
            tied=self._tied(rows),
            baselines=self._baselines(),
            words=tuple(word for found in self.findings.values() for word in found.words),
            lacking=self.lacking,
            notes=study.notes,
            code=commit() or f"contrasweep {version('contrasweep')}",
            machine=machine(),
            seconds=round(self.folder.read_state().spent_s, 1),
        )

    def runs(self, row: RowConfig) -> dict[tuple[int, int | None], NDArray[np.float64]]:
        """What each run of a row predicts [n], by seed and fold; nothing where it has no predictions."""
        found: dict[tuple[int, int | None], NDArray[np.float64]] = {}
        for reading, said in self.evidence.predictions.items():
            if reading.point == row.name and reading.epoch == 0:  # the one that the row is comes first
                found.setdefault((reading.seed, reading.fold), said)
        return found

    def _baselines(self) -> dict[str, Interval]:
        if self.study.where or DEFAULT not in self.study.metrics:
            return {}
        return {one.title: one.mae for one in self.final.baselines.values()}

    def _row(self, row: RowConfig) -> RowOutcome:
        told: dict[str, Any] = {
            "name": row.name,
            "method": self.study.method_of(row),
            "published": published_of(self.study, row),
        }
        record = self.records.get(self.study.point_of(row))
        if record is None:
            reason = "it is not in the sweep: it came to the same as another row there, or was added since"
            return RowOutcome(**told, state=LEFT_OUT, reason=reason)
        if record.state != COMPLETE:
            return RowOutcome(**told, state=record.state, reason=record.reason)
        runs = self.runs(row)
        if not runs:
            return RowOutcome(**told, state=LEFT_OUT, reason=f"{row.name} was not read: it has no such features")
        if self.study.tuned:
            told |= {"trial": record.number, "best_of": self.complete[record.configuration.method]}
        seeds, said = {seed for seed, _ in runs}, np.array([*runs.values()])
        return RowOutcome(**told, state=COMPLETE, seeds=len(seeds), ours=self._figures(row, said))

    def _figures(self, row: RowConfig, said: NDArray[np.float64]) -> dict[str, Ours]:
        """Of each metric that the row has, from what its runs predict [J, n]."""
        evidence = self.evidence
        known, found = bootstrap(evidence.labels, said, clusters=evidence.subjects), {}
        for metric in self.study.metrics:
            if metric in known:
                found[metric] = Ours(value=known[metric], sd=_sd(FIGURES[metric](evidence.labels, said).tolist()))
            elif of_seeds := self._analysed(metric, row):
                found[metric] = Ours(value=Interval(fmean(of_seeds), nan, nan), sd=_sd(of_seeds))
        return found

    def _analysed(self, metric: str, row: RowConfig) -> list[float]:
        """What an analysis found of each seed of a row; nothing where it has no figure of one."""
        name, _, figure = metric.partition(".")
        values = self.findings[name].values.get(figure, {}) if name in self.findings else {}
        found = [values[key] for key in sorted(values) if key[0] == row.name]
        return found if np.isfinite(found).all() else []

    def _tied(self, rows: Sequence[RowOutcome]) -> tuple[str, ...]:
        """By MAE, of the rows that have one."""
        told = {row.name: row.ours[DEFAULT].value.value for row in rows if DEFAULT in row.ours}
        return tied(sorted(told, key=told.__getitem__), self.findings.get("paired", Findings()).apart)

    def _order(self, rows: Sequence[RowOutcome]) -> Order | None:
        """By the first metric, of the rows that have it and something to compare it with."""
        metric = self.study.metrics[0]
        higher = is_higher_better(metric, self.findings)
        theirs = self._theirs(rows, higher)
        if len(theirs) < 2:
            return None
        told = self._compared(metric, theirs)
        ranked = tuple(sorted(theirs, key=theirs.__getitem__, reverse=higher))
        claimed = bool(self.study.order)
        return Order(metric=metric, higher=higher, claimed=claimed, rows=ranked, tau=told.tau, verdict=told.verdict)

    def _theirs(self, rows: Sequence[RowOutcome], higher: bool) -> dict[str, float]:
        """What our rows are compared with: the claimed places, or what is published of them."""
        metric, order = self.study.metrics[0], self.study.order
        claimed = {name: float(-place if higher else place) for place, name in enumerate(order)}
        published = {row.name: row.published[metric].value for row in rows if metric in row.published}
        known = claimed or published
        return {row.name: known[row.name] for row in rows if metric in row.ours and row.name in known}

    def _compared(self, metric: str, theirs: Mapping[str, float]) -> OrderTold:
        rows = [row for row in self.study.rows if row.name in theirs]
        trainings = {row.name: self.study.point_of(row) for row in rows}
        if metric not in FIGURES:
            of_seeds = {row.name: [[one] for one in self._analysed(metric, row)] for row in rows}
            return order_told(of_seeds, theirs, "s", trainings=trainings)
        runs, labels = {row.name: self.runs(row) for row in rows}, self.evidence.labels

        def counts(said: NDArray[np.float64], scans: NDArray[np.int64]) -> NDArray[np.float64]:
            return np.asarray(FIGURES[metric](labels[scans], said))

        return order_told(
            {name: np.array([*own.values()]) for name, own in runs.items()},
            theirs,
            self.evidence.subjects,
            counts,
            trainings=trainings,
            folds=len({fold for own in runs.values() for _, fold in own} - {None}),
        )


def is_higher_better(metric: str, findings: Mapping[str, Findings]) -> bool:
    """Whether more of a metric is better."""
    if metric in OBJECTIVES:
        return OBJECTIVES[metric].higher
    name, _, figure = metric.partition(".")
    return name in findings and figure in findings[name].larger


def _sd(values: Sequence[float]) -> float | None:
    return stdev(values) if len(values) > 1 else None


def counted(study: StudyConfig, evidence: Evidence) -> NDArray[np.bool_]:
    """Which test scans count [n]. Raises UserError where a column is not known, or none is left."""
    counts = np.ones(len(evidence.scans), bool)
    cells = {LABEL: [str(label) for label in evidence.labels.tolist()], **evidence.columns}
    for column, condition in study.where.items():
        if column not in cells:
            raise UserError(f"{study.name}.yaml: where: unknown column '{column}'; {nearest(column, cells)}")
        counts &= [holds(condition, cell) for cell in cells[column]]
    if not counts.any():
        raise UserError(f"{study.name}.yaml: where: none of {len(counts)} test scans fulfils it")
    return counts


def machine() -> str:
    """This machine in words, without its name."""
    return f"{count(len(os.sched_getaffinity(0)), 'CPU')}, {platform.machine()}, {platform.system()}"
