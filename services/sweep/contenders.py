"""Every complete configuration on the test split, at the one time that it is opened: to learn from, not to choose."""

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
"""Runs of a configuration, each with what it is told and its checkpoint."""


def members_of(spec: SweepSpec, record: TrialRecord, storage: Path) -> Members:
    """The whole runs of a configuration, of those that count."""
    return {
        run: (
            run_config(spec, record.configuration, run.seed),
            run_folder(storage, record.number, run) / "best.pt",
        )
        for run in sorted(record.whole)
    }


def contenders(
    spec: SweepSpec, plan: SeedPlan, storage: Path, prepared: Mapping[Options, Prepared]
) -> dict[str, dict[int, Members]]:
    """The complete configurations by their numbers, those together that read one store, by its folder.

    One is left out where a checkpoint is gone.
    """
    found: dict[str, dict[int, Members]] = {}
    for record in leaderboard(read_records(storage, plan)):
        members = members_of(spec, record, storage)
        if record.state == COMPLETE and all(best.exists() for _, best in members.values()):
            read = prepared[spec.search.reading(record.configuration.choices)]
            found.setdefault(str(read.store.folder), {})[record.number] = members
    return found


_AT_ONCE = 64
"""Scans that a contender predicts together."""


@dataclass
class Listener:
    """Has configurations predict parts of the test split as they come by; one run at a time is in memory."""

    device: torch.device
    _said: dict[tuple[int, Replicate], list[tuple[VolumeStore, NDArray[np.int64], NDArray[np.float64]]]] = field(
        default_factory=dict
    )

    def heard(self, store: VolumeStore, parts: Iterable[Rows], trials: Mapping[int, Members]) -> Iterator[Rows]:
        """The parts, each once all runs of `trials` have predicted it."""
        for part in parts:
            for number, members in trials.items():
                for run, member in members.items():
                    predictor = Predictor.load(*member, store.image_shape, self.device)
                    predictions = predictor.infer(part.images, store.cells_of(part.rows), _AT_ONCE).predictions
                    self.add(number, run, store, part.rows, predictions)
            yield part

    def add(
        self,
        number: int,
        run: Replicate,
        store: VolumeStore,
        rows: NDArray[np.int64],
        predictions: NDArray[np.float64],
    ) -> None:
        """Keep what a run said of rows of a store."""
        self._said.setdefault((number, run), []).append((store, rows, predictions))

    def said(self) -> Iterator[Said]:
        """What each run said of all parts together."""
        for (number, run), parts in self._said.items():
            store, rows = parts[0][0], np.concatenate([rows for _, rows, _ in parts])
            scans = [store.subjects[row].id for row in rows]
            yield Said(number, run, scans, store.labels[rows], np.concatenate([told for *_, told in parts]))
