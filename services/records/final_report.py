"""What the locked test split said of a sweep's best configuration."""

from pathlib import Path

from pydantic import ConfigDict

from search_spaces import Value
from services.records.answers import Final
from services.records.standing import finite
from trainers.atomic import write_atomically
from trainers.config import Frozen
from trainers.metrics import Interval


class FinalReport(Frozen):
    """What the test split said of the best configuration. Errors are in the label's unit.

    Attributes:
        metrics: each of `trainers.metrics.METRICS`: the mean over seeds, and its 95 % subject bootstrap interval.
        seed_mae: test MAE of each seed; `sd` is their standard deviation, 0 for one seed.
        ensemble_mae: test MAE of the mean prediction over seeds, which is what the registered model predicts.
        baseline_mae: test MAE of predicting the mean of the training labels for everyone.
        shot_mae: test MAE apart for labels with many, a medium number of and few training subjects, mean over seeds.
        scans, subjects, labels, predictions: of the test split, in the store's order: id, whose scan it is,
            label, and predictions by seed. Each of a subject's scans counts in the errors.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")

    trial: int
    method: str
    params: dict[str, Value]
    training: dict[str, Value]
    metrics: dict[str, Interval]
    seed_mae: dict[int, float]
    sd: float
    ensemble_mae: float
    baseline_mae: float
    shot_mae: dict[str, float]
    scans: tuple[str, ...]
    subjects: tuple[str, ...]
    labels: tuple[float, ...]
    predictions: dict[int, tuple[float, ...]]

    @property
    def n_test(self) -> int:
        """How many subjects the test split has."""
        return len(set(self.subjects))

    @property
    def sample(self) -> str:
        """The test split's size in words: `7 subjects`, or `7 subjects (9 scans)`."""
        scans = f" ({len(self.scans)} scans)" if len(self.scans) > self.n_test else ""
        return f"{self.n_test} subjects{scans}"

    def told(self) -> Final:
        """What the verbs answer of it."""
        return Final(
            trial=self.trial,
            method=self.method,
            metrics={name: (finite(m.value), finite(m.low), finite(m.high)) for name, m in self.metrics.items()},
            sample=self.sample,
            seed_mae=self.seed_mae,
            sd=self.sd,
            ensemble_mae=self.ensemble_mae,
            baseline_mae=self.baseline_mae,
        )

    @classmethod
    def read(cls, path: Path) -> "FinalReport":
        """Read `final.json`."""
        return cls.model_validate_json(path.read_bytes())

    def write(self, path: Path) -> None:
        """Write `final.json`, whole or not at all."""
        write_atomically(path, self.model_dump_json(indent=1).encode())
