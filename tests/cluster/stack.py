"""Everything at once, as it is shipped: PostgreSQL, MLflow, two nodes of Ray, and the service."""

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import yaml
from mlflow import MlflowClient

from contrasweep.services.settings import Settings
from contrasweep.services.spec.spec import LoadedSpec, parse_spec
from tests.cluster.database import Database, postgres
from tests.cluster.laptop import Laptop
from tests.cluster.ray_nodes import RayCluster, ray_cluster
from tests.cluster.server import Server, free_ports, plain_environment
from tests.cluster.tracking_server import TrackingServer, mlflow_server
from tests.services.small_study import SPEC, write_study


@dataclass(frozen=True)
class Stack:
    """The running stack. `environment` is what the head and the service are told."""

    folder: Path
    environment: Mapping[str, str]
    database: Database
    tracking: TrackingServer
    ray: RayCluster
    service: Server
    url: str
    people: dict[str, Laptop] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        """The cluster's settings, to look at its folders."""
        return Settings(home=self.folder / "shared" / "home", storage_path=str(self.folder / "shared" / "storage"))

    @property
    def operator(self) -> Laptop:
        """Who sits at the service's own machine."""
        return Laptop(self.folder / "operator", self.environment)

    def user(self, name: str, role: str = "submitter") -> Laptop:
        """A person with a token for the service."""
        if name not in self.people:
            made = self.operator.call("token", "create", "--user", name, "--role", role)
            assert made.code == 0, made.err
            access = {"CONTRASWEEP_SERVER": self.url, "CONTRASWEEP_TOKEN": made.out.strip()}
            self.people[name] = Laptop(self.folder / "laptops" / name, access)
        return self.people[name]

    @property
    def neighbour(self) -> Laptop:
        """A person with no service, but with Ray's own token."""
        access = {"CONTRASWEEP_JOBS_ADDRESS": self.ray.dashboard, **self.ray.credentials}
        return Laptop(self.folder / "laptops" / "neighbour", access)

    def spec(self, name: str, **changes: Mapping[str, Any]) -> tuple[str, LoadedSpec]:
        """A spec file for the cluster's data, and what it says; `changes` go into the sections that they name."""
        document = {"name": name} | {
            key: {**value, **changes.get(key, {})} for key, value in SPEC.items() if isinstance(value, dict)
        }
        path = self.folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(document))
        return str(path), LoadedSpec(parse_spec(path.read_text(), path.name), path, self.folder / "shared" / "data")

    def drivers(self) -> list[psutil.Process]:
        """The processes that drive sweeps now."""
        found = []
        for process in self.ray.head.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                words = process.cmdline()
                if "contrasweep.services.verbs.driver" in words and "run" in words and words[0].endswith("python"):
                    found.append(process)
        return found

    def jobs(self, sweep_id: str) -> list[dict[str, Any]]:
        """Ray's jobs that drive, or drove, a sweep."""
        answer = httpx.get(f"{self.ray.dashboard}/api/jobs/", headers=self.ray.headers, timeout=30)
        answer.raise_for_status()
        return [job for job in answer.json() if str(job["submission_id"]).startswith(f"{sweep_id}.")]

    def printed(self, sweep_id: str) -> str:
        """What a sweep's drivers printed as Ray's jobs."""
        urls = [f"{self.ray.dashboard}/api/jobs/{job['submission_id']}/logs" for job in self.jobs(sweep_id)]
        return "".join(httpx.get(url, headers=self.ray.headers, timeout=30).json()["logs"] for url in urls)

    def mlflow(self) -> MlflowClient:
        """The tracking server, as its user."""
        return MlflowClient(tracking_uri=self.tracking.url)


@contextlib.contextmanager
def stack(folder: Path) -> Iterator[Stack]:
    """Everything for as long as the block, and gone after it however it ends."""
    shared = folder / "shared"
    write_study(shared / "data")
    with contextlib.ExitStack() as started:
        database = started.enter_context(postgres())
        tracking = started.enter_context(mlflow_server(folder, database))
        environment = {
            "CONTRASWEEP_HOME": str(shared / "home"),
            "CONTRASWEEP_STORAGE_PATH": str(shared / "storage"),
            "CONTRASWEEP_VOLUMES": str(shared / "volumes"),
            "CONTRASWEEP_DATA_ROOTS": str(shared / "data"),
            "CONTRASWEEP_TRACKING_URI": tracking.url,
            "CONTRASWEEP_OPTUNA_STORAGE": database.create_with_password("optuna"),
            "OMP_NUM_THREADS": "1",
            **tracking.credentials,
        }
        cluster = started.enter_context(ray_cluster(folder, environment))
        environment |= {"CONTRASWEEP_JOBS_ADDRESS": cluster.dashboard, **cluster.credentials}
        (port,) = free_ports(1)
        url = f"http://127.0.0.1:{port}"
        service = _service(folder, environment, port, url)
        running = Stack(folder, environment, database, tracking, cluster, service, url)
        running.user("root", "admin")
        started.callback(service.stop)
        service.start()
        yield running


def _service(folder: Path, environment: Mapping[str, str], port: int, url: str) -> Server:
    command = [sys.executable, "-m", "contrasweep.services.cli", "serve", f"--port={port}"]
    told = {**plain_environment(), **environment, "PYTHONPATH": os.environ["PYTHONPATH"]}
    return Server("service", command, told, folder, lambda: _is_healthy(url))


def _is_healthy(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz", timeout=5).status_code == 200
    except httpx.TransportError:
        return False
