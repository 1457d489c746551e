"""A Ray cluster of two nodes on this machine, which demands a token."""

import contextlib
import secrets
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from tests.cluster.server import Server, free_ports, plain_environment

CPUS = {"head": 2, "worker": 2}
OBJECT_STORE = 300_000_000


@dataclass(frozen=True)
class RayCluster:
    """A running cluster; `address` is for drivers, `dashboard` for jobs."""

    head: Server
    worker: Server
    address: str
    dashboard: str
    token_path: Path

    @property
    def credentials(self) -> dict[str, str]:
        """Variables that a client of it needs."""
        return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(self.token_path)}

    @property
    def headers(self) -> dict[str, str]:
        """What a request to the dashboard carries."""
        return {"Authorization": f"Bearer {self.token_path.read_text()}"}

    def nodes_alive(self) -> int:
        """How many nodes the dashboard knows as alive."""
        try:
            answer = httpx.get(f"{self.dashboard}/nodes?view=summary", headers=self.headers, timeout=5)
        except httpx.TransportError:
            return 0
        if answer.status_code != 200:
            return 0
        nodes = answer.json()["data"]["summary"]
        return sum(node["raylet"]["state"] == "ALIVE" for node in nodes)

    def raylet_of(self, node: Server) -> psutil.Process:
        """The process that a node lives and dies with."""
        return next(process for process in node.processes() if process.name() == "raylet")


@contextlib.contextmanager
def ray_cluster(folder: Path, environment: Mapping[str, str]) -> Iterator[RayCluster]:
    """A head and a worker for as long as the block; `environment` is what drivers on the head are told."""
    token_path = folder / "ray_token"
    token_path.write_text(secrets.token_hex(32))
    token_path.chmod(0o600)
    gcs, dashboard, client = free_ports(3)
    address, url = f"127.0.0.1:{gcs}", f"http://127.0.0.1:{dashboard}"
    told = {
        **plain_environment(),
        **environment,
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token_path),
        "CONTRASWEEP_RAY_ADDRESS": address,
    }
    scratch = Path(tempfile.mkdtemp(prefix="cs-"))  # short: sockets live in it
    ports = [f"--port={gcs}", f"--dashboard-port={dashboard}", f"--ray-client-server-port={client}"]
    joined = [f"--address={address}"]
    head = _node("head", ["--head", "--include-dashboard=true", *ports], told, folder, scratch, lambda: alive() >= 1)
    worker = _node("worker", joined, told, folder, scratch, lambda: alive() >= 2)
    cluster = RayCluster(head, worker, address, url, token_path)
    alive = cluster.nodes_alive
    try:
        head.start()
        worker.start()
        yield cluster
    finally:
        worker.stop()
        head.stop()
        shutil.rmtree(scratch, ignore_errors=True)


def _node(
    name: str,
    options: Sequence[str],
    environment: Mapping[str, str],
    folder: Path,
    scratch: Path,
    answers: Callable[[], bool],
) -> Server:
    names = ["dashboard-agent-listen", "dashboard-agent-grpc", "runtime-env-agent", "metrics-export"]
    names += ["node-manager", "object-manager"]
    ports = [f"--{name}-port={port}" for name, port in zip(names, free_ports(len(names)), strict=True)]
    limits = [f"--num-cpus={CPUS[name]}", "--num-gpus=0", f"--object-store-memory={OBJECT_STORE}"]
    command = [str(Path(sys.executable).with_name("ray")), "start", "--block", "--node-ip-address=127.0.0.1"]
    command += [*options, *ports, *limits, f"--temp-dir={scratch / name}", "--disable-usage-stats"]
    return Server(name, command, environment, folder, answers)
