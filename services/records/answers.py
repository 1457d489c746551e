"""What every verb answers, here, over HTTP and from a cluster alike: the documents that `--json` prints."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from services.records.parameters import Parameters
from services.spec.replicate import Run
from services.spec.spec import Extent, SweepSpec
from trainers.interval import Interval

State = Literal["queued", "starting", "running", "stopping", "stopped", "finished", "failed", "interrupted"]
"""How a sweep stands. `interrupted`: its driver died; `starting`: it has been handed to the cluster."""

ACTIVE: frozenset[State] = frozenset({"queued", "starting", "running", "stopping"})
"""States that end by themselves."""

Outcome = Literal["submitted", "queued", "resumed", "already running", "done"]


class Answer(BaseModel):
    """Base of every answer; numbers that are not finite are null in JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Figures(Answer):
    """What scans that nothing was chosen by said of the best configuration; errors are in the label's unit.

    Attributes:
        metrics: each of `trainers.metrics.METRICS`: the mean over runs, and its 95 % subject bootstrap interval.
        seed_mae: MAE of each run, by its seed and, where there are folds, its fold; `sd` is their standard deviation,
            0 for one run.
        ensemble_mae: of the mean prediction over runs, which is what the registered model predicts; `baseline_mae` of
            predicting the training labels' mean for everyone.
        shot_mae: apart for labels with many, a medium number of and few training subjects, mean over runs.
    """

    metrics: dict[str, Interval]
    seed_mae: dict[Run, float]
    sd: float
    ensemble_mae: float
    baseline_mae: float
    shot_mae: dict[str, float] = {}


class SampleFigures(Figures):
    """Figures of a sample; `sample` is its size in words."""

    sample: str


class Final(SampleFigures):
    """The test split's figures of trial `trial`, and those of each external cohort, by its name.

    `refit_epochs`, where it is not 0, is after how many epochs the runs on all but the test split ended that were
    evaluated. `looks` says how often the test split has been read, by whatever sweep, with this time. `out_of_fold`,
    where the split has folds, are figures of everyone in a fold, by the runs that did not train on it: configuration
    and epochs were chosen on the same people, so that they are a little too good.
    """

    trial: int
    method: str
    refit_epochs: int = 0
    looks: int = 1
    external: dict[str, SampleFigures] = {}
    out_of_fold: SampleFigures | None = None


class Submission(Answer):
    """A sweep that somebody asked for.

    Attributes:
        user: who submitted it; empty where it was run by hand.
        submitted: seconds since 1970; 0 where it has not happened.
        label, trials, seeds: of its spec: what is predicted, how many configurations with how many seeds each.
        folds: on how many folds each seed runs; 0 where the split has none, or nobody counted them yet.
        extent: how far it goes, in full; null where a version that could extend no sweep wrote it down.
    """

    id: str
    user: str = ""
    submitted: float = 0.0
    label: str = ""
    trials: int = 0
    seeds: int = 0
    folds: int = 0
    extent: Extent | None = None

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
    """What a sweep has come to.

    Attributes:
        ended: configurations that are complete, pruned or failed.
        seed_runs: runs that are whole, of a seed and, where there are folds, on one of them each.
        saved: runs that racing saved.
        taken: runs that another sweep had trained already.
        best: least mean validation MAE over all runs, in the label's unit; None before there is any.
    """

    ended: int = 0
    seed_runs: int = 0
    saved: int = 0
    taken: int = 0
    best: float | None = None


class Sweep(Submission, Counts):
    """How one sweep stands.

    Attributes:
        reason: why it failed, waits or was interrupted.
        position: in the queue, from 1; 0 where it does not wait.
        attempt: how often it has been handed to the cluster: which of its drivers this is or was, from 1.
        started: when it first began, in seconds since 1970; 0 where it has not.
        spent_s: wall time of its searching so far; `gpu_hours` is that times the GPUs it held meanwhile.
        phases: how far it went each time before it was extended.
        test_mae: of the final figure.
        final: the final figure in full, where there is one and one sweep is asked for.
    """

    name: str = Field(default_factory=lambda known: known["id"].rpartition("-")[0])
    state: State
    reason: str = ""
    position: int = 0
    attempt: int = 0
    started: float = 0.0
    spent_s: float = 0.0
    gpu_hours: float = 0.0
    phases: tuple[Extent, ...] = ()
    test_mae: float | None = None
    final: Final | None = None


class Trial(Answer):
    """One configuration: `objective` and `sd` are over its whole runs, which `seeds` has, in the label's unit.

    Where no run is whole, `objective` is the mean of what they reached and `sd` is null. A parameter that is not
    finite is text in JSON, such as "inf".
    """

    number: int
    method: str
    state: Literal["complete", "pruned", "failed", "running"]
    reason: str = ""
    objective: float | None = None
    sd: float | None = None
    seeds: dict[Run, float | None] = Field(
        default_factory=dict,
        description="of whole runs, by seed, such as 0, or `fold 1 seed 0`; null where nobody was validated on",
    )
    epochs: dict[Run, int] = Field(default_factory=dict, description="epochs of each run")
    params: Parameters = Field(default_factory=dict)
    tied: Annotated[bool, Field(description="cannot be told from the best, or is it")] = False


class Submitted(Answer):
    """What became of a submission; `sweep` is how it stands now."""

    outcome: Outcome
    sweep: Sweep


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
    decoded_gb: float
    feed: Literal["resident", "stream"]
    trials: int
    seeds: int
    folds: Annotated[int, Field(description="of the split, on each of which every seed runs")] = 0
    refits: Annotated[int, Field(description="runs of the best configuration on all but the test split")] = 0
    epochs: int
    concurrent: int
    workers: int
    cpus_per_worker: int
    gpus_per_worker: float
    nodes: int
    cpus: float
    gpus: float
    epoch_s: Annotated[float, Field(description="one epoch with one worker on a CPU of the planning machine")]
    hours: float
    budget_hours: float | None
    gpu_hours: float
    disk_gb: float
    racing: Annotated[str, Field(description="why racing can stop nothing")] = ""
    there: Annotated[int, Field(description="seed runs that other sweeps have trained already, at least")] = 0
    start: Annotated[str, Field(description="how much of the weights it starts from the network takes")] = ""


class Leaderboard(Answer):
    """A sweep with its configurations, the best first."""

    sweep: Sweep
    trials: list[Trial]


def asked_by(spec: SweepSpec) -> dict[str, Any]:
    """The fields of a `Submission` that its spec decides."""
    counted = {"trials": spec.search.trials, "seeds": len(spec.search.seeds), "folds": spec.plan.folds}
    return {"label": spec.data.label, **counted, "extent": spec.extent}


def fields_of(kind: type[Answer], answer: Answer) -> dict[str, Any]:
    """What `answer` has of the fields of `kind`, one of its bases or relatives, as it has them."""
    return {name: getattr(answer, name) for name in kind.model_fields}
