"""The dashboards of others, on the stores of the settings: MLflow's and Optuna's, for this machine alone."""

import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.console import Console

from contrasweep.services.records.folder import SweepFolder
from contrasweep.services.screen.waiting import waiting
from contrasweep.services.settings import Settings
from contrasweep.services.stores.mlflow import QUIET, quieten_mlflow
from contrasweep.services.sweep.signals import termination
from contrasweep.services.sweep.tracking_store import prepare_store
from contrasweep.services.text import one_line, without_secrets
from contrasweep.trainers.errors import UserError

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

HOST = "127.0.0.1"
MLFLOW_PORT, OPTUNA_PORT = 5000, 8080


def open_mlflow(settings: Settings, sweep_id: str | None, port: int | None, console: Console) -> int:
    """Serve MLflow's dashboard until Ctrl-C, or say where the server of the settings has it; the exit status.

    `sweep_id`, or the beginning of it, has the address of that sweep's run told. Raises UserError where the port is
    taken, where the sweep is unknown, and where the database is another MLflow's.
    """
    local = not settings.tracking_uri.startswith("http")
    fault, done = prepare_store(settings) if local else ("", "")
    if fault:
        raise UserError(fault)
    if done:
        console.print(done, soft_wrap=True, markup=False)
    with waiting(console, "asking MLflow"):
        page = _mlflow_page(settings, sweep_id) if sweep_id else ""
    if not local:
        console.print(
            f"the dashboard is at {without_secrets(settings.tracking_uri)}{page}", soft_wrap=True, markup=False
        )
        return 0
    port = _free(port or MLFLOW_PORT)
    console.print(f"MLflow's dashboard: http://{HOST}:{port}{page}  (Ctrl-C ends it)", soft_wrap=True, markup=False)
    command = [sys.executable, "-m", "mlflow", "ui", "--host", HOST, "--port", str(port), "--workers", "1"]
    # In the environment rather than on the command line, which every user of the machine can read.
    told = {"MLFLOW_BACKEND_STORE_URI": settings.tracking_uri, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    return _call_leashed(command, QUIET | os.environ | told)


def open_optuna(settings: Settings, sweep_id: str | None, port: int | None, console: Console) -> None:
    """Serve Optuna's dashboard until Ctrl-C, and say where a sweep's study is in it; raises as `open_mlflow` does."""
    with waiting(console, "opening the storage"):
        import optuna_dashboard

        from contrasweep.services.stores.optuna import open_storage

        storage = open_storage(settings)
    page = f"/dashboard/studies/{_study_number(storage, settings, sweep_id)}" if sweep_id else "/dashboard"
    port = _free(port or OPTUNA_PORT)
    console.print(f"Optuna's dashboard: http://{HOST}:{port}{page}  (Ctrl-C ends it)", soft_wrap=True, markup=False)
    optuna_dashboard.run_server(storage, host=HOST, port=port)


def _call_leashed(command: list[str], environment: Mapping[str, str]) -> int:
    """The status of a command that ends, with its workers, when this process does: by a signal, or killed."""
    leashed = [sys.executable, "-P", "-m", "contrasweep.services.cli.leash", *command]
    with termination():
        run = subprocess.Popen(leashed, env=environment, stdin=subprocess.PIPE, start_new_session=True)
        assert run.stdin
        try:
            return run.wait()
        finally:
            run.stdin.close()
            run.wait()


def _mlflow_page(settings: Settings, beginning: str) -> str:
    quieten_mlflow()
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    folder = SweepFolder.find(settings, beginning)
    try:
        client = MlflowClient(tracking_uri=settings.tracking_uri)
        experiment = client.get_experiment_by_name(folder.load().spec.name)
        if experiment is None:
            raise UserError(f"sweep {folder.sweep_id} is not in the tracking store yet")
        key = f"tags.`contrasweep.key` = '{folder.sweep_id}'"
        runs = client.search_runs([experiment.experiment_id], key, max_results=1)
    except MlflowException as error:
        raise UserError(f"CONTRASWEEP_TRACKING_URI: the tracking store does not answer: {one_line(error)}") from error
    run = f"/{runs[0].info.run_id}" if runs else ""
    return f"/#/experiments/{experiment.experiment_id}/runs{run}?workflowType=machine_learning"


def _study_number(storage: "BaseStorage", settings: Settings, beginning: str) -> int:
    folder = SweepFolder.find(settings, beginning)
    try:
        return storage.get_study_id_from_name(folder.sweep_id)
    except KeyError:
        if folder.searches:
            first = folder.searches[0].sweep_id
            raise UserError(f"sweep {folder.sweep_id}: each outer fold has a study, such as {first}") from None
        raise UserError(f"sweep {folder.sweep_id} has no study yet; it has not begun to search") from None


def _free(port: int) -> int:
    """The port, if nobody listens on it here. Raises UserError where somebody does."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise UserError(f"--port: {port} is not allowed: {error.strerror}; choose another") from error
    return port
