"""A cluster in miniature: jobs are processes of this machine, and an id is taken once."""

import subprocess
import sys
from pathlib import Path

from contrasweep.services.records.answers import Planned, Sweep
from contrasweep.services.settings import Settings
from contrasweep.services.spec.spec import LoadedSpec
from contrasweep.services.verbs.jobs_client import ClusterAway
from contrasweep.services.verbs.ray_jobs import Job
from contrasweep.trainers.errors import UserError

ROOT = Path(__file__).parents[3]


class Processes:
    """Speaks what the service asks of `services.verbs.ray_jobs.Jobs`; `away`: no answer; `refuses`: no start."""

    def __init__(self, settings: Settings, seconds: float = 60.0) -> None:
        self._home, self.seconds = settings.home, seconds
        self.started: dict[tuple[str, int], tuple[str, subprocess.Popen[bytes]]] = {}
        self.away = self.refuses = False

    def jobs(self) -> list[Job]:
        """Every job since the beginning."""
        self._answer()
        return [self._job(name, attempt) for name, attempt in self.started]

    def start(self, loaded: LoadedSpec, user: str, attempt: int) -> bool:
        """Run a driver in miniature."""
        self._answer()
        if self.refuses:
            raise UserError("http://head:8265: does not take the token")
        key = (loaded.spec.sweep_id, attempt)
        if key in self.started:
            return False
        words = [str(self._home), loaded.spec.to_yaml(), str(loaded.base), user, str(attempt), str(self.seconds)]
        driver = [sys.executable, "-m", "tests.services.service.small_driver", *words]
        self.started[key] = (user, subprocess.Popen(driver, cwd=ROOT))
        return True

    def kill(self, sweep_id: str, attempt: int) -> None:
        """SIGKILL."""
        self._answer()
        self.started[sweep_id, attempt][1].kill()

    def plan(self, loaded: LoadedSpec) -> Planned:
        """Nothing that could be planned runs here."""
        self._answer()
        raise NotImplementedError

    def sync(self, sweep_id: str) -> Sweep:
        """Nothing is ever lacking here."""
        self._answer()
        return Sweep(id=sweep_id, state="finished")

    def end(self) -> None:
        """Kill all."""
        for _, process in self.started.values():
            process.kill()
            process.wait()

    def _job(self, name: str, attempt: int) -> Job:
        user, process = self.started[name, attempt]
        code = process.poll()
        status = "RUNNING" if code is None else "SUCCEEDED" if code == 0 else "FAILED"
        return Job(name, name.rpartition("-")[0], attempt, code is None, status, f"exit code {code}", user, 0.0)

    def _answer(self) -> None:
        if self.away:
            raise ClusterAway("http://head:8265: the cluster does not answer")
