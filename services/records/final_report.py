"""What the locked test split, and external cohorts, said of a sweep's best configuration, as `final.json` keeps it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import fsum
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import Field, TypeAdapter, ValidationError, model_validator

from contrasweep.services.records.answers import (
    Against,
    BaselineFigures,
    Beside,
    Ensembled,
    Figures,
    Final,
    OuterFold,
    Pooled,
    SampleFigures,
    Spread,
    fields_of,
)
from contrasweep.services.records.parameters import Parameters
from contrasweep.services.spec.replicate import Replicate, Run
from contrasweep.trainers.atomic import write_atomically
from contrasweep.trainers.errors import Damaged
from contrasweep.trainers.interval import Interval
from contrasweep.trainers.objectives import DEFAULT
from contrasweep.trainers.weighted import weighted_mean

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class BaselineSaid(NamedTuple):
    """The predictions [n] of a baseline; see `BaselineFigures`."""

    title: str
    cross_validated_mae: float | None
    note: str
    predictions: Sequence[float]


def pooled_baselines(parts: Sequence[Mapping[str, BaselineSaid]]) -> dict[str, BaselineSaid]:
    """What baselines said of several parts together, each fitted for its part; those that all parts have.

    The cross-validated MAE is the mean over the parts' scans.
    """
    names = [name for name in parts[0] if all(name in part for part in parts)]
    return {name: _pooled([part[name] for part in parts]) for name in names}


def _pooled(parts: Sequence[BaselineSaid]) -> BaselineSaid:
    predictions = [value for part in parts for value in part.predictions]
    errors = [(part.cross_validated_mae, len(part.predictions)) for part in parts]
    known = [mae * many for mae, many in errors if mae is not None]
    validated = fsum(known) / len(predictions) if len(known) == len(parts) else None
    return BaselineSaid(parts[0].title, validated, parts[0].note, predictions)


class Evaluation(Figures):
    """Figures with all that they were computed from.

    Attributes:
        scans, subjects, labels, predictions: in the store's order: id, whose scan it is, label, and predictions by
            run. Each of a subject's scans counts in the errors.
        baseline_predictions: by the names of the baselines.
    """

    scans: tuple[str, ...]
    subjects: tuple[str, ...]
    labels: tuple[float, ...]
    predictions: dict[Run, tuple[float, ...]]
    baseline_predictions: dict[str, tuple[float, ...]] = Field(default_factory=dict)

    @classmethod
    def of(
        cls,
        scans: Sequence[str],
        subjects: Sequence[str],
        labels: Sequence[float],
        said: Mapping[Replicate, Sequence[float]],
        baselines: Mapping[str, BaselineSaid],
        shots: Mapping[str, float],
        weights: Mapping[Replicate, float] | None = None,
    ) -> "Evaluation":
        """The evaluation of scans with `labels` [n], of which each run `said` its predictions [n].

        `weights` are the runs' in their mean, where they do not count alike.
        """
        mean = _mean(said, weights or {})
        known = {name: _baseline_figures(labels, one, subjects) for name, one in baselines.items()}
        return cls(
            **_figures(labels, said, mean, subjects),
            weights=dict(weights or {}),
            baselines=known,
            against=_against(labels, mean, subjects, known, baselines),
            shot_mae=dict(shots),
            scans=tuple(scans),
            subjects=tuple(subjects),
            labels=tuple(labels),
            predictions={run: tuple(values) for run, values in said.items()},
            baseline_predictions={name: tuple(one.predictions) for name, one in baselines.items()},
        )

    @property
    def mean_prediction(self) -> "NDArray[np.float64]":
        """What the served model predicts of each scan [n]: the mean over runs, by their weights."""
        return _mean(self.predictions, self.weights)

    def baselines_said(self) -> dict[str, BaselineSaid]:
        """What the baselines said; those whose predictions were kept."""
        return {
            name: BaselineSaid(one.title, one.cross_validated_mae, one.note, self.baseline_predictions[name])
            for name, one in self.baselines.items()
            if name in self.baseline_predictions
        }

    @model_validator(mode="before")
    @classmethod
    def _of_single_runs(cls, given: Any) -> Any:
        """Reports whose figures were means over runs tell those of the mean prediction, which they have, too.

        Of their one baseline, predict-the-mean, they have the MAE alone; `shot_mae` stays the mean over runs.
        """
        if not (isinstance(given, dict) and "ensemble_mae" in given):
            return given
        kept = {name: value for name, value in given.items() if name not in ("ensemble_mae", "baseline_mae")}
        nan = float("nan")
        mean = BaselineFigures(title="predict-the-mean", mae=Interval(given["baseline_mae"], nan, nan))
        said = given["predictions"]
        figures = _figures(given["labels"], said, _mean(said, {}), given["subjects"])
        return kept | figures | {"baselines": {"predict_mean": mean}}

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
        trial, method, params, training, choices, start: of the configuration.
        validation, objective, fresh, configurations, refit_epochs, ensemble: see `Final`.
        phase: how often the sweep had been extended; `looks` says how often the test split was read, this time too.
    """

    trial: int
    method: str
    params: Parameters
    training: Parameters
    choices: dict[str, str] = Field(default_factory=dict)
    start: str | None = None
    external: dict[str, Evaluation] = Field(default_factory=dict)
    out_of_fold: Evaluation | None = None
    ensemble: Ensembled | None = None
    validation: dict[Run, float] = Field(default_factory=dict)
    objective: str = DEFAULT
    fresh: bool = False
    configurations: int = 0
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

    @property
    def trials(self) -> tuple[int, ...]:
        """The configurations whose runs were evaluated."""
        return tuple(self.ensemble.methods) if self.ensemble else (self.trial,)

    def trial_of(self, run: Replicate) -> int:
        """Whose run it is."""
        return self.trial if run.trial is None else run.trial

    def told(self) -> Final:
        """See `Evaluation.told`."""
        external = {name: cohort.told() for name, cohort in self.external.items()}
        kept = ("trial", "method", "validation", "objective", "fresh", "configurations", "refit_epochs", "looks")
        own = {name: getattr(self, name) for name in (*kept, "ensemble")}
        out_of_fold = self.out_of_fold.told() if self.out_of_fold else None
        return Final(**vars(super().told()), **own, external=external, out_of_fold=out_of_fold)

    @classmethod
    def read(cls, path: Path) -> "FinalReport":
        """Read `final.json`. Raises Damaged where that is none."""
        with _saying(path):
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
    """Read `final.json` of a sweep, with outer folds or without. Raises Damaged where that is none."""
    with _saying(path):
        return _REPORTS.validate_json(path.read_bytes())


