"""What a study came to: its table as data, ours beside what is published, and how far the orders agree."""

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from math import isfinite, nan
from statistics import fmean, stdev
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from contrasweep.services.records.code import commit
from contrasweep.services.records.final_report import FinalReport
from contrasweep.services.records.folder import SweepFolder
from contrasweep.services.records.trial_record import TrialRecord
from contrasweep.services.spec.spec import SweepSpec
from contrasweep.services.studies.compile import read_in, repeated
from contrasweep.services.studies.evidence import judged
from contrasweep.services.studies.published import Further, Published, further_of, published_of
from contrasweep.services.studies.study import PartConfig, RowConfig, RowRead, StudyConfig
from contrasweep.services.text import count
from contrasweep.trainers.analyses import Evidence, Findings
from contrasweep.trainers.config import Conditions, Frozen, words_of
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
    """A figure: the mean over seeds with its 95 % subject bootstrap interval, and the sd over seeds, null for one."""

    value: Interval
    sd: float | None


class Order(Frozen):
    """Kendall's tau-b between our order of rows by a metric and theirs, with its 95 % interval: see `order_told`.

    `chains` are rows in their order, the best first, which is published or only `claimed`; between chains nothing is.
    `higher` says whether more of the metric is better; `verdict` is agrees, disagrees or cannot tell.
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
    """A row: how it stands and why, and by metric what it reached and what is published."""

    name: str
    method: str
    state: State
    reason: str = ""
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
    """A study's finished sweep: evidence of the scans that count, and what analyses found in it, by their names."""

    study: StudyConfig
    folder: SweepFolder
    records: Mapping[str, TrialRecord]
    final: FinalReport
    evidence: Evidence
    findings: Mapping[str, Findings]
    lacking: tuple[str, ...] = ()

    @cached_property
    def spec(self) -> SweepSpec:
        """Of the sweep."""
        return self.folder.load().spec

    @cached_property
    def reads(self) -> Mapping[str, RowRead]:
        """Which reading each row is."""
        return read_in(self.study, self.spec)

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
            baselines=self._baselines(),
            words=tuple(word for found in self.findings.values() for word in found.words),
            lacking=(*self.lacking, *self._lost_parts()),
            notes=study.notes,
            code=commit() or f"contrasweep {version('contrasweep')}",
            machine=machine(),
            seconds=round(self.folder.read_state().spent_s, 1),
        )

    def predictions(self, row: RowConfig) -> NDArray[np.float64]:
        """What a row's seeds predict [S, n], each the mean over its folds; [0, n] where it has no predictions."""
        point, read = self.study.point_of(row), self.reads[row.name]
        features, probe = judged(self.spec, self.records[point].configuration)
        wanted = (read.epoch or 0, read.features or features, words_of(read.probe) if read.probe else probe)
        by_seed: dict[int, list[NDArray[np.float64]]] = {}
        for reading, said in self.evidence.predictions.items():
            if reading.point == point and (reading.epoch, reading.features, reading.probe) == wanted:
                by_seed.setdefault(reading.seed, []).append(said)
        means = [np.mean(by_seed[seed], axis=0) for seed in sorted(by_seed)]
        return np.array(means).reshape(len(means), len(self.evidence.scans))

    def _baselines(self) -> dict[str, Interval]:
        if self.study.where or DEFAULT not in self.study.metrics:
            return {}
        return {one.title: one.mae for one in self.final.baselines.values()}

    def _row(self, row: RowConfig) -> RowOutcome:
        told = {"name": row.name, "method": self.study.method_of(row), "published": published_of(self.study, row)}
        record = self.records.get(self.study.point_of(row))
        if record is None:
            reason = "it is not in the sweep: it came to the same as another row there, or was added since"
            return RowOutcome(**told, state=LEFT_OUT, reason=reason)
        if record.state != COMPLETE:
            return RowOutcome(**told, state=record.state, reason=record.reason)
        if same := repeated(self.study, self.spec).get(row.name):
            return RowOutcome(**told, state=LEFT_OUT, reason=f"with these data it comes to the same as {same}")
        said = self.predictions(row)
        if not len(said):
            return RowOutcome(**told, state=LEFT_OUT, reason=f"{row.name} was not read: it has no such features")
        return RowOutcome(**told, state=COMPLETE, seeds=len(said), ours=self._figures(row, said))

    def _figures(self, row: RowConfig, said: NDArray[np.float64]) -> dict[str, Ours]:
        """Of each metric that the row has, over its seeds."""
        found = {}
        for metric in self.study.metrics:
            if self.study.split(metric)[1] in FIGURES:
                if known := self._measured(metric, said):
                    found[metric] = known
            elif of_seeds := self._analysed(metric, row):
                found[metric] = Ours(value=Interval(fmean(of_seeds), nan, nan), sd=_sd(of_seeds))
        return found

    def _measured(self, metric: str, said: NDArray[np.float64]) -> Ours | None:
        """A metric of a row's predictions [S, n], in a part where it is one's; None where no scan is in that."""
        scans, figure = self._scans(metric)
        if not scans.size:
            return None
        labels, inside = self.evidence.labels[scans], said[:, scans]
        clusters = [self.evidence.subjects[scan] for scan in scans]
        return Ours(
            value=bootstrap(labels, inside, clusters=clusters)[figure], sd=_sd(FIGURES[figure](labels, inside).tolist())
        )

    def _scans(self, metric: str) -> tuple[NDArray[np.int64], str]:
        """The scans that a metric is of, and what it is called there."""
        part, figure = self.study.split(metric)
        return np.flatnonzero(self.parts[part]) if part else np.arange(len(self.evidence.scans)), figure

    def _analysed(self, metric: str, row: RowConfig) -> list[float]:
        """What an analysis found of each seed of a row; nothing of another reading of one."""
        found = finding_of(metric, self.findings)
        values = found.values[metric.partition(".")[2]] if found and row.of is None else {}
        return [values[key] for key in sorted(values) if key[0] == row.name and isfinite(values[key])]

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
        scans, name = self._scans(metric)
        if name not in FIGURES:
            return order_told(
                {row.name: [[one] for one in self._analysed(metric, row)] for row in rows}, theirs, "s", chains=chain_of
            )
        figure, labels = FIGURES[name], self.evidence.labels[scans]

        def counts(said: NDArray[np.float64], scans: NDArray[np.int64]) -> float:
            return float(figure(labels[scans], said).mean())

        subjects = [self.evidence.subjects[scan] for scan in scans]
        return order_told(
            {row.name: self.predictions(row)[:, scans] for row in rows}, theirs, subjects, counts, chains=chain_of
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
