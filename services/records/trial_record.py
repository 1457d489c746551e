"""What a configuration left in the storage path: the one place that knows the folders."""

import json
import traceback
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev

from search_spaces import Configuration
from trainers.atomic import write_atomically
from trainers.history import COMPLETE, PRUNED, RUNNING, History

FAILED = "failed"
REPEATABLE = ("Diverged: ", "UserError: ")


@dataclass(frozen=True)
class Record:
    """A configuration and the histories of its seeds, as they are on disk."""

    number: int
    configuration: Configuration
    failure: str
    histories: dict[int, History]

    @property
    def failed_by_itself(self) -> bool:
        """Whether training failed in a way that it would again, rather than with its process."""
        return self.failure.startswith(REPEATABLE)

    def values(self, epochs: int) -> dict[int, float]:
        """The objective of every seed that ran all its epochs: the least validation MAE."""
        return {seed: h.best for seed, h in self.histories.items() if len(h.epochs) >= epochs}

    def state(self, seeds: tuple[int, ...], epochs: int) -> str:
        """complete, pruned, failed or running."""
        if self.failure:
            return FAILED
        if len(self.values(epochs)) == len(seeds):
            return COMPLETE
        return PRUNED if any(history.state == PRUNED for history in self.histories.values()) else RUNNING

    def reason(self) -> str:
        """Why it failed or was pruned."""
        return self.failure or next((h.reason for h in self.histories.values() if h.reason), "")

    def objective(self, epochs: int) -> float:
        """Mean of what its seeds reached: whole seeds where there are any, else those that were cut short."""
        values = list(self.values(epochs).values()) or [h.best for h in self.histories.values()]
        return fmean(values) if values else float("inf")

    def deviation(self, epochs: int) -> float:
        """Standard deviation over whole seeds; zero for one."""
        values = list(self.values(epochs).values())
        return stdev(values) if len(values) > 1 else 0.0


def trial_folder(sweep: Path, number: int) -> Path:
    """Folder of a configuration."""
    return sweep / f"trial-{number:04d}"


def seed_folder(sweep: Path, number: int, seed: int) -> Path:
    """Folder of one seed of a configuration: checkpoints and history."""
    return trial_folder(sweep, number) / f"seed-{seed}"


def write_configuration(sweep: Path, number: int, configuration: Configuration, failure: str = "") -> None:
    """Write `trial.json`: what runs, and why it failed where it did."""
    content = vars(configuration) | {"failure": failure}
    write_atomically(trial_folder(sweep, number) / "trial.json", json.dumps(content, indent=1).encode())


def write_failure(sweep: Path, number: int, configuration: Configuration, error: Exception) -> None:
    """Write why a configuration failed: one line in `trial.json`, the traceback in `error.txt` beside it."""
    text = " ".join(str(error).split())
    trace = "".join(traceback.format_exception(error))
    write_atomically(trial_folder(sweep, number) / "error.txt", trace.encode())
    write_configuration(sweep, number, configuration, failure=f"{type(error).__name__}: {text}")


def read_record(sweep: Path, number: int) -> Record | None:
    """The record of a configuration, or None where it has not begun."""
    path = trial_folder(sweep, number) / "trial.json"
    if not path.exists():
        return None
    content = json.loads(path.read_text())
    failure = content.pop("failure")
    histories = (History.read(folder) for folder in sorted(path.parent.glob("seed-*")))
    return Record(number, Configuration(**content), failure, {h.seed: h for h in histories if h})


def read_records(sweep: Path) -> list[Record]:
    """The records of a sweep by number."""
    numbers = (int(folder.name.removeprefix("trial-")) for folder in sweep.glob("trial-*"))
    return [record for number in sorted(numbers) if (record := read_record(sweep, number))]


def leaderboard(records: list[Record], epochs: int) -> list[Record]:
    """Best first: by the number of whole seeds, then by objective; failed ones last."""
    return sorted(records, key=lambda r: (bool(r.failure), -len(r.values(epochs)), r.objective(epochs)))
