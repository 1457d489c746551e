"""The Ray cluster of a sweep: one on this machine, or the one that the settings name."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import ray

from services.cluster.environment import TOKEN_PATH, cluster_token
from services.cluster.places import RESERVED_CPUS, Node, local_node
from services.settings import Settings
from trainers.errors import UserError


@contextmanager
def cluster(settings: Settings) -> Iterator[list[Node]]:
    """Connect to Ray, or start it here, for as long as the block; yields the nodes, the reserve left out.

    A Ray that is already running in this process is used as it is, and left running.
    """
    if ray.is_initialized():
        yield living_nodes()
        return
    if settings.ray_address == "local":
        node = local_node()
        # The dashboard frees what a group that died had reserved.
        ray.init("local", num_cpus=int(node.cpus) + RESERVED_CPUS, include_dashboard=True, **_silent())
    else:
        try:
            ray.init(settings.ray_address, **_silent())
        except (ConnectionError, ValueError) as error:
            reason = " ".join(str(error).split())
            token = "" if cluster_token() else f"; where it asks for a token, {TOKEN_PATH} must name its file"
            raise UserError(
                f"CONTRASWEEP_RAY_ADDRESS: no Ray cluster at '{settings.ray_address}': {reason}{token}"
            ) from error
    try:
        yield living_nodes()
    finally:
        ray.shutdown()


def _silent() -> dict[str, object]:
    return {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": True}


def living_nodes() -> list[Node]:
    """The nodes that are alive now, the reserve left out."""
    alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return [Node(max(0.0, r.get("CPU", 0.0) - RESERVED_CPUS), r.get("GPU", 0.0)) for r in alive]
