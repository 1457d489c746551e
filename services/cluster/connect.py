"""The Ray cluster of a sweep: one on this machine, or the one that the settings name.

Ray reads its environment when it is imported. So nothing imports Ray before `cluster` has set that environment: what
needs Ray is imported inside the block.
"""

import logging
import os
import re
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from contrasweep.services.cluster.environment import TOKEN_PATH, cluster_token, set_ray_environment
from contrasweep.services.cluster.places import RESERVED_CPUS, Node, local_node
from contrasweep.services.settings import Settings
from contrasweep.services.text import one_line, without_secrets
from contrasweep.trainers.errors import UserError

SHARED_MEMORY = Path("/dev/shm")
LONGEST_FOLDER = 107 - len("/session_2026-01-31_09-59-00_123456_4194304/sockets/dash_TaskEventsHead")
"""Bytes of the path of Ray's sessions: those of a socket have at most 107."""
_ROOM_BYTES = 2**20
HERE = "contrasweep-here"
"""The namespace of a Ray that was started here."""
_ANSWER_S = 5.0
_PORT = re.compile(r"(?:ray://)?\[?([\w.:-]+?)\]?:(\d+)")
"""Of a cluster's address: HOST:PORT, or that of its server for clients, which are part of no node."""


def at(address: str, settings: Settings) -> Settings:
    """The settings with the Ray cluster at `address`. Raises UserError on what is no address of one."""
    if address != "auto" and not _PORT.fullmatch(address):
        shown = without_secrets(address)
        raise UserError(f"--address: '{shown}' is not allowed: must be auto, HOST:6379 or ray://HOST:10001")
    return settings.model_copy(update={"ray_address": address})


@contextmanager
def cluster(
    settings: Settings,
    waiting: Callable[[str], AbstractContextManager[object]] = nullcontext,
    code: Path | None = None,
) -> Iterator[list[Node]]:
    """Connect to Ray, or start it here, for as long as the block; yields the nodes, the reserve left out.

    What takes seconds happens inside `waiting` and a few words. Of a cluster's nodes all run the packages in the folder
    `code`, where that is given, in place of their own. A Ray that is already running in this process is used as it is,
    and left running. Raises UserError where Ray does not start, or no cluster answers.
    """
    set_ray_environment(settings)
    here = settings.ray_address == "local"
    with waiting("starting Ray" if here else f"joining the Ray cluster at {settings.ray_address}"):
        import ray

        found = ray.is_initialized()
        if not found:
            _start() if here else _join(settings.ray_address, code)
    try:
        yield living_nodes()
    finally:
        if not found:
            with waiting("stopping Ray"):
                ray.shutdown()


def joined(
    settings: Settings, waiting: Callable[[str], AbstractContextManager[object]] = nullcontext
) -> AbstractContextManager[object]:
    """The cluster that the settings name, as `cluster` has it; nothing where they name this machine."""
    return nullcontext() if settings.ray_address == "local" else cluster(settings, waiting)


def has_joined() -> bool:
    """Whether this process is connected to Ray, and not to one that it has started for itself."""
    if "ray" not in sys.modules:
        return False
    import ray

    return bool(ray.is_initialized()) and ray.get_runtime_context().namespace != HERE


def living_nodes() -> list[Node]:
    """The nodes that are alive now, the reserve left out."""
    import ray

    alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return [Node(max(0.0, r.get("CPU", 0.0) - RESERVED_CPUS), r.get("GPU", 0.0)) for r in alive]


def _start() -> None:
    import ray

    folder, cpus = _session_folder(), int(local_node().cpus) + RESERVED_CPUS
    try:
        with _short_tmpdir(folder):
            # The dashboard frees what a group that died had reserved.
            ray.init("local", namespace=HERE, num_cpus=cpus, include_dashboard=True, _temp_dir=str(folder), **_silent())
    except Exception as error:  # Ray raises nearly anything where the machine lacks something
        lacks = not SHARED_MEMORY.is_dir()
        advice = f"mount {SHARED_MEMORY}" if lacks else f"{folder}/session_latest/logs says more"
        raise UserError(f"Ray does not start on this machine: {one_line(error)}; {advice}") from error


def _session_folder() -> Path:
    """Where Ray's sessions are: where Ray has them, or in /tmp where paths of its sockets would be too long there.

    Raises UserError where nothing can be written there, which Ray finds out after half a minute.
    """
    folder = Path(os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or "/tmp").absolute() / "ray"
    if len(os.fsencode(folder)) > LONGEST_FOLDER:
        folder = Path(f"/tmp/ray-{os.getuid()}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(_ROOM_BYTES))
    except OSError as error:
        advice = "set RAY_TMPDIR to a folder with room, such as /tmp"
        raise UserError(f"Ray's folder {folder} cannot be written: {error.strerror}; {advice}") from error
    return folder


@contextmanager
def _short_tmpdir(folder: Path) -> Iterator[None]:
    """TMPDIR is `folder` for the processes that the block starts, where sockets in TMPDIR had paths too long."""
    given = os.environ.get("TMPDIR", "")
    if len(os.fsencode(given)) <= LONGEST_FOLDER:
        yield
        return
    os.environ["TMPDIR"] = str(folder)
    try:
        yield
    finally:
        os.environ["TMPDIR"] = given


def _join(address: str, code: Path | None) -> None:
    import ray

    said = f"no Ray cluster at '{without_secrets(address)}', which --address or CONTRASWEEP_RAY_ADDRESS names"
    try:
        _reach(address)
        ray.init(address, runtime_env={"working_dir": str(code)} if code else None, **_silent())
    except ConnectionRefusedError as error:
        raise UserError(f"{said}: nothing answers there") from error
    except (OSError, RuntimeError, ValueError) as error:
        token = "" if cluster_token() else f"; where it asks for a token, {TOKEN_PATH} must name its file"
        raise UserError(f"{said}: {one_line(error)}{token}") from error


def _reach(address: str) -> None:
    """Raise OSError where nothing listens at an address, for which Ray waits a minute and more."""
    if place := _PORT.fullmatch(address):
        socket.create_connection((place[1], int(place[2])), timeout=_ANSWER_S).close()


def _silent() -> dict[str, object]:
    return {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": True}