def is_report(path: Path) -> bool:
    """Whether there is a `final.json` that can be read."""
    try:
        return bool(read_report(path))
    except (FileNotFoundError, Damaged):
        return False


@contextmanager
def _saying(path: Path) -> Iterator[None]:
    try:
        yield
    except ValidationError as error:
        raise Damaged(path, "`contrasweep resume` evaluates the end again") from error


def _mean(said: Mapping[Any, Sequence[float]], weights: Mapping[Any, float]) -> "NDArray[np.float64]":
    import numpy as np  # looking at a report that has its figures shall not wait for it

    return weighted_mean({run: np.asarray(values, np.float64) for run, values in said.items()}, weights)


def _figures(
    labels: Sequence[float],
    said: Mapping[Any, Sequence[float]],
    mean: "NDArray[np.float64]",
    subjects: Sequence[str],
) -> dict[str, Any]:
    """`metrics`, `seed_mae`, `mean` and `sd` of what runs said, together `mean`: see `Figures`."""
    from contrasweep.trainers.metrics import bootstrap, mae

    errors = mae(labels, list(said.values())).tolist()
    return {
        "metrics": bootstrap(labels, mean[None], clusters=subjects),
        "seed_mae": dict(zip(said, errors, strict=True)),
        "mean": fmean(errors),
        "sd": stdev(errors) if len(errors) > 1 else None,
    }


def _baseline_figures(labels: Sequence[float], said: BaselineSaid, subjects: Sequence[str]) -> BaselineFigures:
    from contrasweep.trainers.metrics import bootstrap

    mae = bootstrap(labels, [said.predictions], clusters=subjects)["mae"]
    return BaselineFigures(title=said.title, mae=mae, cross_validated_mae=said.cross_validated_mae, note=said.note)


def _against(
    labels: Sequence[float],
    mean: "NDArray[np.float64]",
    subjects: Sequence[str],
    known: Mapping[str, BaselineFigures],
    baselines: Mapping[str, BaselineSaid],
) -> Against | None:
    import numpy as np

    from contrasweep.trainers.paired import paired_difference

    validated = {name: one.cross_validated_mae for name, one in known.items() if one.cross_validated_mae is not None}
    if not validated:
        return None
    best = min(validated, key=validated.__getitem__)
    own = np.abs(mean - labels)
    others = np.abs(np.asarray(baselines[best].predictions) - labels)
    return Against(baseline=best, title=known[best].title, difference=paired_difference(own, others, subjects))


def beside(
    labels: Sequence[float],
    ensemble: "NDArray[np.float64]",
    alone: "NDArray[np.float64]",
    subjects: Sequence[str],
) -> Beside:
    """What an ensemble and the best configuration `alone` predict [n] of scans with `labels` [n], side by side."""
    import numpy as np

    from contrasweep.trainers.metrics import bootstrap
    from contrasweep.trainers.paired import paired_difference

    errors = [np.abs(said - labels) for said in (ensemble, alone)]
    own, others = (bootstrap(labels, said[None], clusters=subjects)["mae"] for said in (ensemble, alone))
    return Beside(ensemble=own, alone=others, difference=paired_difference(errors[0], errors[1], subjects))
