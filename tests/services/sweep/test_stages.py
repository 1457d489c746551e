"""What a run starts from: taken where it is there, or trained."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch

from contrasweep.services.records.seed_runs import SeedRuns
from contrasweep.services.sweep.stages import Source, Stage, Worker
from contrasweep.trainers import checkpoint
from contrasweep.trainers.config import RunConfig
from contrasweep.trainers.finetune import train_seed
from contrasweep.trainers.history import COMPLETE, START, EpochMetrics, History, Verdict
from tests.trainers import tiny
from tests.trainers.test_pretrain import bits

FIRST = tiny.run("vanilla", epochs=2)
SECOND = tiny.run("exponential", epochs=2).model_copy(update={"start": FIRST})
THIRD = tiny.run("supremix", epochs=0).model_copy(update={"start": SECOND})


@dataclass
class Ear:
    """Pauses after `epochs` epochs, and remembers what it heard."""

    epochs: int = 0
    heard: list[EpochMetrics] = field(default_factory=list)

    def __call__(self, row: EpochMetrics) -> Verdict:
        self.heard.append(row)
        return Verdict.PAUSE if len(self.heard) == self.epochs else Verdict.GO


def stage(run: RunConfig, storage: Path, sweep: str, data: str = "data") -> Stage:
    sources = tuple(Source(tiny.feed, SeedRuns(storage, of)) for of in (data, "data", "data"))
    return Stage(run, sources, storage / sweep / "trial-0001" / "seed-0")


def worker(ear: Ear) -> Worker:
    return Worker(Source.open, torch.device("cpu"), ear, lambda: False)


def whole(folder: Path) -> dict[str, Any]:
    """All that counts of a run, bit for bit."""
    history = History.read(folder)
    assert history and history.state == COMPLETE
    rows = [{key: value for key, value in row.items() if key != "epoch_s"} for row in history.epochs]
    return {"rows": rows, "best": bits(checkpoint.load(folder / "best.pt"))}


def test_a_run_that_starts_from_none_is_told_what_it_was(tmp_path: Path) -> None:
    assert worker(Ear()).begun(stage(FIRST, tmp_path, "one-1")) == FIRST


def test_what_it_starts_from_is_trained_and_remembered(tmp_path: Path) -> None:
    ear, third = Ear(), stage(THIRD, tmp_path, "one-1")
    begun = worker(ear).begun(third)
    assert begun and begun.model.init_from == str(third.folder / START / "best.pt")
    prefixes = [f"{START}_{START}_loss"] * 2 + [f"{START}_loss"] * 2
    assert [next(key for key in row if key.endswith("_loss")) for row in ear.heard] == prefixes
    alone = stage(FIRST, tmp_path, "one-1")
    assert alone.runs.find(FIRST) == third.folder / START / START
    elsewhere = train_seed(FIRST, tiny.feed(), tmp_path / "alone", device=torch.device("cpu"))
    assert elsewhere.state == COMPLETE and whole(tmp_path / "alone") == whole(third.folder / START / START)


def test_what_is_there_is_taken(tmp_path: Path) -> None:
    first = tmp_path / "one-1" / "trial-0000" / "seed-0"
    train_seed(FIRST, tiny.feed(), first, device=torch.device("cpu"))
    second, ear = stage(SECOND, tmp_path, "two-2"), Ear()
    SeedRuns(tmp_path, "data").add(FIRST, first)
    begun = worker(ear).begun(second)
    assert begun and begun.model.init_from and not ear.heard
    taken = History.read(second.folder / START)
    assert taken and taken.taken == "one-1/trial-0000/seed-0"
    assert whole(second.folder / START) == whole(first)
    train_seed(begun, tiny.feed(), second.folder, device=torch.device("cpu"))
    second.runs.add(SECOND, second.folder)
    third = stage(THIRD, tmp_path, "two-2")
    assert worker(ear).begun(third) and not ear.heard, "nor is what that one started from"


@pytest.mark.parametrize("epochs", [1, 3])
def test_interrupted_and_resumed_is_never_interrupted(tmp_path: Path, epochs: int) -> None:
    calm, ended = (stage(THIRD, tmp_path / name, "one-1") for name in ("calm", "ended"))
    assert worker(Ear()).begun(calm)
    ear = Ear(epochs)
    assert worker(ear).begun(ended) is None
    assert len(ear.heard) == epochs
    assert worker(Ear()).begun(ended)
    for inner in (START, f"{START}/{START}"):
        assert whole(ended.folder / inner) == whole(calm.folder / inner)


def test_other_data_of_the_start_make_another_run(tmp_path: Path) -> None:
    key = stage(SECOND, tmp_path, "one-1").runs.key(SECOND)
    other = Stage(
        SECOND,
        (Source(tiny.feed, SeedRuns(tmp_path, "data")), Source(tiny.feed, SeedRuns(tmp_path, "other"))),
        tmp_path,
    )
    assert other.runs.key(SECOND) != key
    longer = SECOND.model_copy(update={"start": tiny.run("vanilla", epochs=3)})
    keys = {other.runs.key(run) for run in (SECOND, longer, SECOND.model_copy(update={"start": None}))}
    assert len(keys) == 3


def test_a_run_that_goes_on_needs_nothing_that_it_started_from(tmp_path: Path) -> None:
    second = stage(SECOND, tmp_path, "one-1")
    second.folder.mkdir(parents=True)
    (second.folder / "latest.pt").touch()
    assert worker(Ear()).begun(second) == SECOND
    assert not (second.folder / START).exists()


def test_nobody_trains_what_it_starts_from_at_the_same_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    claimed: list[RunConfig] = []

    @contextmanager
    def claim(runs: SeedRuns, run: RunConfig, is_asked_to_stop: Any) -> Iterator[None]:
        claimed.append(run)
        yield

    monkeypatch.setattr(SeedRuns, "claimed", claim)
    worker(Ear()).begun(stage(SECOND, tmp_path, "one-1"))
    assert claimed == [FIRST]
