"""What every verb answers, here, over HTTP and from a cluster alike: the documents that `--json` prints."""

from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from contrasweep.services.records.parameters import Parameters
from contrasweep.services.spec.replicate import Run
from contrasweep.services.spec.spec import Extent, SweepSpec
from contrasweep.trainers.interval import Interval, Number
from contrasweep.trainers.objectives import DEFAULT

State = Literal["queued", "starting", "running", "stopping", "stopped", "finished", "failed", "interrupted"]
"""How a sweep stands. `interrupted`: its driver died; `starting`: it has been handed to the cluster."""

ACTIVE: frozenset[State] = frozenset({"queued", "starting", "running", "stopping"})
"""States that end by themselves."""

Outcome = Literal["submitted", "queued", "resumed", "already running", "done"]


class Answer(BaseModel):
    """Base of every answer; numbers that are not finite are null in JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class BaselineFigures(Answer):
    """What a simple model of `trainers.baselines` reached on the same scans; `title` is what people call it.

    Attributes:
        mae: with its 95 % subject bootstrap interval; without one where an earlier version kept no predictions.
        cross_validated_mae: inside what it was fitted on; null where there was nothing to validate it by.
        note: what it read of the images, where that is not all.
    """

    title: str
    mae: Interval
    cross_validated_mae: float | None = None
    note: str = ""


class Against(Answer):
    """The served model's MAE less that of a baseline: below 0 the model is the better one.

    The baseline is the one with the least cross-validated MAE inside training, so that test scans have no part in the
    choice. `difference` has its 95 % bootstrap interval, in which both are of the same subjects.
    """

    baseline: str
    title: str
    difference: Interval


class Figures(Answer):
    """What scans that nothing was chosen by said of the best configuration; errors are in the label's unit.

    Attributes:
        metrics: each of `trainers.metrics.METRICS`, of the mean prediction over runs, which is what the served model
            predicts, and its 95 % subject bootstrap interval.
        weights: of the runs in that mean; empty where all count alike.
        seed_mae: MAE of each run, by its seed and, where there are folds, its fold; `mean` and `sd` are over these, the
            sd null for one run.
        shot_mae: of the mean prediction, apart for labels with many, a medium number of and few training subjects.
        baselines: simple models, by name; fitted on what the runs could use: trained on, or chosen by.
        against: the best of them; null where none was cross-validated.
    """

    metrics: dict[str, Interval]
    weights: dict[Run, float] = {}
    seed_mae: dict[Run, float]
    mean: float
    sd: float | None = None
    shot_mae: dict[str, float] = {}
    baselines: dict[str, BaselineFigures] = {}
    against: Against | None = None


class SampleFigures(Figures):
    """Figures of a sample; `sample` is its size in words."""

    sample: str


class Beside(Answer):
    """MAE of an ensemble and of the best configuration `alone`, the mean over its runs, on the same scans.

    `difference` is the first less the second, in pairs: below 0 the ensemble is the better one. All have their 95 %
    subject bootstrap interval.
    """

    ensemble: Interval
    alone: Interval
    difference: Interval


class Ensembled(Answer):
    """The ensemble that was evaluated and is served, beside the best configuration.

    Attributes:
        weights: of each seed, by its configuration; with folds of all its runs together.
        methods: of these configurations, by number.
        candidates: seeds that it was chosen out of, `by` a figure of the validation split.
        validation: on the validation split or, with folds, out of fold: too good, as it was chosen on these people.
    """

    weights: dict[Run, float]
    methods: dict[int, str]
    candidates: int
    by: str
    validation: Beside
    test: Beside


class Final(SampleFigures):
    """The test split's figures of trial `trial`, and those of each external cohort, by its name.

    `validation` has what each of its runs reached of `objective` on the validation split; `fresh` says that these are
    of seeds that no race used and, where the sweep came to its end, that nothing was chosen by. Where it is false they
    are too good: they chose the best of `configurations` (0 where an earlier version did not count).

    `refit_epochs`, where it is not 0, is after how many epochs the runs on all but the test split ended that were
    evaluated. `looks` says how often the test split has been read, by whatever sweep, with this time. `out_of_fold`,
    where the split has folds, are figures of everyone in a fold, by the runs that did not train on it: configuration
    and epochs were chosen on the same people, so that they are a little too good.

    Where there is an `ensemble`, all figures are its, but for `validation`, which is the best configuration's, `trial`.
    """

    trial: int
    method: str
    validation: dict[Run, float] = {}
    objective: str = DEFAULT
    fresh: bool = False
    configurations: int = 0
    refit_epochs: int = 0
    looks: int = 1
    external: dict[str, SampleFigures] = {}
    out_of_fold: SampleFigures | None = None
    ensemble: Ensembled | None = None


class OuterFold(Answer):
    """The search in one outer fold: its winner, and what that said of the fold, which it never saw.

    Attributes:
        id: what `trials`, `logs`, `status` and `report` are asked of it by.
        objective: what the winner reached on the validation split; too good, as it was chosen by that, unless it is
            `fresh`: of seeds that no race used.
        metrics: as in `Figures`, on the outer fold, without intervals; `external_mae` is on each external cohort.
        sample: the outer fold's size in words; `looks` says how often it has been read as a test split.
    """

    id: str
    trial: int
    method: str
    params: Parameters
    objective: Annotated[float | None, Field(validation_alias=AliasChoices("objective", "validation_mae"))]
    metrics: dict[str, Number]
    external_mae: dict[str, Number] = {}
    sample: str
    fresh: bool = False
    looks: int = 1


class Spread(Answer):
    """Mean and standard deviation."""

    mean: Number
    sd: Number


class Pooled(SampleFigures):
    """What nested cross-validation says: figures of everyone, each predicted by the winner of the search in the outer
    fold that it is in, which never saw it.

    `between` has mean and standard deviation over the outer folds of each of their metrics, and of `external_mae` by
    `external NAME`.
    """

    outer: tuple[OuterFold, ...]
    between: dict[str, Spread]


class Submission(Answer):
    """A sweep that somebody asked for.

    Attributes:
        user: who submitted it; empty where it was run by hand.
        submitted: seconds since 1970; 0 where it has not happened.
        label, trials, seeds: of its spec: what is predicted, how many configurations with how many seeds each.
        unit: of the label, where the spec says it.
        objective: what configurations are compared by, the first foremost: see `trainers.objectives`.
        folds: on how many folds each seed runs; 0 where the split has none, or nobody counted them yet.
        outer: in how many outer folds there is a whole search; 0 as in `folds`.
        extent: how far it goes, in full; null where a version that could extend no sweep wrote it down.
    """

    id: str
    user: str = ""
    submitted: float = 0.0
    label: str = ""
    unit: str = ""
    trials: int = 0
    seeds: int = 0
    objective: tuple[str, ...] = (DEFAULT,)
    folds: int = 0
    outer: int = 0
    extent: Extent | None = None

    @property
    def configurations(self) -> int:
        """How many there are in all searches together."""
        return self.trials * max(self.outer, 1)

    @property
    def runs(self) -> int:
        """How many runs a whole configuration has."""
        return self.seeds * max(self.folds, 1)

    def reaches(self, wanted: Extent | None) -> bool:
        """Whether it goes as far as `wanted`, as far as either is known."""
        if wanted is None or not self.trials:
            return True
        known = self.extent or Extent(trials=self.trials, seeds=wanted.seeds[: self.seeds], finalists=wanted.finalists)
        return known.covers(wanted)


class Counts(Answer):
    """What a sweep has come to; with outer folds all searches together.

    Attributes:
        ended: configurations that are complete, pruned or failed.
        seed_runs: runs that are whole, of a seed and, where there are folds, on one of them each.
        saved: runs that racing saved.
        taken: runs that were trained already, by another sweep or for a run that starts from them.
        best: what the best configuration that made all its runs reached, in the mean; None before there is any. With
            outer folds the mean over those that have one.
    """

    ended: int = 0
    seed_runs: int = 0
    saved: int = 0
    taken: int = 0
    best: float | None = None


class Sweep(Submission, Counts):
    """How one sweep stands.

    Attributes:
        reason: why it failed, waits or was interrupted, and what its budget left unfinished.
        unfinished: how many configurations its budget left unfinished; with more hours it goes on with them.
        position: in the queue, from 1; 0 where it does not wait.
        attempt: how often it has been handed to the cluster: which of its drivers this is or was, from 1.
        started: when it first began, in seconds since 1970; 0 where it has not.
        spent_s: wall time of its searching so far; `gpu_hours` is that times the GPUs it held meanwhile.
        phases: how far it went each time before it was extended.
        undelivered: whether MLflow lacks some of it, by what is known since a driver or `sync` ended.
        test_mae: of the final figure.
        final: the final figure in full, where there is one and one sweep is asked for.
        searches: with outer folds how the search in each that has begun stands, where one sweep is asked for.
    """

    name: str = Field(default_factory=lambda known: known["id"].rpartition("-")[0])
    state: State
    reason: str = ""
    position: int = 0
    attempt: int = 0
    started: float = 0.0
    spent_s: float = 0.0
    gpu_hours: float = 0.0
    unfinished: int = 0
    phases: tuple[Extent, ...] = ()
    undelivered: bool = False
    test_mae: float | None = None
    final: Final | Pooled | None = None
    searches: tuple["Sweep", ...] = ()

    def reaches(self, wanted: Extent | None) -> bool:
        """The same, where its budget may have ended it before it came so far."""
        goes_on = self.unfinished and wanted and self.extent and wanted.outlasts(self.extent)
        return super().reaches(wanted) and not goes_on


class Trial(Answer):
    """One configuration: `objective`, which it is ranked by, and `sd` are over its whole runs, as `seeds` has them.

    Where no run is whole, `objective` is the mean of what they reached and `sd` is null. A parameter that is not
    finite is text in JSON, such as "inf".
    """

    number: int
    method: str
    state: Literal["complete", "pruned", "failed", "running"]
    reason: str = ""
    objective: float | None = None
    objectives: Annotated[dict[str, float | None], Field(description="each objective by its name")] = {}
    sd: float | None = None
    seeds: dict[Run, float | None] = Field(
        default_factory=dict,
        description="of whole runs, by seed, such as 0, or `fold 1 seed 0`; null where nobody was validated on",
    )
    epochs: dict[Run, int] = Field(default_factory=dict, description="epochs of each run")
    params: Parameters = Field(default_factory=dict)
    tied: Annotated[bool, Field(description="cannot be told from the best, or is it")] = False
    fresh: Annotated[bool, Field(description="its figure is of seeds that no race used")] = False
    reported: Annotated[bool, Field(description="its figure is of seeds that nothing was chosen by: it won")] = False
    costs: Annotated[dict[str, float], Field(description="figures that the search bounds, as they were measured")] = {}
    infeasible: Annotated[str, Field(description="which bounds it breaks, and by how much")] = ""
    front: Annotated[int | None, Field(description="its Pareto front, 1 the first, of several objectives")] = None


class Submitted(Answer):
    """What became of a submission; `sweep` is how it stands now."""

    outcome: Outcome
    sweep: Sweep


class PlannedData(Answer):
    """What configurations read that choose some options."""

    image_shape: tuple[int, ...]
    train: Annotated[int, Field(description="scans to train on")]
    untrained: Annotated[int, Field(description="scans of the training split that data.train leaves out")] = 0


class Planned(Answer):
    """What a sweep would take: see `contrasweep plan`. Times assume that racing stops nothing."""

    id: str
    subjects: int
    rejected: int
    external: Annotated[int, Field(description="scans of external cohorts")] = 0
    train: Annotated[int, Field(description="scans to train on")]
    unlabelled: Annotated[int, Field(description="scans without a label, for methods that need none")] = 0
    untrained: Annotated[int, Field(description="scans of the training split that data.train leaves out")] = 0
    image_shape: tuple[int, ...]
    read: Annotated[
        dict[str, PlannedData],
        Field(description="what is read by options, such as `size.small`, where they differ; the first is as above"),
    ] = {}
    decoded_gb: float
    feed: Literal["resident", "stream"]
    trials: int
    methods: Annotated[
        dict[str, int], Field(description="how many configurations each has; empty where the sampler chooses")
    ] = {}
    seeds: int
    folds: Annotated[int, Field(description="of the split, on each of which every seed runs")] = 0
    outer: Annotated[int, Field(description="outer folds, each with a whole search; hours and disk are of all")] = 0
    refits: Annotated[int, Field(description="runs of the best configuration on all but the test split")] = 0
    ensemble: Annotated[
        int, Field(description="seeds that are served together, at most; 0: the best configuration")
    ] = 0
    fresh: Annotated[int, Field(description="runs of finalists with seeds that no race used, and of the winner")] = 0
    epochs: Annotated[int, Field(description="of a run, the longest where options differ")]
    fewest_epochs: Annotated[int, Field(description="of the shortest run; 0 where nobody said")] = 0
    concurrent: int
    workers: int
    cpus_per_worker: int
    gpus_per_worker: float
    nodes: int
    cpus: float
    gpus: float
    epoch_s: Annotated[float, Field(description="one epoch with one worker, on the planning machine unless reckoned")]
    hours: float
    budget_hours: float | None
    gpu_hours: float
    reckoned_tflops: Annotated[
        float,
        Field(description="what a GPU is taken to do, where times are reckoned as the planning machine has none; or 0"),
    ] = 0.0
    disk_gb: float
    test_hours: Annotated[float, Field(description="of all runs' predictions of the test split, beside `hours`")] = 0.0
    racing: Annotated[str, Field(description="why racing can stop nothing")] = ""
    there: Annotated[int, Field(description="seed runs that other sweeps have trained already, at least")] = 0
    start: Annotated[str, Field(description="how much of the weights it starts from the network takes")] = ""
    learned: Annotated[
        dict[str, int], Field(description="how many configurations of each earlier sweep the sampler learns from")
    ] = {}


class Leaderboard(Answer):
    """A sweep with its configurations, the best first."""

    sweep: Sweep
    trials: list[Trial]


class Difference(Answer):
    """A sweep's error less that of the first one, in pairs, in the label's unit: below 0 it is the better one.

    Attributes:
        pairs: how many: runs of one seed and fold, or test subjects; without any there is no `mean`.
        sd: of the runs' differences; null for fewer than two.
        low, high: 95 % subject bootstrap interval of the mean; null between runs.
    """

    pairs: int
    mean: float | None = None
    sd: float | None = None
    low: float | None = None
    high: float | None = None


class Standing(Answer):
    """A configuration, and how it compares with the first sweep's; null in that, and where nothing can be paired."""

    trial: Trial
    difference: Difference | None = None


