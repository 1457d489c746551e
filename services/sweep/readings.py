"""Reads the runs of complete configurations as `read` of the spec asks, while the test split is open."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from contrasweep.services.data.prepare import Prepared
from contrasweep.services.records.readings import EMBEDDINGS, READINGS, SCANS, Reading, Weights, write_readings
from contrasweep.services.spec.read import ReadConfig
from contrasweep.services.spec.replicate import Replicate
from contrasweep.services.sweep.contenders import Listener, Members
from contrasweep.trainers.atomic import remove, replacing, write_atomically
from contrasweep.trainers.config import FeatureSpace, RunConfig
from contrasweep.trainers.data.locked import load_test
from contrasweep.trainers.data.store import in_parts
from contrasweep.trainers.errors import Diverged
from contrasweep.trainers.readings import Reader

TEST, VALIDATION = "test", "validation"
log = logging.getLogger("contrasweep.sweep")


def read_configurations(
    read: ReadConfig, configurations: Sequence[tuple[Prepared, Members]], listener: Listener, final: Path
) -> None:
    """Write what is read of runs, with what they were trained on, beside `final`; one run at a time is in memory.

    The `listener` heard what each run predicts for the test split. Weights that are gone, or whose features are not
    finite, are left out. Each file is there whole or not at all.
    """
    folder = final.with_name(EMBEDDINGS)
    remove(folder)
    for prepared, _ in configurations[:1]:  # the test split is the same for all
        scans = sorted(prepared.first.splits.test)
        write_atomically(folder / SCANS, "".join(f"{scan}\n" for scan in scans).encode())
    reading = _Reading(read, listener, folder)
    runs = ((prepared, run, member) for prepared, members in configurations for run, member in members.items())
    write_readings(final.with_name(READINGS), (list(reading.of_run(*run)) for run in runs))


@dataclass(frozen=True)
class _Reading:
    read: ReadConfig
    listener: Listener
    folder: Path

    def of_run(self, prepared: Prepared, run: Replicate, member: tuple[RunConfig, Path]) -> Iterator[Reading]:
        """All that is read of a run; features are written by the way."""
        (config, best), splits, device = member, prepared.views[run.fold].splits, self.listener.device
        for epoch in config.kept:
            try:
                reader = Reader.load(config, best.parent, epoch, prepared.store, splits, device)
                yield from self._of_epoch(reader, run, epoch)
            except (Diverged, FileNotFoundError) as error:
                log.warning("%s: epoch %d is not read: %s", run.words, epoch, error)

    def _of_epoch(self, reader: Reader, run: Replicate, epoch: int) -> Iterator[Reading]:
        assert run.trial is not None
        store, splits, weights = reader.store, reader.splits, Weights(run.trial, run.own, epoch)
        asked = {TEST: reader.embed(load_test(store, splits))}
        if splits.validation:
            asked[VALIDATION] = reader.embed(in_parts(store, store.rows_of(splits.validation)))
        for space in self._spaces(reader, run, epoch):
            with replacing(self.folder / weights.file(space)) as file:
                np.save(file, asked[TEST].spaces[space].numpy())
            for probe, fitted in reader.probes(space, self.read.probes).items():
                for split, scans in asked.items():
                    heard = (epoch, space, probe, split) == (0, reader.space, reader.judged, TEST)
                    said = self.listener.predictions(run) if heard else fitted.predict(scans.read(space)).numpy()
                    ids = [store.subjects[row].id for row in scans.rows]
                    yield Reading(weights, space, probe, split, ids, store.labels[scans.rows], said)

    def _spaces(self, reader: Reader, run: Replicate, epoch: int) -> list[FeatureSpace]:
        """The spaces to read; one that the method has not is left out, which is told once of a run."""
        wanted = self.read.features or (reader.space,)
        for space in wanted:
            if space not in reader.spaces and epoch == 0:
                log.info("%s: %s has no %s to read", run.words, reader.run.finetuning().method.name, space)
        return [space for space in wanted if space in reader.spaces]
