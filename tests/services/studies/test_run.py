"""Every study, run for real in small."""

import os
import re
import signal
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from contrasweep.services.records.folder import SweepFolder
from contrasweep.services.records.readings import EMBEDDINGS, READINGS
from contrasweep.services.records.tested import TESTED
from contrasweep.services.records.trial_record import read_records
from contrasweep.services.settings import Settings
from contrasweep.services.studies.data import data_named
from contrasweep.services.studies.outcome import Outcome
from contrasweep.services.studies.page import OUTCOME
from contrasweep.services.studies.study import PHANTOM, names
from tests.services.sweep.test_run import wait_for


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stiffness maps, which all homes have in common."""
    return data_named(PHANTOM, tmp_path_factory.mktemp("data"), lambda _: nullcontext()).base


def start(name: str, home: Path, phantom: Path) -> subprocess.Popen[str]:
    """`study run NAME --quick` as its own process, with a Ray of its own."""
    home.mkdir(exist_ok=True)
    if not (home / PHANTOM).exists():
        (home / PHANTOM).symlink_to(phantom)
    command = [sys.executable, "-m", "contrasweep.services.cli", "study", "run", name, "--quick"]
    return subprocess.Popen(
        command,
        env={**os.environ, "CONTRASWEEP_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def is_seed_whole(home: Path) -> bool:
    """Whether any run has ended of the one study that is under way there."""
    for folder in SweepFolder.every(Settings(home=home)):
        return any(one.whole for one in read_records(home / "storage" / folder.sweep_id, folder.load().spec.plan))
    return False


def left(home: Path) -> dict[str, bytes]:
    """What the one study that ran there told and read, by the files' places, without the time that it took."""
    (folder,) = SweepFolder.every(Settings(home=home))
    names = (OUTCOME, TESTED, READINGS, f"{EMBEDDINGS}/*")
    files = {str(path.relative_to(folder.path)): path.read_bytes() for name in names for path in folder.path.glob(name)}
    return files | {OUTCOME: re.sub(rb'"seconds": [0-9.]+', b'"seconds": 0', files[OUTCOME])}


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", names())
@pytest.mark.usefixtures("signals_as_in_a_terminal")
def test_a_study_that_was_killed_and_run_again_comes_to_the_same(name: str, tmp_path: Path, phantom: Path) -> None:
    calm = start(name, tmp_path / "calm", phantom)
    printed, _ = calm.communicate(timeout=600)
    assert calm.returncode == 0 and "this is the study in small" in printed, printed
    calmly = left(tmp_path / "calm")
    outcome = Outcome.model_validate_json(calmly[OUTCOME])
    assert not outcome.lacking and {*outcome.metrics} <= {metric for row in outcome.rows for metric in row.ours}

    home = tmp_path / "killed"
    killed = start(name, home, phantom)
    wait_for(lambda: is_seed_whole(home) or killed.poll() is not None)
    killed.send_signal(signal.SIGKILL)
    killed.communicate(timeout=120)
    assert not [*home.glob("sweeps/*/final.json")]

    again = start(name, home, phantom)
    printed, _ = again.communicate(timeout=600)
    assert again.returncode == 0, printed
    assert left(home) == calmly
