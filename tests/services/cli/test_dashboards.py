import io
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from contrasweep.services.cli.dashboards import open_mlflow, open_optuna
from contrasweep.services.stores.optuna import open_storage
from contrasweep.trainers.errors import UserError
from tests.services.sweep_page.left import Left, study


@pytest.fixture
def left(tmp_path: Path) -> Left:
    return Left(tmp_path, study())


def test_a_port_that_is_taken_is_named(left: Left) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        for opened in (open_mlflow, open_optuna):
            with pytest.raises(UserError, match=f"--port: {port} is not allowed: Address already in use"):
                opened(left.settings, None, port, Console(file=io.StringIO()))


def test_a_sweep_without_a_study(left: Left) -> None:
    open_storage(left.settings)
    with pytest.raises(UserError, match=f"sweep {left.folder.sweep_id} has no study yet"):
        open_optuna(left.settings, "study", None, Console(file=io.StringIO()))


def test_a_server_s_address_is_told_without_its_password(left: Left) -> None:
    console = Console(file=io.StringIO(), width=200)
    settings = left.settings.model_copy(update={"tracking_uri": "http://ada:secret@mlflow:5000"})
    assert open_mlflow(settings, None, None, console) == 0
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == "the dashboard is at http://mlflow:5000\n"


ENDING = (signal.SIGTERM, signal.SIGHUP)


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_for(port: int) -> None:
    """A server on a busy machine takes its time."""
    deadline = time.monotonic() + 120
    while not is_listening(port):
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, *ENDING])
def test_mlflow_s_server_ends_with_the_command(left: Left, number: signal.Signals) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "contrasweep.services.cli", "ui", "--port", str(port)]
    ui = subprocess.Popen(command, env=os.environ | {"CONTRASWEEP_HOME": str(left.settings.home)})
    try:
        wait_for(port)
    except BaseException:
        ui.kill()
        raise
    started = psutil.Process(ui.pid).children(recursive=True)
    ui.send_signal(number)
    assert ui.wait(30) == (-signal.SIGKILL if number == signal.SIGKILL else 130)
    _, alive = psutil.wait_procs(started, 30)
    assert not alive and not is_listening(port)
