"""`contrasweep plan`: what a sweep would take, with nothing begun."""

import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from services.cluster.places import Allotment, Node, allot
from services.data.validate import list_cohorts, list_scans, prepared_shape, splits_of
from services.data.weights import check_weights
from services.records.answers import Planned
from services.settings import Settings
from services.spec.checks import check_image_shape
from services.spec.methods import training_sizes
from services.spec.spec import LoadedSpec, SearchConfig, SeedPlan, SweepSpec
from trainers.config import MethodConfig, RunConfig, TrainingConfig
from trainers.data.feeds.base import LabelledRows, Parts
from trainers.data.feeds.resident import Decoded, ResidentData, ResidentFeed
from trainers.pretrain import pretrain


def make_plan(loaded: LoadedSpec, settings: Settings, nodes: Sequence[Node], weights: Path | None = None) -> Planned:
    """What the sweep would take on `nodes`, and what `weights` fit. Raises UserError on what would block it."""
    spec = loaded.spec
    allotment = allot(spec, nodes)
    listed, rejected = list_scans(loaded, settings.data_roots)
    shape = prepared_shape(loaded, listed)
    check_image_shape(loaded, shape)
    start = check_weights(loaded, weights, shape, Console(quiet=True)) if weights else ""
    splits = splits_of(listed, spec.data)
    train, unlabelled = len(splits.train), len(splits.unlabelled)
    sizes = list(training_sizes(spec.search.spaces, train, unlabelled).values())
    cost = estimate(spec, spec.plan_over(len(splits.folds)), allotment, shape, sizes)
    volume_gb = np.dtype(spec.data.dtype).itemsize * float(np.prod(shape)) / 1e9
    store_gb, external = len(listed) * volume_gb, sum(map(len, list_cohorts(loaded, settings.data_roots).values()))
    training = spec.training
    gpus_at_once = allotment.concurrent * training.workers * training.gpus_per_worker
    return Planned(
        id=loaded.sweep_id,
        subjects=len(listed),
        rejected=len(rejected),
        external=external,
        train=train,
        unlabelled=unlabelled,
        untrained=len(splits.untrained),
        image_shape=shape,
        decoded_gb=store_gb,
        feed="resident" if store_gb * 1e9 <= settings.resident_limit_bytes else "stream",
        trials=spec.search.trials,
        seeds=len(spec.search.seeds),
        folds=len(splits.folds),
        refits=len(spec.search.seeds) if spec.search.refit else 0,
        epochs=spec.plan.seed_epochs,
        concurrent=allotment.concurrent,
        workers=training.workers,
        cpus_per_worker=training.cpus_per_worker,
        gpus_per_worker=training.gpus_per_worker,
        nodes=len(nodes),
        cpus=sum(node.cpus for node in nodes),
        gpus=sum(node.gpus for node in nodes),
        epoch_s=cost.epoch_s,
        hours=cost.hours,
        budget_hours=spec.budget.hours,
        gpu_hours=cost.hours * gpus_at_once,
        disk_gb=cost.disk_gb + store_gb + external * volume_gb,
        racing=_idle_racing(spec.search),
        start=start,
    )


def _idle_racing(search: SearchConfig) -> str:
    """Why racing can stop nothing; empty where it can, or is not wanted."""
    if search.racing is None or search.parallel < search.trials:
        return ""
    return f"stops nothing: search.parallel {search.parallel} lets all {search.trials} begin before one has ended"


@dataclass(frozen=True)
class Estimate:
    """What a sweep will cost, if racing stops nothing.

    Attributes:
        epoch_s: seconds of one epoch, measured here with one worker.
        hours: wall time of the search.
        disk_gb: checkpoints of all runs, in 10^9 bytes.
    """

    epoch_s: float
    hours: float
    disk_gb: float


def estimate(
    spec: SweepSpec, plan: SeedPlan, allotment: Allotment, shape: tuple[int, ...], train_sizes: Sequence[int]
) -> Estimate:
    """Train for real on noise of the right shape, here and with one worker, and multiply.

    `train_sizes` are of the methods, which are taken to come equally often.
    """
    step_s, checkpoint_bytes = _rehearse(spec, shape)
    training = spec.training
    epoch_s = step_s * statistics.fmean(size // training.batch_size for size in train_sizes)
    runs = spec.search.trials * len(plan.replicates) + (len(plan.seeds) if spec.search.refit else 0)
    hours = epoch_s / training.workers * plan.seed_epochs * runs / allotment.concurrent / 3600
    return Estimate(epoch_s, hours, runs * checkpoint_bytes / 1e9)


def _rehearse(spec: SweepSpec, image_shape: tuple[int, ...]) -> tuple[float, int]:
    """Seconds of one step, its share of evaluation included, and bytes of a seed's checkpoints."""
    batch = spec.training.batch_size
    rng = np.random.default_rng(0)
    images = rng.standard_normal((2 * batch, *image_shape), dtype=np.float32)
    rows = np.arange(2 * batch)
    noise = LabelledRows(rng.uniform(20, 80, 2 * batch), None, rows, None)
    parts = Parts(image_shape, images[0].nbytes, noise, np.zeros_like(rows), noise)
    feed = ResidentFeed(ResidentData(Decoded(images, rows), parts))
    changes = {"epochs": 2, "warmup_epochs": 0, "workers": 1, "gpus_per_worker": 0, "precision": "fp32"}
    training = TrainingConfig.model_validate(spec.training.model_dump() | changes)
    model = spec.model.model_copy(update={"init_from": None})
    run = RunConfig(model=model, training=training, method=MethodConfig(name="exponential"))
    with tempfile.TemporaryDirectory() as name:
        history = pretrain(run, feed, Path(name), device=torch.device("cpu"))
        nbytes = sum(path.stat().st_size for path in Path(name).iterdir())
    return history.epochs[-1]["epoch_s"] / 2, nbytes
