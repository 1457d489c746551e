"""A small sweep that nothing has disturbed, and the means to disturb another of the same spec."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from contrasweep.services.records.folder import SweepFolder
from contrasweep.services.settings import Settings
from contrasweep.services.spec.spec import LoadedSpec
from tests.services.small_study import results, settings_in, write_study

CODE = "from contrasweep.services.cli import main; main()"


@dataclass(frozen=True)
class Undisturbed:
    """A sweep that has ended well."""

    loaded: LoadedSpec
    settings: Settings

    def home(self, folder: Path) -> Settings:
        """Those of another home that has the volumes and nothing else."""
        settings = settings_in(folder)
        shutil.copytree(str(self.settings.volumes), str(settings.volumes))
        return settings

    def check_equals(self, disturbed: Settings) -> None:
        """Leaderboard and final figure of the same spec in another home are this one's."""
        assert results(self.loaded, disturbed) == results(self.loaded, self.settings)

    def folder(self, settings: Settings) -> SweepFolder:
        """The sweep's folder in a home."""
        return SweepFolder(settings.sweeps / self.loaded.sweep_id)


def start(*arguments: str, home: Path, **environment: str) -> "subprocess.Popen[str]":
    """The command line as a process of its own, with a Ray of its own; both streams are one."""
    return subprocess.Popen(
        [sys.executable, "-c", CODE, *arguments],
        env={**os.environ, "CONTRASWEEP_HOME": str(home), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """Run once for all tests of a process."""
    folder = tmp_path_factory.mktemp("undisturbed")
    loaded, settings = write_study(folder), settings_in(folder / "home")
    ended = start("run", str(loaded.path), home=settings.home)
    printed, _ = ended.communicate(timeout=600)
    assert ended.returncode == 0, printed
    return Undisturbed(loaded, settings)
