"""MLflow's server by the script that ships it: PostgreSQL, artifacts through its proxy, basic authentication."""

import base64
import contextlib
import os
import secrets
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.cluster.database import Database
from tests.cluster.server import Server, free_ports, plain_environment

SCRIPT = Path(__file__).parents[2] / "deploy" / "docker" / "mlflow-server.sh"
USER = "contrasweep"


@dataclass(frozen=True)
class TrackingServer:
    """A running MLflow server, and the user whom sweeps log as."""

    server: Server
    url: str
    password: str

    @property
    def credentials(self) -> dict[str, str]:
        """Variables that a client of it needs."""
        return {"MLFLOW_TRACKING_USERNAME": USER, "MLFLOW_TRACKING_PASSWORD": self.password}


@contextlib.contextmanager
def mlflow_server(folder: Path, database: Database) -> Iterator[TrackingServer]:
    """MLflow for as long as the block."""
    (port,) = free_ports(1)
    url, password = f"http://127.0.0.1:{port}", secrets.token_hex(16)
    environment = {
        **plain_environment(),
        **_secret(folder, "MLFLOW_DATABASE_PASSWORD_FILE", database.password),
        **_secret(folder, "MLFLOW_ADMIN_PASSWORD_FILE", secrets.token_hex(16)),
        **_secret(folder, "MLFLOW_ACCOUNT_PASSWORD_FILE", password),
        **_secret(folder, "MLFLOW_SECRET_KEY_FILE", secrets.token_hex(32)),
        "MLFLOW_BACKEND_STORE_URI": database.create("mlflow"),
        "MLFLOW_AUTH_STORE_URI": database.create("mlflow_auth"),
        "MLFLOW_ARTIFACTS_DESTINATION": str(folder / "artifacts"),
        "MLFLOW_PORT": str(port),
        "MLFLOW_WORKERS": "1",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    server = Server("mlflow", ["bash", str(SCRIPT)], environment, folder, lambda: _knows(url, password))
    try:
        server.start()
        yield TrackingServer(server, url, password)
    finally:
        server.stop()


def _secret(folder: Path, variable: str, value: str) -> dict[str, str]:
    path = folder / variable.lower()
    path.write_text(value)
    path.chmod(0o600)
    return {variable: str(path)}


def _knows(url: str, password: str) -> bool:
    """Whether the server answers and the user is there."""
    login = base64.b64encode(f"{USER}:{password}".encode()).decode()
    try:
        answer = httpx.get(
            f"{url}/api/2.0/mlflow/users/get?username={USER}", headers={"Authorization": f"Basic {login}"}, timeout=5
        )
    except httpx.TransportError:
        return False
    return answer.status_code == 200
