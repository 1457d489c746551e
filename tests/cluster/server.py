"""A program of the stack as a process group of its own, that ends with the test however the test ends."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

START_S = 120.0
END_S = 20.0
DIES_WITH_THE_TESTS = ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []
"""Where the tests themselves are killed, nothing else ends what they started."""


class Server:
    """A program that is started, asked whether it answers, stopped, killed, and started again.

    Args:
        name: of the program; its output goes to `<folder>/<name>.log`.
        command: it and its arguments.
        environment: all of its variables.
        folder: where it runs.
        answers: whether it serves by now; an OSError counts as no.
        account: `user`, `group` and `extra_groups` of subprocess.Popen, where it refuses the tests' own.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        answers: Callable[[], bool],
        account: Mapping[str, Any] | None = None,
    ) -> None:
        self._name, self._command, self._environment, self._folder = name, list(command), dict(environment), folder
        self._answers, self._account = answers, dict(account or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._started: list[psutil.Process] = []
        self.log = folder / f"{name}.log"

    def start(self) -> None:
        """Start it and wait until it answers."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*DIES_WITH_THE_TESTS, *self._command],
                env=self._environment,
                cwd=self._folder,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                **self._account,
            )
        wait_until(self.is_up, START_S, lambda: f"{self._name} does not answer:\n{self.tail()}", lambda: self.is_alive)
        self.processes()

    @property
    def is_alive(self) -> bool:
        """Whether its process is there."""
        return self._process is not None and self._process.poll() is None

    def is_up(self) -> bool:
        """Whether it answers."""
        try:
            return self._answers()
        except OSError:
            return False

    def tail(self) -> str:
        """The end of what it said."""
        return self.log.read_text(errors="replace")[-3000:] if self.log.exists() else ""

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to all its processes."""
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def processes(self) -> list[psutil.Process]:
        """Its own process and all that it started, which may have left its group."""
        if self._process is None:
            return []
        with contextlib.suppress(psutil.NoSuchProcess):
            root = psutil.Process(self._process.pid)
            known = {process.pid for process in self._started}
            self._started += [p for p in [root, *root.children(recursive=True)] if p.pid not in known]
        return [process for process in self._started if process.is_running()]

    def kill(self) -> None:
        """SIGKILL to all of it at once, and wait until it is gone."""
        self.signal(signal.SIGKILL)
        self._gone()

    def stop(self) -> None:
        """End it as an operator would; what does not go is killed."""
        processes = self.processes()
        if self.is_alive and self._process:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(END_S)
        psutil.wait_procs(processes, timeout=2)
        self.kill()

    def _gone(self) -> None:
        if self._process:
            self._process.wait(END_S)
        psutil.wait_procs(self._started, timeout=END_S)
        self._process, self._started = None, []


def wait_until(
    condition: Callable[[], bool],
    timeout_s: float,
    complaint: Callable[[], str] = lambda: "waited in vain",
    possible: Callable[[], bool] = lambda: True,
) -> None:
    """Poll until `condition` holds; fails with `complaint` after `timeout_s`, or once it is not `possible` any more."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert possible() and time.monotonic() < deadline, complaint()
        time.sleep(0.1)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on; all are held until the last is found, so that they differ."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for held in sockets:
            held.bind(("127.0.0.1", 0))
        return [held.getsockname()[1] for held in sockets]


def listens(port: int) -> bool:
    """Whether somebody listens on a port of this machine."""
    with socket.create_connection(("127.0.0.1", port), timeout=2):
        return True


def plain_environment() -> dict[str, str]:
    """This process's variables without any that say something to contrasweep, Ray, Optuna or MLflow."""
    ours = ("CONTRASWEEP_", "RAY_", "MLFLOW_", "OPTUNA_", "TUNE_", "PYTEST_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}
