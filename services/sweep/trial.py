"""One configuration as a Tune trial: its runs, one after the other, in one worker group or in the trial itself."""

import logging
import shutil
import uuid
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import ray
import torch
from ray import train, tune
from ray.actor import ActorHandle
from ray.train import TrainingFailedError
from ray.train.torch import TorchTrainer, get_device

from contrasweep.search_spaces import Configuration
from contrasweep.services.data.open import Reads
from contrasweep.services.records.hindrances import hindrance
from contrasweep.services.records.logs import trial_log
from contrasweep.services.records.seed_runs import SeedRuns, copy_run
from contrasweep.services.records.trial_record import (
    TrialRecord,
    keep_race,
    read_record,
    run_folder,
    trial_folder,
    write_configuration,
    write_failure,
)
from contrasweep.services.spec.methods import lineage
from contrasweep.services.spec.replicate import REFIT, Replicate
from contrasweep.services.spec.spec import SeedPlan, SweepSpec
from contrasweep.services.sweep.stages import Source, Stage, Worker
from contrasweep.services.sweep.system_metrics import system_metrics
from contrasweep.services.text import count, number
from contrasweep.trainers.config import MethodConfig, RunConfig
from contrasweep.trainers.distributed import first_says, rank, world_size
from contrasweep.trainers.errors import Diverged, UserError
from contrasweep.trainers.finetune import earlier_epochs, train_seed
from contrasweep.trainers.history import COMPLETE, PRUNED, RUNNING, EpochMetrics, History, Verdict
from contrasweep.trainers.mending import mend, recall

MAX_WORKER_FAILURES = 2
STATES = ("", RUNNING, PRUNED, COMPLETE)
"""Of a run that may be there already."""

log = logging.getLogger("contrasweep.trial")


@dataclass(frozen=True)
class TrialSetup:
    """What every trial of a sweep shares.

    `sources` are what runs read, by the options that say so and the fold that they are validated on: None where there
    are no folds. `plan` is theirs where nothing is chosen. `sweep` is the sweep's folder in the storage path.
    `init_from` is its own copy of the weights to start from.
    """

    spec: SweepSpec
    plan: SeedPlan
    sweep: Path
    sources: Mapping[Reads, Source]
    referee: ActorHandle
    init_from: Path | None


def run_config(spec: SweepSpec, configuration: Configuration, seed: int, init_from: Path | None = None) -> RunConfig:
    """What one seed of a configuration is told; it starts from the weights in `init_from`, whatever the spec names.

    Where the configuration starts from another, it is told what that one's run is.
    """
    _, *earlier = lineage(configuration, spec)
    start = run_config(spec, earlier[0], seed, init_from) if earlier else None
    spec = spec.choosing(configuration.choices)
    model = spec.model.model_copy(update={"init_from": str(init_from) if init_from else None})
    training = spec.training.model_validate(spec.training.model_dump() | configuration.training)
    method = MethodConfig(name=configuration.method, params=configuration.params)
    run = RunConfig(
        model=model,
        training=training,
        method=method,
        probe=spec.probe,
        seed=seed,
        objectives=spec.search.objective,
        costs=tuple(spec.search.constraints),
        start=start,
    )
    epochs = spec.read.epochs if spec.read else ()
    return run.model_copy(update={"keep": tuple(epoch for epoch in epochs if epoch <= run.finetuning().epochs)})


def refit_config(spec: SweepSpec, record: TrialRecord, seed: int, init_from: Path | None = None) -> RunConfig:
    """The same where it is trained on all but the test split: it ends where the runs of `record` had their best."""
    run = run_config(spec, record.configuration, seed, init_from)
    training = run.training.model_copy(update={"checkpoint": "last"})
    return run.model_copy(update={"training": training, "stop_after": record.refit_epochs, "keep": ()})


