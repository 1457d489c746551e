"""What runs at once: the only place that divides resources."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass

from contrasweep.services.spec.spec import SweepSpec
from contrasweep.trainers.config import TrainingConfig
from contrasweep.trainers.errors import UserError

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
    import torch  # a second, which checking a spec does not need

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
