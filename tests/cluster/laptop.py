"""A person with the command line, a spec and a token, on a machine that shares no folder with the cluster."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster.server import plain_environment

PATIENCE_S = 400.0


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


class Laptop:
    """Runs command lines as processes of their own."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._environment = {**plain_environment(), "CONTRASWEEP_HOME": str(folder / "home"), **environment}

    def without(self, *variables: str) -> "Laptop":
        """The same person without some of their variables."""
        kept = {name: value for name, value in self._environment.items() if name not in variables}
        return Laptop(self._folder, kept)

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """A command that goes on beside the test."""
        program = [sys.executable, "-m", "contrasweep.services.cli", *arguments]
        environment = {
            **self._environment,
            "PYTHONPATH": os.environ["PYTHONPATH"],
            "COLUMNS": "200",
            "PYTHONUNBUFFERED": "1",
        }
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
        return subprocess.Popen(program, cwd=self._folder, env=environment, text=True, **pipes)

    def call(self, *arguments: str) -> Ended:
        """A command, to its end."""
        return end_of(self.start(*arguments))

    def ask(self, *arguments: str) -> Any:
        """The document that a command prints; it must end well."""
        ended = self.call(*arguments, "--json")
        assert ended.code == 0, f"contrasweep {' '.join(arguments)}: {ended.err}"
        return json.loads(ended.out)


def end_of(command: "subprocess.Popen[str]", timeout_s: float = PATIENCE_S) -> Ended:
    """Wait for a command; it is killed when it takes too long."""
    try:
        out, err = command.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        command.kill()
        out, err = command.communicate()
        raise AssertionError(f"still not over after {timeout_s:.0f} s:\n{out}\n{err}") from None
    return Ended(command.returncode, out, err)
