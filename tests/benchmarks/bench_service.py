"""What the service costs and bears: clients that poll while a sweep trains on the same machine, and long lists.

    PYTHONPATH=. python tests/benchmarks/bench_service.py [seconds of a window]

A real Ray head, the service as its own process and one endless sweep. Windows without and with 50 clients, who all ask
GET /sweeps/{id} at the same moment of each second, follow each other; the sweep's epochs are counted in each.
Goals: p99 < 300 ms, the sweep no more than 5 % slower, `list` of 1,000 finished sweeps < 1 s.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import quantiles

os.environ["OMP_NUM_THREADS"] = "1"

import httpx
import optuna
import psutil

from contrasweep.services.records.folder import FINISHED, SweepFolder, SweepState
from contrasweep.services.records.trial_record import read_records
from contrasweep.services.service.ledger import Entry, Ledger
from contrasweep.services.service.tokens import FILE, Tokens
from contrasweep.services.settings import Settings
from contrasweep.services.stores.optuna import open_storage
from tests.cluster.server import Server, free_ports, plain_environment, wait_until
from tests.services.small_study import write_study
from tests.services.verbs.ray_head import RayHead, ray_head

CLIENTS, ROUNDS, FINISHED_SWEEPS, START_S = 50, 4, 1000, 240.0


def main() -> None:
    """Start everything, measure, print."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    window_s = float(sys.argv[1]) if len(sys.argv) > 1 else 20.0
    with tempfile.TemporaryDirectory() as name, ray_head(Path(name), {"OMP_NUM_THREADS": "1"}) as head:
        study = Path(name) / "study"
        settings = Settings(home=head.home, data_roots=(study,), jobs_address=head.dashboard)
        token = Tokens(head.home / FILE).create("ada", "admin")
        (port,) = free_ports(1)
        with_it = {"Authorization": f"Bearer {token}"}
        server = _service(Path(name), head, study, port)
        server.start()
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=with_it, timeout=120) as client:
                _poll(client, settings, study, port, token, window_s, server)
                _list(client, settings, head, port, token, server)
        finally:
            server.stop()


def _service(folder: Path, head: RayHead, study: Path, port: int) -> Server:
    told = _environment(head) | {"CONTRASWEEP_DATA_ROOTS": str(study), "CONTRASWEEP_JOBS_ADDRESS": head.dashboard}
    command = [sys.executable, "-m", "contrasweep.services.cli", "serve", "--port", str(port)]

    def up() -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    study.mkdir()
    return Server("service", command, told, folder, up)


def _environment(head: RayHead) -> dict[str, str]:
    secret = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(head.token_path)}
    return plain_environment() | secret | {"CONTRASWEEP_HOME": str(head.home)}


def _poll(
    client: httpx.Client, settings: Settings, study: Path, port: int, token: str, window_s: float, server: Server
) -> None:
    search = {"spaces": ["exponential"], "trials": 1, "seeds": [0], "parallel": 1, "racing": None}
    loaded = write_study(study, training={"epochs": 100_000}, search=search)
    answer = client.post(
        "/sweeps", content=loaded.spec.to_yaml().encode(), headers={"content-type": "application/yaml"}
    )
    answer.raise_for_status()
    name = answer.json()["sweep"]["id"]
    wait_until(lambda: _epochs(settings, name) > 5, START_S, lambda: f"{client.get(f'/sweeps/{name}').text}")
    own = psutil.Process(server.processes()[0].pid)
    rates: dict[bool, list[float]] = {False: [], True: []}
    latencies: list[float] = []
    busy: list[float] = []
    for number in range(ROUNDS):
        for polled in (False, True) if number % 2 else (True, False):  # what else the machine does drifts
            before, began, spent = _epochs(settings, name), time.monotonic(), sum(own.cpu_times()[:2])
            if polled:
                latencies += asyncio.run(_clients(port, f"/sweeps/{name}", token, window_s))
            else:
                time.sleep(window_s)
            took = time.monotonic() - began
            rates[polled].append((_epochs(settings, name) - before) / took)
            if polled:
                busy.append((sum(own.cpu_times()[:2]) - spent) / took)
    client.post(f"/sweeps/{name}/stop").raise_for_status()
    wait_until(lambda: client.get(f"/sweeps/{name}").json()["state"] == "stopped", START_S)
    alone, beside = (sum(rates[polled]) / ROUNDS for polled in (False, True))
    cuts = quantiles(latencies, n=100)
    print(f"{len(latencies)} requests of {CLIENTS} clients: p50 {cuts[49] * 1e3:.1f} ms, p99 {cuts[98] * 1e3:.1f} ms")
    print(f"epochs/s: {alone:.2f} alone, {beside:.2f} polled: {100 * (1 - beside / alone):+.1f} % slower")
    print(f"  by window, alone {_shown(rates[False])}, polled {_shown(rates[True])}")
    print(f"the service: {100 * sum(busy) / ROUNDS:.0f} % of a core while polled, {own.memory_info().rss / 1e6:.0f} MB")


