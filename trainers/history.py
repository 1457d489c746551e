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

    `taken` names the run that it is a copy of, where it was not trained anew.
    """

    seed: int
    state: str = RUNNING
    reason: str = ""
    epochs: list[EpochMetrics] = field(default_factory=list)
    taken: str = ""

    @property
    def best(self) -> float:
        """The least validation MAE so far, in label units; infinite before the first evaluation."""
        return self.best_until(len(self.epochs))

    def best_until(self, epochs: int) -> float:
        """The least validation MAE within the first `epochs` epochs."""
        return min(
            (row["validation_mae"] for row in self.epochs[:epochs] if "validation_mae" in row), default=float("inf")
        )

    def write(self, folder: Path) -> None:
        """Write `history.json` in one step: a reader sees the old or the new one, whole."""
        write_atomically(folder / "history.json", json.dumps(asdict(self), indent=1).encode())

    @classmethod
    def read(cls, folder: Path) -> "History | None":
        """The history of a seed's folder, or None where it has not begun."""
        path = folder / "history.json"
        return cls(**json.loads(path.read_text())) if path.exists() else None
