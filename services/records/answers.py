"""What every verb answers, here, over HTTP and from a cluster alike: the documents that `--json` prints."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

State = Literal["queued", "starting", "running", "stopping", "stopped", "finished", "failed", "interrupted"]
"""How a sweep stands. `interrupted`: its driver died; `starting`: it has been handed to the cluster."""

ACTIVE: frozenset[State] = frozenset({"queued", "starting", "running", "stopping"})
"""States that end by themselves."""

Outcome = Literal["submitted", "queued", "resumed", "already running", "done"]


class Answer(BaseModel):
    """Base of every answer; numbers that are not finite are null in JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Final(Answer):
    """What the locked test split said of the best configuration; errors are in the label's unit.

    Attributes:
        metrics: value, and low and high end of its 95 % interval.
        sample: the test split's size in words.
        seed_mae: test MAE of each seed; `sd` is their standard deviation.
        ensemble_mae: of the mean prediction over seeds; `baseline_mae` of the training labels' mean.
    """

    trial: int
    method: str
    metrics: dict[str, tuple[float | None, float | None, float | None]]
    sample: str
    seed_mae: dict[int, float]
    sd: float
    ensemble_mae: float
    baseline_mae: float


class Sweep(Answer):
    """How one sweep stands.

    Attributes:
        user: who submitted it; empty where it was run by hand.
        reason: why it failed, waits or was interrupted.
        position: in the queue, from 1; 0 where it does not wait.
        submitted, started: seconds since 1970; 0 where it has not happened.
        spent_s: wall time of its searching so far; `gpu_hours` is that times the GPUs it held meanwhile.
        trials, ended: configurations asked for, and ended.
        seed_runs, saved: seeds that ran whole, and that racing saved.
        seeds: how many each configuration is to run with.
        best: least mean validation MAE over all seeds, in the label's unit; `test_mae` of the final figure.
        final: the final figure in full, where there is one and one sweep is asked for.
        attempt: how often it has been handed to the cluster.
    """

    id: str
    name: str
    state: State
    reason: str = ""
    user: str = ""
    position: int = 0
    attempt: int = 0
    submitted: float = 0.0
    started: float = 0.0
    spent_s: float = 0.0
    gpu_hours: float = 0.0
    label: str = ""
    trials: int = 0
    seeds: int = 0
    ended: int = 0
    seed_runs: int = 0
    saved: int = 0
    best: float | None = None
    test_mae: float | None = None
    final: Final | None = None


class Trial(Answer):
    """One configuration: `objective` and `sd` are over its whole `seeds`, in the label's unit.

    Where no seed is whole, `objective` is the mean of what they reached and `sd` is null. A parameter that is
    not finite is text, such as "inf".
    """

    number: int
    method: str
    state: Literal["complete", "pruned", "failed", "running"]
    reason: str = ""
    objective: float | None = None
    sd: float | None = None
    seeds: dict[int, float] = Field(default_factory=dict)
    epochs: dict[int, int] = Field(default_factory=dict, description="epochs that each seed has run")
    params: dict[str, Any] = Field(default_factory=dict)


class Submitted(Answer):
    """What became of a submission; `sweep` is how it stands now."""

    outcome: Outcome
    sweep: Sweep


class Planned(Answer):
    """What a sweep would take: see `contrasweep plan`. Times assume that racing stops nothing."""

    id: str
    subjects: int
    rejected: int
    train: Annotated[int, Field(description="scans to train on")]
    image_shape: tuple[int, ...]
    decoded_gb: float
    feed: Literal["resident", "stream"]
    trials: int
    seeds: int
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
    start: Annotated[str, Field(description="how much of the weights it starts from the network takes")] = ""


class Leaderboard(Answer):
    """A sweep with its configurations, the best first."""

    sweep: Sweep
    trials: list[Trial]
