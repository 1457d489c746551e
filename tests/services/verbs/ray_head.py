"""A Ray head on this machine, started as an operator does, that demands a token."""

import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.cluster.server import Server, free_ports, plain_environment


@dataclass(frozen=True)
class RayHead:
    """Where its dashboard is, its token, and the home that drivers on it have."""

    dashboard: str
    token_path: Path
    home: Path

    def answers(self) -> bool:
        """Whether jobs can be submitted."""
        headers = {"Authorization": f"Bearer {self.token_path.read_text()}"}
        try:
            return httpx.get(f"{self.dashboard}/api/jobs/", headers=headers, timeout=5).status_code == 200
        except httpx.TransportError:
            return False


@contextmanager
def ray_head(folder: Path, environment: Mapping[str, str]) -> Iterator[RayHead]:
    """A head for as long as the block; drivers on it have `environment`, and this Python is not on their PATH."""
    token_path = folder / "token"
    token_path.write_text(secrets.token_hex(32))
    token_path.chmod(0o600)
    told = {
        **plain_environment(),
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token_path),
        "CONTRASWEEP_HOME": str(folder / "home"),
        "OMP_NUM_THREADS": "1",
        **environment,
    }
    names = ["port", "dashboard-port", "ray-client-server-port", "dashboard-agent-listen-port"]
    names += ["dashboard-agent-grpc-port", "metrics-export-port", "node-manager-port", "object-manager-port"]
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    head = RayHead(f"http://127.0.0.1:{ports['dashboard-port']}", token_path, folder / "home")
    scratch = Path(tempfile.mkdtemp(prefix="cs-"))  # short: sockets live in it
    command = [str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", "--num-cpus=3"]
    command += ["--object-store-memory=200000000", "--disable-usage-stats", f"--temp-dir={scratch}"]
    server = Server("head", [*command, *(f"--{n}={port}" for n, port in ports.items())], told, folder, head.answers)
    try:
        server.start()
        yield head
    finally:
        server.kill()
        shutil.rmtree(scratch, ignore_errors=True)
