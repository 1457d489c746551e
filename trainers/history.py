"""What one seed run has done so far: metrics by epoch and how it ended."""

import json
from dataclasses import asdict, dataclass, field
from enum import Enum
from pathlib import Path
from typing import Final

from trainers.atomic import write_atomically

EpochMetrics = dict[str, float]
"""What was measured in one epoch of a seed, by name; `epoch` counts from 0."""
RUNNING: Final = "running"
COMPLETE: Final = "complete"
PRUNED: Final = "pruned"


class Verdict(Enum):
    """What to do after an epoch: go on, stop for good because the run cannot win, or pause until resumed."""

    GO = 0
    PRUNE = 1
    PAUSE = 2


@dataclass
class History:
    """Metrics of one seed run, one entry for each epoch, and its state: running, complete or pruned.

    `taken` names the run that it is a copy of, where it was not trained anew. With `last`, the model of the last epoch
    counts, not of the best.
    """

    seed: int
    state: str = RUNNING
    reason: str = ""
    epochs: list[EpochMetrics] = field(default_factory=list)
    taken: str = ""
    last: bool = False

    @property
    def best(self) -> float:
        """The validation MAE of the model that counts so far, in label units; infinite before the first evaluation."""
        return self.best_until(len(self.epochs))

    def best_until(self, epochs: int) -> float:
        """The same within the first `epochs` epochs."""
        found = [row["validation_mae"] for row in self.epochs[:epochs] if "validation_mae" in row]
        return min(found[-1:] if self.last else found, default=float("inf"))

    @property
    def best_epoch(self) -> int:
        """The epoch of the model that counts, from 0. Raises ValueError before the first evaluation."""
        evaluated = [row for row in self.epochs if "validation_mae" in row]
        return int((evaluated[-1] if self.last else min(evaluated, key=lambda row: row["validation_mae"]))["epoch"])

    def up_to(self, epochs: int, state: str) -> "History":
        """The first `epochs` epochs, as if it had ended there in `state`."""
        return History(self.seed, state, epochs=self.epochs[:epochs], last=self.last)

    def write(self, folder: Path) -> None:
        """Write `history.json` in one step: a reader sees the old or the new one, whole."""
        write_atomically(folder / "history.json", json.dumps(asdict(self), indent=1).encode())

    @classmethod
    def read(cls, folder: Path) -> "History | None":
        """The history of a seed's folder, or None where it has not begun."""
        path = folder / "history.json"
        return cls(**json.loads(path.read_text())) if path.exists() else None
