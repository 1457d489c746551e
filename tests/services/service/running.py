"""A service in this process, over a cluster in miniature and real folders, and who may ask it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import optuna
import yaml

from contrasweep.services.service.api import Admit, make_app
from contrasweep.services.service.bounds import read_spec
from contrasweep.services.service.guard import Guard
from contrasweep.services.service.measures import Measures
from contrasweep.services.service.sweeps import Service
from contrasweep.services.service.tokens import FILE, Tokens
from contrasweep.services.settings import Settings
from contrasweep.services.spec.spec import LoadedSpec
from tests.services.service.processes import Processes
from tests.services.service.wire import serving

PATIENCE_S = 30.0


def spec(name: str = "small", **fields: Any) -> dict[str, Any]:
    """A spec that needs no data to be submitted."""
    data = {"participants": "p.tsv", "image": "{id}.npy", "label": "age"}
    return {"name": name, "data": data, "search": {"spaces": ["dynlocrep"], "trials": 4}} | fields


@dataclass
class Running:
    """What a test can get at."""

    url: str
    settings: Settings
    service: Service
    cluster: Processes
    tokens: dict[str, str]

    def ask(self, method: str, path: str, user: str = "ada", **request: Any) -> httpx.Response:
        """One request."""
        headers = {"authorization": f"Bearer {self.tokens[user]}"} | request.pop("headers", {})
        options = {"timeout": PATIENCE_S, "trust_env": False} | request
        return httpx.request(method, self.url + path, headers=headers, **options)

    def submit(self, document: dict[str, Any], user: str = "ada") -> httpx.Response:
        """One spec."""
        return self.ask("POST", "/sweeps", user, json=document)

    def until(self, sweep_id: str, state: str) -> dict[str, Any]:
        """Wait until a sweep is in a state."""
        return dict(wait(lambda: self.ask("GET", f"/sweeps/{sweep_id}").json(), lambda sweep: sweep["state"] == state))


def wait(look: Callable[[], Any], done: Callable[[Any], bool] = bool) -> Any:
    """Look until it is done; what was seen then."""
    deadline = time.monotonic() + PATIENCE_S
    while not done(seen := look()):
        assert time.monotonic() < deadline, seen
        time.sleep(0.05)
    return seen


@contextmanager
def running(
    home: Path, cluster: Processes | None = None, seconds: float = 60.0, admit: Admit | None = None, **fields: Any
) -> Iterator[Running]:
    """The service with ada and bob (submitter), eve (viewer) and root (admin); its drivers end with the block."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    given: dict[str, Any] = {"home": home, "data_roots": (home,), "jobs_address": "http://head:8265"} | fields
    settings = Settings(**given)
    used = cluster or Processes(settings, seconds)
    tokens = Tokens(home / FILE)
    roles = {"ada": "submitter", "bob": "submitter", "eve": "viewer", "root": "admin"}
    texts = {user: tokens.create(user, role) for user, role in roles.items()}
    service = Service(settings, used)
    measures = Measures(service)
    app = make_app(
        service,
        Guard(tokens, on_failure=measures.count_refused),
        admit or (lambda body, kind: LoadedSpec(read_spec(body, kind), Path("spec.yaml"), home)),
        measures,
    )
    try:
        with serving(app) as port:
            yield Running(f"http://127.0.0.1:{port}", settings, service, used, texts)
    finally:
        if cluster is None:
            used.end()


def as_yaml(document: dict[str, Any]) -> bytes:
    """The same as YAML."""
    return yaml.safe_dump(document).encode()