async def _clients(port: int, path: str, token: str, window_s: float) -> list[float]:
    """Seconds that each request took; all clients ask at once, each second, on connections that stay."""
    latencies: list[float] = []
    request = f"GET {path} HTTP/1.1\r\nHost: service\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    ends = time.monotonic() + window_s

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.monotonic() < ends:
            began = time.perf_counter()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 "), head
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
            await reader.readexactly(int(length.partition(b":")[2]))
            latencies.append(time.perf_counter() - began)
            await asyncio.sleep(1 - time.time() % 1)
        writer.close()

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return latencies


def _list(client: httpx.Client, settings: Settings, head: RayHead, port: int, token: str, server: Server) -> None:
    _fill(settings)
    server.kill()
    server.start()
    wait_until(lambda: len(client.get("/sweeps").json()) >= FINISHED_SWEEPS, START_S)
    times = []
    for _ in range(10):
        time.sleep(0.5)
        began = time.perf_counter()
        found = client.get("/sweeps").json()
        times.append(time.perf_counter() - began)
    print(f"list of {len(found)} sweeps: over HTTP {_shown(sorted(times), 3)} s")
    remote = {"CONTRASWEEP_SERVER": f"http://127.0.0.1:{port}", "CONTRASWEEP_TOKEN": token}
    for words, told in (("of the folders", {}), ("at the service", remote)):
        times = sorted(_timed_list(_environment(head) | told) for _ in range(3))
        print(f"`contrasweep list --json` {words}: {_shown(times)} s")


def _fill(settings: Settings) -> None:
    """A thousand finished sweeps as folders and entries; a service that is started afterwards has them all."""
    loaded = SweepFolder.every(settings)[0].load()
    ledger = Ledger(lambda: open_storage(settings))
    ledger.check()
    spec = loaded.spec
    for number in range(FINISHED_SWEEPS):
        name = f"done-{number:08x}"
        folder = SweepFolder(settings.sweeps / name)
        folder.path.mkdir(parents=True)
        (folder.path / "spec.yaml").write_text(spec.to_yaml())
        (folder.path / "origin.json").write_text(json.dumps({"path": "spec.yaml", "base": str(loaded.base)}))
        state = SweepState(
            id=name, state=FINISHED, attempt=1, user="ada", label="age", trials=5, seeds=2, ended=5, best=4.5
        )
        folder.write_state(state)
        entry = {"user": "ada", "submitted": 1.0, "queued": 1.0, "phase": "over", "ended": "finished", "attempt": 1}
        about = {"spec": spec.to_yaml(), "base": str(loaded.base), "label": "age", "trials": 5, "seeds": 2}
        ledger.create(Entry.model_validate({"id": name} | about | entry))


def _timed_list(environment: Mapping[str, str]) -> float:
    began = time.perf_counter()
    command = [sys.executable, "-m", "contrasweep.services.cli", "list", "--json"]
    done = subprocess.run(command, env=dict(environment), check=True, capture_output=True, text=True)
    took = time.perf_counter() - began
    assert len(json.loads(done.stdout)) >= FINISHED_SWEEPS
    return took


def _epochs(settings: Settings, name: str) -> int:
    records = read_records(Path(settings.storage_path) / name, SweepFolder(settings.sweeps / name).load().spec.plan)
    return sum(len(history.epochs) for record in records for history in record.histories.values())


def _shown(values: list[float], digits: int = 2) -> str:
    return ", ".join(f"{value:.{digits}f}" for value in values)


if __name__ == "__main__":
    main()
