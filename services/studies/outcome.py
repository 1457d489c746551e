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
from contrasweep.services.studies.compile import QUICK, repeated
from contrasweep.services.studies.published import Further, Published, further_of, published_of
from contrasweep.services.studies.study import PHANTOM, PartConfig, RowConfig, StudyConfig
from contrasweep.services.studies.tuned import tied
from contrasweep.services.text import count, slug
from contrasweep.trainers.analyses import Evidence, Findings
from contrasweep.trainers.config import Conditions, Frozen
from contrasweep.trainers.data.select import holds
from contrasweep.trainers.errors import UserError, nearest
from contrasweep.trainers.history import COMPLETE
from contrasweep.trainers.interval import Interval
from contrasweep.trainers.metrics import METRICS as FIGURES
from contrasweep.trainers.metrics import bootstrap, shot_regions
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

    `chains` are rows in their order, the best first, which is published or only `claimed`; between chains nothing is.
    `higher` says whether more of the metric is better; `verdict` is agrees, disagrees or cannot tell. Of an analysis's
    figure the interval is over seeds alone: of training anew, for these test scans.
    """

    metric: str
    higher: bool
    claimed: bool
    chains: tuple[tuple[str, ...], ...]
    tau: Interval
    verdict: str

    @property
    def whose(self) -> str:
        """Claimed or published, as the order is."""
        return "claimed" if self.claimed else "published"

    @property
    def rows(self) -> tuple[str, ...]:
        """Those that are compared."""
        return tuple(name for chain in self.chains for name in chain)


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
        parts: how many of these scans are in each part.
        further: what else is published of the rows.
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
    parts: dict[str, int] = Field(default_factory=dict)
    rows: tuple[RowOutcome, ...]
    further: tuple[Further, ...] = ()
    order: Order | None
    tied: tuple[str, ...] = ()
    baselines: dict[str, Interval] = Field(default_factory=dict)
    words: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    code: str
    machine: str
    seconds: float

    @property
    def name(self) -> str:
        """The study's, that it ran in small where it did, and on which data where not on the phantom."""
        return self.study + QUICK * self.quick + (f"-{slug(self.data)}" if self.data != PHANTOM else "")

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

    @cached_property
    def parts(self) -> Mapping[str, NDArray[np.bool_]]:
        """Which scans [n] are in each part; of one that cannot be told none is."""
        return {name: in_part(part, self.evidence, self._place(name)) for name, part in self.study.parts.items()}

    def _place(self, part: str) -> str:
        return f"{self.study.name}.yaml: parts: {part}"

    def _lost_parts(self) -> list[str]:
        return [f"{name}: no test scan is in it" for name, inside in self.parts.items() if not inside.any()]

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
            parts={name: int(inside.sum()) for name, inside in self.parts.items()},
            rows=rows,
            further=further_of(study),
            order=self._order(rows),
            tied=self._tied(rows),
            baselines=self._baselines(),
            words=tuple(word for found in self.findings.values() for word in found.words),
            lacking=(*self.lacking, *self._lost_parts()),
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
        if same := repeated(self.study, self.spec).get(row.name):
            return RowOutcome(**told, state=LEFT_OUT, reason=f"with these data it comes to the same as {same}")
        runs = self.runs(row)
        if not runs:
            return RowOutcome(**told, state=LEFT_OUT, reason=f"{row.name} was not read: it has no such features")
        if self.study.tuned:
            told |= {"trial": record.number, "best_of": self.complete[record.configuration.method]}
        seeds, said = {seed for seed, _ in runs}, np.array([*runs.values()])
        return RowOutcome(**told, state=COMPLETE, seeds=len(seeds), ours=self._figures(row, said))

    def _figures(self, row: RowConfig, said: NDArray[np.float64]) -> dict[str, Ours]:
        """Of each metric that the row has, from what its runs predict [J, n]."""
        found, measured = {}, self._measured(said)
        for metric in self.study.metrics:
            if metric in measured:
                found[metric] = measured[metric]
            elif of_seeds := self._analysed(metric, row):
                found[metric] = Ours(value=Interval(fmean(of_seeds), nan, nan), sd=_sd(of_seeds))
        return found

    def _measured(self, said: NDArray[np.float64]) -> dict[str, Ours]:
        """All metrics of what a row's runs predict [J, n], over all scans and in each part that has any."""
        found = {}
        for part in {self.study.split(metric)[0] for metric in self.study.metrics}:
            scans = self._scans(part)
            if scans.size:
                labels, inside = self.evidence.labels[scans], said[:, scans]
                intervals = bootstrap(labels, inside, clusters=self._subjects(scans))
                for name, figure in FIGURES.items():
                    of_runs = figure(labels, inside).tolist()
                    found[f"{part}.{name}" if part else name] = Ours(value=intervals[name], sd=_sd(of_runs))
        return found

    def _scans(self, part: str) -> NDArray[np.int64]:
        """The scans of a part; all, where it is the whole."""
        return np.flatnonzero(self.parts[part]) if part else np.arange(len(self.evidence.scans))

    def _subjects(self, scans: NDArray[np.int64]) -> list[str]:
        return [self.evidence.subjects[scan] for scan in scans]

    def _analysed(self, metric: str, row: RowConfig) -> list[float]:
        """What an analysis found of each seed of a row; nothing where it has no figure of one."""
        found = finding_of(metric, self.findings)
        values = found.values[metric.partition(".")[2]] if found else {}
        of_seeds = [values[key] for key in sorted(values) if key[0] == row.name]
        return of_seeds if np.isfinite(of_seeds).all() else []

    def _tied(self, rows: Sequence[RowOutcome]) -> tuple[str, ...]:
        """By MAE, of the rows that have one."""
        told = {row.name: row.ours[DEFAULT].value.value for row in rows if DEFAULT in row.ours}
        return tied(sorted(told, key=told.__getitem__), self.findings.get("paired", Findings()).apart)

    def _order(self, rows: Sequence[RowOutcome]) -> Order | None:
        """By the first metric, of the rows that have it and something to compare it with."""
        metric = self.study.metrics[0]
        higher = is_higher_better(self.study.split(metric)[1], self.findings)
        theirs = self._theirs(rows, higher)
        ranked = sorted(theirs, key=theirs.__getitem__, reverse=higher)
        claimed = [tuple(name for name in chain if name in theirs) for chain in self.study.order]
        chains = tuple(chain for chain in claimed or [tuple(ranked)] if len(chain) > 1)
        if not chains:
            return None
        told = self._compared(metric, theirs, chains)
        return Order(
            metric=metric, higher=higher, claimed=bool(claimed), chains=chains, tau=told.tau, verdict=told.verdict
        )

    def _theirs(self, rows: Sequence[RowOutcome], higher: bool) -> dict[str, float]:
        """What our rows are compared with: the claimed places, or what is published of them."""
        metric = self.study.metrics[0]
        claimed = {
            name: float(-place if higher else place) for chain in self.study.order for place, name in enumerate(chain)
        }
        published = {row.name: row.published[metric].value for row in rows if metric in row.published}
        known = claimed or published
        return {row.name: known[row.name] for row in rows if metric in row.ours and row.name in known}

    def _compared(self, metric: str, known: Mapping[str, float], chains: Sequence[Sequence[str]]) -> OrderTold:
        chain_of = {name: place for place, chain in enumerate(chains) for name in chain}
        theirs = {name: known[name] for name in chain_of}
        rows = [row for row in self.study.rows if row.name in theirs]
        trainings, (part, name) = {row.name: self.study.point_of(row) for row in rows}, self.study.split(metric)
        if name not in FIGURES:
            of_seeds = {row.name: [[one] for one in self._analysed(metric, row)] for row in rows}
            return order_told(of_seeds, theirs, "s", trainings=trainings, chains=chain_of)
        runs, scans = {row.name: self.runs(row) for row in rows}, self._scans(part)
        labels = self.evidence.labels[scans]

        def counts(said: NDArray[np.float64], drawn: NDArray[np.int64]) -> NDArray[np.float64]:
            return np.asarray(FIGURES[name](labels[drawn], said))

        return order_told(
            {row: np.array([*own.values()])[:, scans] for row, own in runs.items()},
            theirs,
            self._subjects(scans),
            counts,
            trainings=trainings,
            folds=len({fold for own in runs.values() for _, fold in own} - {None}),
            chains=chain_of,
        )


