"""The command line in this process, and how a command ended."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from contrasweep.services import cli


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def contrasweep(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Runs a command line in this process."""

    def call(*arguments: str) -> Ended:
        monkeypatch.setattr("sys.argv", ["contrasweep", *arguments])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        assert isinstance(stop.value.code, int)
        return Ended(stop.value.code, *capfd.readouterr())

    return call