@dataclass(frozen=True)
class Task:
    """What a Tune trial is to do: these runs of a configuration, with all that every trial shares.

    `race` says whether the referee may stop it; `plan` is the configuration's own, with its seeds.
    """

    number: int
    configuration: Configuration
    plan: SeedPlan
    replicates: tuple[Replicate, ...]
    race: bool
    setup: TrialSetup

    @classmethod
    def of(cls, config: dict[str, Any], setup: TrialSetup) -> "Task":
        """The one that the searcher describes: number, the configuration's parts, seeds, `race` and `refit`."""
        configuration = Configuration(**{part.name: config[part.name] for part in fields(Configuration)})
        plan = replace(setup.spec.plan_of(configuration, setup.plan.folds), seeds=tuple(config["seeds"]))
        refit = tuple(Replicate(seed, REFIT) for seed in plan.seeds) if config["refit"] else ()
        return cls(config["number"], configuration, plan, refit or plan.replicates, config["race"], setup)

    @property
    def record(self) -> TrialRecord:
        """The configuration as it stands."""
        record = read_record(self.setup.sweep, self.number, self.setup.plan)
        assert record
        return record

    @property
    def state(self) -> str:
        """How it stands; as if it ran where not even that it begins could be written."""
        record = read_record(self.setup.sweep, self.number, self.setup.plan)
        return record.state if record else RUNNING

    def folder(self, replicate: Replicate) -> Path:
        """Where a run is kept."""
        return run_folder(self.setup.sweep, self.number, replicate)

    def config(self, replicate: Replicate) -> RunConfig:
        """What a run is told."""
        spec, start = self.setup.spec, self.setup.init_from
        if replicate.fold == REFIT:
            return refit_config(spec, self.record, replicate.seed, start)
        return run_config(spec, self.configuration, replicate.seed, start)

    def stage(self, replicate: Replicate) -> Stage:
        """A run with what it reads and what it starts from."""
        spec = self.setup.spec
        reads = [spec.search.reading(one.choices) for one in lineage(self.configuration, spec)]
        sources = tuple(self.setup.sources[read, replicate.fold] for read in reads)
        return Stage(self.config(replicate), sources, self.folder(replicate))

    def begin(self) -> None:
        """Write down what runs; refitting leaves that as it is, and begins anew where it should have ended earlier."""
        for replicate in self.replicates:
            if replicate.fold == REFIT and _is_longer(self.folder(replicate), self.config(replicate).epochs):
                shutil.rmtree(self.folder(replicate))
        if self.replicates == self.plan.replicates:
            if not self.race:
                keep_race(self.setup.sweep, self.number, self.setup.plan)
            write_configuration(self.setup.sweep, self.number, self.configuration, self.plan)

    def fail(self, error: Exception) -> None:
        """Write down why it failed."""
        log.info("failed", exc_info=error)
        write_failure(self.setup.sweep, self.number, self.configuration, self.plan, error)

    def is_held_up(self, error: Exception) -> bool:
        """Whether `error` is of storage that has the sweep wait; then every run pauses."""
        referee = self.setup.referee
        if reason := hindrance(error, self.setup.sweep):
            log.info("paused: %s", reason)
            ray.get(referee.hold_up.remote(reason))
        return bool(ray.get(referee.hindrance.remote()))


def _is_longer(folder: Path, epochs: int) -> bool:
    history = History.read(folder)
    return history is not None and len(history.epochs) > epochs


def run_trial(config: dict[str, Any], setup: TrialSetup) -> None:
    """The Tune function; `config` is the searcher's: see `Task.of`."""
    task = Task.of(config, setup)
    try:
        task.begin()
        with trial_log(trial_folder(setup.sweep, task.number)):
            _run(task)
    except ray.exceptions.RayActorError:
        raise  # the driver is gone: what this folder says is not for us to write any more
    except Exception as error:
        if not task.is_held_up(error):
            raise
    tune.report({"state": task.state})


def _run(task: Task) -> None:
    values = (f"{name} {value}" for name, value in task.configuration.values.items())
    log.info("begins  %s", "  ".join([task.configuration.method, *values]))
    try:
        if task.setup.spec.training.workers == 1:
            run_replicates(task, get_local_device(task.setup.spec))
        else:
            run_group(task)
    except ray.exceptions.RayActorError:
        raise
    except Exception as error:
        if task.is_held_up(error):
            return
        task.fail(error)
        if not isinstance(error, Diverged | UserError | TrainingFailedError):
            raise


def run_replicates(task: Task, device: torch.device) -> None:
    """Make the runs in order; stop where one is pruned or asked to pause. Every worker of a group calls this."""
    feed_of = cache(Source.open)  # a race may end before it comes to the others
    for replicate in task.replicates:
        folder = task.folder(replicate)
        known = mended(folder, device)
        if task.race and known and known.state == PRUNED:
            return
        referee = RefereeClient(task.setup.referee, task.number, replicate, task.race)
        worker = Worker(feed_of, device, referee.hear, referee.is_pausing)
        history = taken_or_trained(task.stage(replicate), worker, referee)
        if history.state == PRUNED and referee.reason and rank() == 0:
            history.reason = referee.reason
            history.write(folder)
        log.info("%s %s", replicate.words, " · ".join(_words(history)))
        if history.state == RUNNING or (task.race and history.state == PRUNED):
            return


def mended(folder: Path, device: torch.device) -> History | None:
    """The history of a run so far, once worker 0 has removed what is damaged of its files."""
    if rank() == 0:
        mend(folder)
        recall(folder)
    first_says(0, device)
    return History.read(folder)


