"""What a seed run begins with: the run that it starts from, taken from where it is or trained before it."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from contrasweep.services.records.seed_runs import SeedRuns, take_weights
from contrasweep.trainers import checkpoint
from contrasweep.trainers.config import RunConfig
from contrasweep.trainers.data.feeds import Feed
from contrasweep.trainers.distributed import first_says, rank, world_size
from contrasweep.trainers.finetune import told_as, train_seed
from contrasweep.trainers.history import COMPLETE, START, History
from contrasweep.trainers.pretrain import OnEpoch


@dataclass(frozen=True, eq=False)
class Source:
    """What a run reads, and those that any sweep has made of it.

    `open_feed` opens the training and validation splits inside a worker: out of the node's object store, or as a
    stream.
    """

    open_feed: Callable[[], Feed]
    runs: SeedRuns

    def open(self) -> Feed:
        """The feed."""
        return self.open_feed()


@dataclass(frozen=True)
class Stage:
    """A training of one seed.

    Attributes:
        run: what it is told.
        sources: what it reads, what the run reads that it starts from, and so on.
        folder: where it is kept.
    """

    run: RunConfig
    sources: tuple[Source, ...]
    folder: Path

    @property
    def runs(self) -> SeedRuns:
        """Where such runs are found."""
        return SeedRuns.chained([source.runs for source in self.sources])

    @property
    def start(self) -> "Stage | None":
        """The run that it starts from."""
        return Stage(self.run.start, self.sources[1:], self.folder / START) if self.run.start else None

    @property
    def is_under_way(self) -> bool:
        """Whether it has begun, with whatever it starts from."""
        return checkpoint.last(self.folder) is not None

    @property
    def is_whole(self) -> bool:
        """Whether all its weights are there."""
        history = History.read(self.folder)
        whole = (
            history is not None and history.state == COMPLETE and len(history.epochs) == self.run.finetuning().epochs
        )
        return whole and all((self.folder / name).exists() for name in self.run.kept.values())


@dataclass(frozen=True)
class Worker:
    """Who trains: `feed_of` opens what is read, once; `hear` is told epochs that are not judged."""

    feed_of: Callable[[Source], Feed]
    device: torch.device
    hear: OnEpoch
    is_asked_to_stop: Callable[[], bool]

    def begun(self, stage: Stage) -> RunConfig | None:
        """What the run of a stage is told, with the weights that it starts from; None where their training paused.

        Every worker of a group calls this.
        """
        start = stage.start
        if start is None or stage.is_under_way:
            return stage.run
        return stage.run.beginning_with(start.folder / "best.pt") if self._makes(start) else None

    def _makes(self, stage: Stage) -> bool:
        """Whether a run that others start from is whole: taken from where it is, or trained, and remembered.

        Who trains alone waits for another process that trains it now, and goes on where it was interrupted.
        """
        runs = stage.runs
        with runs.claimed(stage.run, self.is_asked_to_stop) if world_size() == 1 else nullcontext():
            source = runs.take(stage.run) if rank() == 0 and not stage.is_whole else None
            if source:
                take_weights(source, stage.folder, runs.name_of(source))
            if first_says(int(stage.is_whole), self.device):
                return True
            watched = told_as(START, self.hear)
            run = replace(self, hear=watched).begun(stage)
            if run is None:
                return False
            feed = self.feed_of(stage.sources[0])
            history = train_seed(
                run, feed, stage.folder, device=self.device, on_epoch=watched, on_earlier_epoch=watched
            )
            if history.state == COMPLETE and rank() == 0:
                runs.add(stage.run, stage.folder)
            return history.state == COMPLETE
