"""What runs at once, for how long and on how much disk: the only place that divides resources."""

import math
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from services.spec import SweepSpec
from trainers.config import MethodConfig, RunConfig, TrainingConfig
from trainers.data.feeds.resident import ResidentData, ResidentFeed
from trainers.data.store import Rows
from trainers.errors import UserError
from trainers.pretrain import pretrain

RESERVED_CPUS = 1
"""CPUs of each node that no training worker gets: drivers of worker groups run on them."""
DRIVER_CPU = 0.001
MAX_DRIVERS = 250
"""Drivers that together take a quarter of the reserve; the rest is for what Ray itself does."""


@dataclass(frozen=True)
class Node:
    """One machine's logical CPUs and GPUs, the reserve left out."""

    cpus: float
    gpus: float


@dataclass(frozen=True)
class Allotment:
    """What a sweep gets.

    Attributes:
        concurrent: configurations that train at once.
        trial: Tune's resources for one trial: those of the one worker that trains inside it, or, where a
            worker group does the training, next to nothing.
    """

    concurrent: int
    trial: dict[str, float]


def local_node() -> Node:
    """This machine."""
    return Node(cpus=float(len(os.sched_getaffinity(0))), gpus=float(torch.cuda.device_count()))


def allot(spec: SweepSpec, nodes: Sequence[Node]) -> Allotment:
    """Divide the nodes among configurations so that no one can wait for what another holds.

    Every worker of every configuration that runs at once has its own place on some node, trial drivers and
    data reads live on the reserve: all that is started can finish.

    Raises UserError where one configuration's workers do not fit.
    """
    training = spec.training
    places = places_on(nodes, training)
    if places < training.workers:
        cpus, gpus = sum(node.cpus for node in nodes), sum(node.gpus for node in nodes)
        raise UserError(
            f"training.workers: {training.workers} workers of {training.cpus_per_worker} CPUs and "
            f"{training.gpus_per_worker:g} GPUs do not fit on {len(nodes)} node(s) with {cpus:g} CPUs and "
            f"{gpus:g} GPUs; allowed: at most {places}"
        )
    if training.workers == 1:
        trial = {"CPU": float(training.cpus_per_worker), "GPU": training.gpus_per_worker}
        return Allotment(min(places, spec.search.parallel), trial)
    return Allotment(min(places // training.workers, spec.search.parallel, MAX_DRIVERS), {"CPU": DRIVER_CPU})


def places_on(nodes: Sequence[Node], training: TrainingConfig) -> int:
    """Workers that fit on the nodes."""
    return sum(_places(node, training) for node in nodes)


def _places(node: Node, training: TrainingConfig) -> int:
    """Workers that fit on a node. Shares of a GPU come out of one GPU each."""
    by_cpu = max(0, int(node.cpus // training.cpus_per_worker))
    each = training.gpus_per_worker
    if not each:
        return by_cpu
    by_gpu = int(node.gpus) * math.floor(1 / each + 1e-9) if each < 1 else int(node.gpus // each)
    return min(by_cpu, by_gpu)


@dataclass(frozen=True)
class Estimate:
    """What a sweep will cost, if racing stops nothing.

    Attributes:
        epoch_s: seconds of one epoch, measured here with one worker.
        hours: wall time of the search.
        disk_gb: checkpoints of all seeds, in 10^9 bytes.
    """

    epoch_s: float
    hours: float
    disk_gb: float


def estimate(spec: SweepSpec, allotment: Allotment, image_shape: tuple[int, ...], train_size: int) -> Estimate:
    """Train for real on noise of the right shape, here and with one worker, and multiply."""
    step_s, checkpoint_bytes = _rehearse(spec, image_shape)
    training, search = spec.training, spec.search
    epoch_s = step_s * (train_size // training.batch_size)
    seed_runs = search.trials * len(search.seeds)
    hours = epoch_s / training.workers * spec.epochs * seed_runs / allotment.concurrent / 3600
    return Estimate(epoch_s, hours, seed_runs * checkpoint_bytes / 1e9)


def _rehearse(spec: SweepSpec, image_shape: tuple[int, ...]) -> tuple[float, int]:
    """Seconds of one step, its share of evaluation included, and bytes of a seed's checkpoints."""
    batch = spec.training.batch_size
    rng = np.random.default_rng(0)
    images = rng.standard_normal((2 * batch, *image_shape), dtype=np.float32)
    noise = Rows(images, rng.uniform(20, 80, 2 * batch), None, np.arange(2 * batch))
    feed = ResidentFeed(ResidentData(noise, noise, np.zeros(2 * batch, dtype=np.int64), None))
    changes = {"epochs": 2, "warmup_epochs": 0, "workers": 1, "gpus_per_worker": 0, "precision": "fp32"}
    training = TrainingConfig.model_validate(spec.training.model_dump() | changes)
    model = spec.model.model_copy(update={"init_from": None})
    run = RunConfig(model=model, training=training, method=MethodConfig(name="exponential"))
    with tempfile.TemporaryDirectory() as name:
        history = pretrain(run, feed, Path(name), device=torch.device("cpu"))
        nbytes = sum(path.stat().st_size for path in Path(name).iterdir())
    return history.epochs[-1]["epoch_s"] / 2, nbytes