def taken_or_trained(stage: Stage, worker: Worker, referee: "RefereeClient") -> History:
    """The history of a run: of one that is there already, judged epoch by epoch as if it were trained, or trained.

    Whoever trains alone waits for another process that trains the same run now. Where the training of what it starts
    from was paused, it has not begun.
    """
    runs, run, folder, device = stage.runs, stage.run, stage.folder, worker.device
    known = History.read(folder)
    if known and stage.is_whole:
        if rank() == 0:
            runs.add(run, folder)
        return known
    take = not stage.is_under_way or (known is not None and known.state == RUNNING)  # others go on, or are whole
    with runs.claimed(run, referee.is_pausing) if take and world_size() == 1 else nullcontext():
        found = STATES.index(replayed(runs, run, folder, referee) if take and rank() == 0 else "")
        state = STATES[first_says(found, device)]
        if state:
            return History.read(folder) or History(run.seed, state, objective=run.objectives[0])
        begun = worker.begun(stage)
        if begun is None:
            return History(run.seed, objective=run.objectives[0])
        feed = worker.feed_of(stage.sources[0])
        history = train_seed(begun, feed, folder, device=device, on_epoch=referee, on_earlier_epoch=referee.hear)
        if history.state == COMPLETE and rank() == 0:
            runs.add(run, folder)
        return history


def replayed(runs: SeedRuns, run: RunConfig, folder: Path, referee: "RefereeClient") -> str:
    """The state of a copy of a run that is there already, as far as the referee lets it go; empty where there is none.

    One that is pruned has no checkpoint, and is taken up from there again by whoever has it go on.
    """
    source = runs.take(run)
    whole = History.read(source) if source else None
    if source is None or whole is None:
        return ""
    for row in earlier_epochs(source):
        referee.hear(row)
    history = History(run.seed, taken=runs.name_of(source), last=whole.last, objective=whole.objective)
    for row in whole.epochs:
        history.epochs.append(row)
        verdict = referee(row)
        if verdict is Verdict.PAUSE:
            return RUNNING
        if verdict is Verdict.PRUNE and len(history.epochs) < len(whole.epochs):
            history.state = PRUNED
            history.write(folder)
            return PRUNED
    copy_run(source, folder)
    history.state = PRUNED if verdict is Verdict.PRUNE else COMPLETE
    history.write(folder)
    return history.state


def _words(history: History) -> list[str]:
    words = ["paused" if history.state == RUNNING else history.state, count(len(history.epochs), "epoch")]
    return words + [
        word for word in (f"best {number(history.score)}" if history.epochs else "", history.reason) if word
    ]


def run_group(task: Task) -> None:
    """Run them in one Ray Train worker group, started once for all of them.

    A worker that dies brings the group up again, and every run goes on from its own checkpoint. Train
    itself is given no checkpoint and a fresh name: a name it knows would be resumed in silence.
    """
    training = task.setup.spec.training
    resources = {"CPU": float(training.cpus_per_worker), "GPU": training.gpus_per_worker}
    TorchTrainer(
        _group_worker,
        train_loop_config={"task": task},
        scaling_config=train.ScalingConfig(
            num_workers=training.workers, use_gpu=training.gpus_per_worker > 0, resources_per_worker=resources
        ),
        run_config=train.RunConfig(
            name=f"trial-{task.number:04d}-{uuid.uuid4().hex[:8]}",
            storage_path=str(task.setup.sweep / ".train"),
            failure_config=train.FailureConfig(max_failures=MAX_WORKER_FAILURES),
        ),
    ).fit()


def _group_worker(told: dict[str, Task]) -> None:
    task = told["task"]
    with trial_log(trial_folder(task.setup.sweep, task.number)) if rank() == 0 else nullcontext():
        try:
            run_replicates(task, get_device())
        except (Diverged, UserError) as error:
            if rank() == 0:
                task.fail(error)
        except Exception as error:
            task.is_held_up(error)  # the trial hears that its group failed, and not of what
            raise


def get_local_device(spec: SweepSpec) -> torch.device:
    """The device of a trial that trains in its own process."""
    return torch.device("cuda" if spec.training.gpus_per_worker else "cpu")


class RefereeClient:
    """Asks the referee after each epoch and remembers why it said to stop.

    A referee that is gone means that the driver is gone: the error ends this run before it writes
    anything, so that a resumed driver's workers have the folder to themselves.
    """

    def __init__(self, referee: ActorHandle, number: int, replicate: Replicate, race: bool) -> None:
        self._referee, self._number, self._replicate, self._race = referee, number, replicate, race
        self.reason = ""

    def __call__(self, row: EpochMetrics) -> Verdict:
        """The referee's verdict on an epoch's metrics; what the machine does goes along to the tracking store."""
        seen = row | system_metrics()
        verdict: Verdict
        verdict, self.reason = ray.get(self._referee.judge.remote(self._number, self._replicate, seen, self._race))
        self._log(row)
        return verdict

    def hear(self, row: EpochMetrics) -> Verdict:
        """Passes on metrics that are not judged; the verdict is to go on or to pause."""
        verdict: Verdict = ray.get(self._referee.hear.remote(self._number, self._replicate, row | system_metrics()))
        self._log(row)
        return verdict

    def is_pausing(self) -> bool:
        """Whether every run pauses now."""
        return bool(ray.get(self._referee.is_pausing.remote()))

    def _log(self, row: EpochMetrics) -> None:
        metrics = (f"{name} {value:.4g}" for name, value in row.items() if name != "epoch")
        log.info("%s epoch %d  %s", self._replicate.words, int(row["epoch"]) + 1, "  ".join(metrics))
