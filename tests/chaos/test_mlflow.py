"""Sweeps whose MLflow dies, is tidied up or was left by another version."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from mlflow import MlflowClient

from contrasweep.services.records.trial_record import read_records
from contrasweep.services.settings import Settings
from tests.chaos.undisturbed import CODE, Undisturbed, start, undisturbed
from tests.cluster.server import Server, free_ports, plain_environment, wait_until
from tests.services.stores.mlflow_databases import BEFORE, revision, write_older

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(1500)]
__all__ = ["undisturbed"]

OF_THE_MACHINE = ("epoch_s", "system/", "start_time", "seconds")
URI = "CONTRASWEEP_TRACKING_URI"


def mlflow_server(folder: Path) -> tuple[Server, str]:
    """MLflow on a SQLite file, with artifacts through its proxy; and its address."""
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/server.db", "--artifacts-destination", str(folder / "kept")]
    environment = plain_environment() | {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    return Server("mlflow", command, environment, folder, lambda: _is_healthy(url)), url


def _is_healthy(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def call(*arguments: str, home: Path, **environment: str) -> str:
    """What a command prints."""
    ended = subprocess.run(
        [sys.executable, "-c", CODE, *arguments],
        env={**os.environ, "CONTRASWEEP_HOME": str(home), **environment},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def epochs_run(of: Undisturbed, settings: Settings) -> int:
    """Epochs that all seeds of the disturbed sweep have behind them."""
    sweep = Path(settings.storage_path) / of.loaded.sweep_id
    records = read_records(sweep, of.loaded.spec.plan)
    return sum(len(history.epochs) for record in records for history in record.histories.values())


def in_mlflow(uri: str) -> dict[str, Any]:
    """All of one sweep in MLflow, by the keys of its runs, and the models; without what only the machine decides."""
    client = MlflowClient(tracking_uri=uri)
    runs = client.search_runs([each.experiment_id for each in client.search_experiments()], max_results=1000)
    keys = [run.data.tags["contrasweep.key"] for run in runs]
    assert len({*keys}) == len(keys), "a run was made twice"
    told = {
        key: (
            run.info.status,
            run.data.params,
            {name: value for name, value in run.data.tags.items() if name.startswith("contrasweep.")},
            {name: _curve(client, run.info.run_id, name) for name in run.data.metrics if _is_told(name)},
            _files(client, run.info.run_id),
        )
        for key, run in zip(keys, runs, strict=True)
    }
    return {**told, "models": [(model.name, model.tags) for model in client.search_model_versions()]}


def _is_told(metric: str) -> bool:
    return metric not in ("best_objective", "best_trial") and not metric.startswith(OF_THE_MACHINE)


def _curve(client: MlflowClient, run: str, metric: str) -> list[tuple[int, float]]:
    return sorted((point.step, point.value) for point in client.get_metric_history(run, metric))


def _files(client: MlflowClient, run: str, folder: str | None = None) -> list[str]:
    listed = client.list_artifacts(run, folder)
    below = [file for one in listed if one.is_dir for file in _files(client, run, one.path)]
    return sorted(below + [one.path for one in listed if not one.is_dir])


def test_a_server_that_dies_for_good_takes_nothing_with_it(undisturbed: Undisturbed, tmp_path: Path) -> None:
    settings, (server, url) = undisturbed.home(tmp_path / "home"), mlflow_server(tmp_path)
    home, sweep_id = settings.home, undisturbed.loaded.sweep_id
    server.start()
    try:
        running = start("run", str(undisturbed.loaded.path), home=home, **{URI: url})
        wait_until(lambda: epochs_run(undisturbed, settings) > 4, 600, possible=lambda: running.poll() is None)
    finally:
        server.kill()
    printed, _ = running.communicate(timeout=600)
    assert running.returncode == 0, printed
    assert f"contrasweep sync {sweep_id}" in printed and printed.count("MLflow does not answer") == 1
    undisturbed.check_equals(settings)
    sweep = json.loads(call("status", sweep_id, "--json", home=home))
    assert (sweep["state"], sweep["undelivered"]) == ("finished", True)
    assert "finished, not delivered" in call("list", home=home)
    assert "contrasweep sync" in (settings.reports / f"{sweep_id}.html").read_text()

    new = f"sqlite:///{tmp_path}/new/mlflow.db"
    for _ in range(2):
        told = json.loads(call("sync", sweep_id, "--json", home=home, **{URI: new}))
        assert (told["state"], told["undelivered"]) == ("finished", False)
        assert in_mlflow(new) == in_mlflow(undisturbed.settings.tracking_uri)
    assert "not delivered" not in call("list", home=home)


def test_an_older_database_is_upgraded_and_what_is_deleted_meanwhile_comes_back(
    undisturbed: Undisturbed, tmp_path: Path
) -> None:
    settings = undisturbed.home(tmp_path / "home")
    write_older(settings.home / "mlflow.db")
    running = start("run", str(undisturbed.loaded.path), home=settings.home)
    wait_until(lambda: epochs_run(undisturbed, settings) > 4, 600, possible=lambda: running.poll() is None)
    client = MlflowClient(tracking_uri=settings.tracking_uri)
    runs = wait_for_a_trial(client)
    client.delete_run(runs)
    client.delete_experiment(client.get_experiment_by_name("small").experiment_id)
    printed, _ = running.communicate(timeout=600)
    assert running.returncode == 0, printed
    assert printed.count("is upgraded to MLflow") == 1 and printed.count("were deleted from MLflow") == 1
    assert "not delivered" not in printed and "refused" not in printed
    assert revision(settings.home / f"mlflow-{BEFORE}.db") == BEFORE
    undisturbed.check_equals(settings)
    assert in_mlflow(settings.tracking_uri) == in_mlflow(undisturbed.settings.tracking_uri)


def wait_for_a_trial(client: MlflowClient) -> str:
    """The id of the run of the first configuration, once it is there."""
    while True:
        found = client.get_experiment_by_name("small")
        runs = client.search_runs([found.experiment_id]) if found else []
        for run in runs:
            if run.data.tags["contrasweep.key"].endswith("/0"):
                return str(run.info.run_id)
        time.sleep(0.2)