class Progress(Answer):
    """After each configuration, in the order of their numbers and as their races ended: epochs spent by then, and the
    least objective of a complete one; null before there is any.
    """

    epochs: list[int]
    best: list[float | None]


class Compared(Answer):
    """One of several sweeps that are compared.

    Attributes:
        best: the first of its leaderboard; `methods` has the first of each method.
        test: the errors of its final figure, subject by subject, against those of the first sweep's.
        apart: why the runs, by `validation`, and the final figures, by `test`, cannot be paired with the first sweep's;
            what can be is not in it.
    """

    sweep: Sweep
    best: Standing | None
    methods: dict[str, Standing]
    test: Difference | None
    apart: dict[Literal["validation", "test"], str]
    progress: Progress


class Comparison(Answer):
    """Sweeps side by side; differences are to the first one.

    Attributes:
        fields: what their specs say otherwise, by field: a value of each sweep in its turn, null where it has none.
    """

    fields: dict[str, list[Any]]
    sweeps: list[Compared]


def asked_by(spec: SweepSpec) -> dict[str, Any]:
    """The fields of a `Submission` that its spec decides."""
    outer = spec.data.split.outer
    counted = {"trials": spec.search.trials, "seeds": len(spec.search.seeds), "folds": spec.plan.folds}
    counted["outer"] = outer if isinstance(outer, int) else 0
    told = {"label": spec.data.label, "unit": spec.data.unit or ""}
    return {**told, "objective": spec.search.objective, **counted, "extent": spec.extent}


def fields_of(kind: type[Answer], answer: Answer) -> dict[str, Any]:
    """What `answer` has of the fields of `kind`, one of its bases or relatives, as it has them."""
    return {name: getattr(answer, name) for name in kind.model_fields}