def is_higher_better(metric: str, findings: Mapping[str, Findings]) -> bool:
    """Whether more of a metric is better."""
    if metric in OBJECTIVES:
        return OBJECTIVES[metric].higher
    found = finding_of(metric, findings)
    return found is not None and metric.partition(".")[2] in found.larger


def finding_of(metric: str, findings: Mapping[str, Findings]) -> Findings | None:
    """The first that has ANALYSIS.FIGURE, of an analysis that may have been made more than once."""
    name, _, figure = metric.partition(".")
    return next(
        (found for key, found in findings.items() if key.partition("(")[0] == name and figure in found.values), None
    )


def _sd(values: Sequence[float]) -> float | None:
    return stdev(values) if len(values) > 1 else None


def counted(study: StudyConfig, evidence: Evidence) -> NDArray[np.bool_]:
    """Which test scans count [n]. Raises UserError where a column is not known, or none is left."""
    place = f"{study.name}.yaml: where"
    counts = _fulfil(study.where, evidence, place)
    if not counts.any():
        raise UserError(f"{place}: none of {len(counts)} test scans fulfils it")
    return counts


def in_part(part: PartConfig, evidence: Evidence, place: str) -> NDArray[np.bool_]:
    """Which test scans are in a part [n]: none where its shots cannot be told, as the volume store is gone.

    Raises UserError where a column is not known.
    """
    inside = _fulfil(part.where, evidence, f"{place}: where")
    if part.label:
        inside &= np.any([(low <= evidence.labels) & (evidence.labels < high) for low, high in part.label], axis=0)
    if part.shots and not evidence.train_labels.size:
        return np.zeros_like(inside)
    if part.shots:
        inside &= shot_regions(evidence.labels, evidence.train_labels) == part.shots
    return inside


def _fulfil(where: Conditions, evidence: Evidence, place: str) -> NDArray[np.bool_]:
    """Which test scans fulfil all conditions [n]."""
    counts = np.ones(len(evidence.scans), bool)
    cells = {LABEL: [str(label) for label in evidence.labels.tolist()], **evidence.columns}
    for column, condition in where.items():
        if column not in cells:
            raise UserError(f"{place}: unknown column '{column}'; {nearest(column, cells)}")
        counts &= [holds(condition, cell) for cell in cells[column]]
    return counts


def machine() -> str:
    """This machine in words, without its name."""
    return f"{count(len(os.sched_getaffinity(0)), 'CPU')}, {platform.machine()}, {platform.system()}"
