"""What runs say of a split; of the test split, at the one time that it is opened, those of complete configurations: to
learn from, not to choose.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from contrasweep.services.data.prepare import Prepared
from contrasweep.services.records.leaderboard import leaderboard
from contrasweep.services.records.tested import Said
from contrasweep.services.records.trial_record import TrialRecord, read_records, run_folder
from contrasweep.services.spec.replicate import Replicate
from contrasweep.services.spec.spec import Options, SeedPlan, SweepSpec
from contrasweep.services.sweep.trial import run_config
from contrasweep.trainers.config import RunConfig
from contrasweep.trainers.data.store import Rows, VolumeStore
from contrasweep.trainers.history import COMPLETE
from contrasweep.trainers.inference import Predictor

Members = Mapping[Replicate, tuple[RunConfig, Path]]
"""Runs, each with what it is told and its checkpoint: of one configuration, or with the number of each one's."""


def members_of(spec: SweepSpec, record: TrialRecord, storage: Path) -> Members:
    """The whole runs of a configuration, of those that count, with its number."""
    return {
        run._replace(trial=record.number): (
            run_config(spec, record.configuration, run.seed),
            run_folder(storage, record.number, run) / "best.pt",
        )
        for run in sorted(record.whole)
    }


def complete(spec: SweepSpec, plan: SeedPlan, storage: Path) -> Iterator[tuple[Options, Members]]:
    """Of each complete configuration, the best first, the options that say what it reads, and its runs.

    A configuration is left out where a checkpoint is gone.
    """
    for record in leaderboard(read_records(storage, plan)):
        members = members_of(spec, record, storage)
        if record.state == COMPLETE and all(best.exists() for _, best in members.values()):
            yield spec.search.reading(record.configuration.choices), members


def contenders(
    spec: SweepSpec, plan: SeedPlan, storage: Path, prepared: Mapping[Options, Prepared]
) -> dict[str, dict[Replicate, tuple[RunConfig, Path]]]:
    """The runs of complete configurations, those together that read one store, by its folder."""
    found: dict[str, dict[Replicate, tuple[RunConfig, Path]]] = {}
    for options, members in complete(spec, plan, storage):
        found.setdefault(str(prepared[options].store.folder), {}).update(members)
    return found


_AT_ONCE = 64
"""Scans that a run predicts together."""


@dataclass
class Listener:
    """Has runs, each with its configuration's number, predict parts of a split as they come by; one at a time is in
    memory.
    """

    device: torch.device
    _said: dict[Replicate, list[tuple[VolumeStore, NDArray[np.int64], NDArray[np.float64]]]] = field(
        default_factory=dict
    )

    def heard(self, store: VolumeStore, parts: Iterable[Rows], members: Members) -> Iterator[Rows]:
        """The parts, each once all runs have predicted it."""
        for part in parts:
            for run, member in members.items():
                predictor = Predictor.load(*member, store.image_shape, self.device)
                predictions = predictor.infer(part.images, store.cells_of(part.rows), _AT_ONCE).predictions
                self.add(run, store, part.rows, predictions)
            yield part

    def add(
        self, run: Replicate, store: VolumeStore, rows: NDArray[np.int64], predictions: NDArray[np.float64]
    ) -> None:
        """Keep what a run said of rows of a store."""
        self._said.setdefault(run, []).append((store, rows, predictions))

    def predictions(self, run: Replicate) -> NDArray[np.float64]:
        """What a run said of all parts together."""
        return np.concatenate([told for *_, told in self._said[run]])

    def said(self) -> Iterator[Said]:
        """The same of each run, with the scans."""
        for run, parts in self._said.items():
            store, rows = parts[0][0], np.concatenate([rows for _, rows, _ in parts])
            scans = [store.subjects[row].id for row in rows]
            assert run.trial is not None
            yield Said(run.trial, run.own, scans, store.labels[rows], self.predictions(run))
