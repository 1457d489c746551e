"""What the locked test split, and external cohorts, said of a sweep's best configuration, as `final.json` keeps it."""

from pathlib import Path
from typing import Any

from pydantic import Field, TypeAdapter, model_validator

from services.records.answers import Figures, Final, OuterFold, Pooled, SampleFigures, Spread, fields_of
from services.records.parameters import Parameters
from services.spec.replicate import Run
from trainers.atomic import write_atomically
from trainers.objectives import DEFAULT


class Evaluation(Figures):
    """Figures with all that they were computed from.

    Attributes:
        scans, subjects, labels, predictions: in the store's order: id, whose scan it is, label, and predictions by
            run. Each of a subject's scans counts in the errors.
    """

    scans: tuple[str, ...]
    subjects: tuple[str, ...]
    labels: tuple[float, ...]
    predictions: dict[Run, tuple[float, ...]]

    @property
    def n_subjects(self) -> int:
        """How many subjects there are."""
        return len(set(self.subjects))

    @property
    def sample(self) -> str:
        """The sample's size in words: `7 subjects`, or `7 subjects (9 scans)`."""
        scans = f" ({len(self.scans)} scans)" if len(self.scans) > self.n_subjects else ""
        return f"{self.n_subjects} subjects{scans}"

    def told(self) -> SampleFigures:
        """What the verbs answer of it."""
        return SampleFigures(**fields_of(Figures, self), sample=self.sample)

    def write(self, path: Path) -> None:
        """Write `final.json`, whole or not at all."""
        write_atomically(path, self.model_dump_json(indent=1).encode())


class FinalReport(Evaluation):
    """The evaluation on the test split, on each external cohort, by its name, and out of fold: see `Final`.

    Attributes:
        trial, method, params, training, choices: of the configuration.
        validation, objective, fresh, refit_epochs: see `Final`.
        phase: how often the sweep had been extended; `looks` says how often the test split was read, this time too.
    """

    trial: int
    method: str
    params: Parameters
    training: Parameters
    choices: dict[str, str] = Field(default_factory=dict)
    external: dict[str, Evaluation] = Field(default_factory=dict)
    out_of_fold: Evaluation | None = None
    validation: dict[Run, float] = Field(default_factory=dict)
    objective: str = DEFAULT
    fresh: bool = False
    refit_epochs: int = 0
    phase: int = 0
    looks: int = 1

    @model_validator(mode="before")
    @classmethod
    def _of_single_scans(cls, given: Any) -> Any:
        """Reports of 0.1.0, where each subject had one scan, name the subjects alone."""
        if isinstance(given, dict) and "scans" not in given and "subjects" in given:
            return {**given, "scans": given["subjects"]}
        return given

    def told(self) -> Final:
        """See `Evaluation.told`."""
        external = {name: cohort.told() for name, cohort in self.external.items()}
        same = ("trial", "method", "validation", "objective", "fresh", "refit_epochs", "looks")
        own = {name: getattr(self, name) for name in same}
        out_of_fold = self.out_of_fold.told() if self.out_of_fold else None
        return Final(**vars(super().told()), **own, external=external, out_of_fold=out_of_fold)

    @classmethod
    def read(cls, path: Path) -> "FinalReport":
        """Read `final.json`."""
        return cls.model_validate_json(path.read_bytes())


class PooledReport(Evaluation):
    """The evaluation of everyone, each by the search that never saw it: see `Pooled`.

    `phase` is how often the sweep had been extended.
    """

    outer: tuple[OuterFold, ...]
    between: dict[str, Spread]
    phase: int = 0

    def told(self) -> Pooled:
        """See `Evaluation.told`."""
        return Pooled(**vars(super().told()), outer=self.outer, between=self.between)


_REPORTS: TypeAdapter[FinalReport | PooledReport] = TypeAdapter(FinalReport | PooledReport)


def read_report(path: Path) -> FinalReport | PooledReport:
    """Read `final.json` of a sweep, with outer folds or without."""
    return _REPORTS.validate_json(path.read_bytes())
