"""What one seed run has done so far: metrics by epoch and how it ended."""

import json
import math
from dataclasses import asdict, dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import Final

from contrasweep.trainers.atomic import write_atomically
from contrasweep.trainers.objectives import DEFAULT, OBJECTIVES

EpochMetrics = dict[str, float]
"""What was measured in one epoch of a seed, by name; `epoch` counts from 0."""
RUNNING: Final = "running"
COMPLETE: Final = "complete"
PRUNED: Final = "pruned"
HISTORY: Final = "history.json"
START: Final = "start"
"""The folder, in that of a seed run, of the run that it starts from; what that one's metrics are told under."""


def of_stage(stage: str, row: EpochMetrics) -> EpochMetrics:
    """The metrics of an earlier stage, as they are told beside those of the judged one.

    >>> of_stage("start", {"epoch": 0, "loss": 0.5})
    {'epoch': 0, 'start_loss': 0.5}
    """
    return {key if key == "epoch" else f"{stage}_{key}": value for key, value in row.items()}


def is_of_start(row: EpochMetrics) -> bool:
    """Whether metrics are of a run that another one starts from."""
    return any(key.startswith(f"{START}_") for key in row)


class Verdict(Enum):
    """What to do after an epoch: go on, stop for good because the run cannot win, or pause until resumed."""

    GO = 0
    PRUNE = 1
    PAUSE = 2


@dataclass
class History:
    """Metrics of one seed run, one entry for each epoch, and its state: running, complete or pruned.

    `taken` names the run that it is a copy of, where it was not trained anew. The model of the epoch that is best by
    `objective` counts (see `trainers.objectives`), or, with `last`, that of the last epoch.
    """

    seed: int
    state: str = RUNNING
    reason: str = ""
    epochs: list[EpochMetrics] = field(default_factory=list)
    taken: str = ""
    last: bool = False
    objective: str = DEFAULT

    @property
    def best(self) -> float:
        """What the model that counts so far reached, as it is ranked: less is better; infinite before there is any."""
        return self.best_until(len(self.epochs))

    @property
    def score(self) -> float:
        """The best so far as it was measured; not finite before there is any."""
        return OBJECTIVES[self.objective].turned(self.best)

    @property
    def best_row(self) -> EpochMetrics:
        """The metrics of the epoch of the model that counts so far; none before the first evaluation."""
        return self._counting(len(self.epochs))

    def best_until(self, epochs: int) -> float:
        """The same within the first `epochs` epochs."""
        return self.ranked(self._counting(epochs))

    @property
    def best_epoch(self) -> int:
        """The epoch of the model that counts, from 0. Raises KeyError before the first evaluation."""
        return int(self.best_row["epoch"])

    def ranked(self, row: EpochMetrics) -> float:
        """What counts of an epoch, less being better; infinite where it was not measured."""
        objective = OBJECTIVES[self.objective]
        return objective.turned(row[objective.key]) if objective.key in row else math.inf

    def _counting(self, epochs: int) -> EpochMetrics:
        """The epoch that counts among the first `epochs`, the first of equals; none where none was evaluated."""
        evaluated = [row for row in self.epochs[:epochs] if math.isfinite(self.ranked(row))]
        return min(evaluated[-1:] if self.last else evaluated, key=self.ranked, default={})

    def up_to(self, epochs: int, state: str) -> "History":
        """The first `epochs` epochs, as if it had ended there in `state`."""
        return replace(self, state=state, reason="", taken="", epochs=self.epochs[:epochs])

    def write(self, folder: Path) -> None:
        """Write `history.json` in one step: a reader sees the old or the new one, whole."""
        write_atomically(folder / HISTORY, json.dumps(asdict(self), indent=1).encode())

    @classmethod
    def read(cls, folder: Path) -> "History | None":
        """The history of a seed's folder, or None where it has not begun, or what is there is none (any more)."""
        try:
            history = cls(**json.loads((folder / HISTORY).read_bytes()))
            return history if history._is_sound() else None
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError, AttributeError):  # not JSON, or not what a history is made of
            return None

    def _is_sound(self) -> bool:
        numbers = all(isinstance(value, float | int) for row in self.epochs for value in row.values())
        counted = [row["epoch"] for row in self.epochs] == list(range(len(self.epochs)))
        return numbers and counted and self.state in (RUNNING, COMPLETE, PRUNED) and self.objective in OBJECTIVES
