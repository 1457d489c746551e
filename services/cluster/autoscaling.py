"""Nodes that an autoscaler brings for a sweep, before the sweep is planned for what is there."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import ray
from ray.autoscaler.v2.sdk import get_cluster_status
from ray.autoscaler.v2.utils import is_autoscaler_v2
from ray.util.placement_group import placement_group, remove_placement_group
from rich.console import Console

from contrasweep.services.cluster.connect import living_nodes
from contrasweep.services.cluster.places import MAX_DRIVERS, RESERVED_CPUS, Node, places_on
from contrasweep.services.spec.spec import SweepSpec

FIRST_S, MORE_S, SILENCE_S = 1800.0, 180.0, 30.0
"""How long nodes are waited for until one configuration fits; for the next node then; and where none is on its way."""
POLL_S = 1.0


def grows() -> bool:
    """Whether Ray's autoscaler (version 2) looks after the cluster that this process has joined."""
    return bool(is_autoscaler_v2(fetch_from_server=True))


def grow(spec: SweepSpec, console: Console, is_asked_to_stop: Callable[[], bool]) -> list[Node]:
    """The nodes that are there, after an autoscaler, where there is one, has brought what the sweep can use.

    Raises KeyboardInterrupt where it is asked to stop while it waits.
    """
    training = spec.training
    wanted = min(spec.search.parallel, spec.search.trials, MAX_DRIVERS)
    nodes = living_nodes()
    fit = places_on(nodes, training) // training.workers
    if fit >= wanted or not grows():
        return nodes
    console.print(f"asking for nodes: {fit} of {wanted} configurations at once have a place", soft_wrap=True)
    with _asking(spec, wanted):
        began = grown = heard = time.monotonic()
        while fit < wanted and not _is_over(fit, began, grown, heard):
            if is_asked_to_stop():
                raise KeyboardInterrupt
            time.sleep(POLL_S)
            now = time.monotonic()
            heard = now if _are_coming() else heard
            grown = now if len(living_nodes()) > len(nodes) else grown
            nodes = living_nodes()
            fit = places_on(nodes, training) // training.workers
    console.print(f"{len(nodes)} node(s): {min(fit, wanted)} of {wanted} have a place", soft_wrap=True)
    return nodes


@contextmanager
def _asking(spec: SweepSpec, configurations: int) -> Iterator[None]:
    """Ask for places for as long as the block.

    Placement groups, unlike `request_resources`, go with their driver however it ends, are not all refused where
    the last does not fit, and leave those of other drivers alone. Each worker is asked for with the reserve of its
    node, for which the autoscaler knows no other word.
    """
    worker = {"CPU": float(spec.training.cpus_per_worker + RESERVED_CPUS)}
    if spec.training.gpus_per_worker:
        worker["GPU"] = spec.training.gpus_per_worker
    groups = [placement_group([worker] * spec.training.workers) for _ in range(configurations)]
    try:
        yield
    finally:
        for group in groups:
            remove_placement_group(group)


def _are_coming() -> bool:
    """Whether nodes are being made."""
    status = get_cluster_status(ray.get_runtime_context().gcs_address)
    return bool(status.pending_launches or status.pending_nodes)


def _is_over(fit: int, began: float, grown: float, heard: float) -> bool:
    now = time.monotonic()
    return now - heard > SILENCE_S or now - began > FIRST_S or (fit > 0 and now - grown > MORE_S)
