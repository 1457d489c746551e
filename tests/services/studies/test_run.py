"""Studies, run for real in small."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from contrasweep.services.records.folder import SweepFolder
from contrasweep.services.records.trial_record import run_folder
from contrasweep.services.settings import Settings
from contrasweep.services.spec.replicate import Replicate
from tests.services.sweep.test_run import wait_for

STUDIES = ("dlr-fig4d",)


def start(name: str, home: Path) -> subprocess.Popen[str]:
    """`study run NAME --quick` as its own process, with a Ray of its own."""
    command = [sys.executable, "-m", "contrasweep.services.cli", "study", "run", name, "--quick"]
    return subprocess.Popen(
        command,
        env={**os.environ, "CONTRASWEEP_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def outcome(home: Path) -> dict[str, Any]:
    """What is told of the one study that ran there, without the time that it took."""
    (folder,) = SweepFolder.every(Settings(home=home))
    told: dict[str, Any] = json.loads((folder.path / "outcome.json").read_text())
    return {key: value for key, value in told.items() if key != "seconds"}


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", STUDIES)
@pytest.mark.usefixtures("signals_as_in_a_terminal")
def test_a_study_that_was_killed_and_run_again_comes_to_the_same(name: str, tmp_path: Path) -> None:
    calm = start(name, tmp_path / "calm")
    printed, _ = calm.communicate(timeout=600)
    assert calm.returncode == 0 and "this is the study in small" in printed, printed

    home = tmp_path / "killed"
    killed = start(name, home)

    def first_seed_ended() -> bool:
        folders = SweepFolder.every(Settings(home=home))
        first = run_folder(home / "storage" / folders[0].sweep_id, 0, Replicate(0)) if folders else home
        return (first / "best.pt").exists() or killed.poll() is not None

    wait_for(first_seed_ended)
    killed.send_signal(signal.SIGKILL)
    killed.communicate(timeout=120)
    assert not [*home.glob("sweeps/*/final.json")]

    again = start(name, home)
    printed, _ = again.communicate(timeout=600)
    assert again.returncode == 0, printed
    assert outcome(home) == outcome(tmp_path / "calm")
