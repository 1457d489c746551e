import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from contrasweep.services.records.answers import Sweep
from contrasweep.services.records.code import copy_code
from contrasweep.services.records.folder import FINISHED, RUNNING, SweepFolder
from contrasweep.services.settings import Settings
from contrasweep.services.spec.extent import More
from contrasweep.services.spec.spec import LoadedSpec
from contrasweep.services.verbs.ray_jobs import Job, Jobs
from contrasweep.trainers.errors import UserError
from tests.cluster.server import wait_until
from tests.services.small_study import write_study
from tests.services.verbs.ray_head import RayHead, ray_head

pytestmark = [pytest.mark.ray, pytest.mark.timeout(900)]

PATIENCE_S = 300.0
QUICK: dict[str, Any] = {"training": {"epochs": 2}, "search": {"trials": 1, "seeds": [0], "racing": None}}
ENDLESS: dict[str, Any] = {"training": {"epochs": 100_000}, "search": {"trials": 1, "seeds": [0], "racing": None}}


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayHead]:
    with ray_head(tmp_path_factory.mktemp("head"), {}) as head:
        yield head


@pytest.fixture
def jobs(head: RayHead, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Jobs:
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(head.token_path))
    return Jobs(Settings(home=tmp_path / "client", jobs_address=head.dashboard))


def folder_of(head: RayHead, loaded: LoadedSpec) -> SweepFolder:
    return SweepFolder(head.home / "sweeps" / loaded.spec.sweep_id)


def wait_for(folder: SweepFolder, state: str, attempt: int = 1) -> None:
    def stands() -> bool:
        now = folder.read_state()
        return (now.state, now.attempt) == (state, attempt)

    wait_until(stands, PATIENCE_S, lambda: f"{folder.read_state()}")


def no_helper_runs(jobs: Jobs) -> bool:
    return all(job.status.is_terminal() for job in jobs._client.jobs() if "ask" in job.submission_id)


def contrasweep(head: RayHead, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-c",
        "from contrasweep.services.cli import main; main()",
        *arguments,
        "--address",
        head.dashboard,
    ]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | variables)


@pytest.mark.slow
def test_eight_at_once_run_it_once(head: RayHead, jobs: Jobs, tmp_path: Path) -> None:
    loaded, clients = write_study(tmp_path / "quick", **QUICK), 8
    sweep_id = loaded.spec.sweep_id
    with ThreadPoolExecutor(clients) as pool:
        asked = [pool.submit(contrasweep, head, "submit", str(loaded.path), "--json") for _ in range(clients)]
    answers = [json.loads(one.result().stdout) for one in asked]
    assert sorted(answer["outcome"] for answer in answers) == ["already running"] * (clients - 1) + ["submitted"]
    assert {(answer["sweep"]["id"], answer["sweep"]["attempt"]) for answer in answers} == {(sweep_id, 1)}
    lines = list(jobs.logs(sweep_id, follow=True))
    assert any("test MAE" in line for line in lines)
    wait_for(folder_of(head, loaded), FINISHED)
    assert jobs.submit(loaded).outcome == "done"
    [sweep] = [one for one in jobs.sweeps() if one.id == sweep_id]
    assert (sweep.id, sweep.state, sweep.attempt, sweep.ended) == (sweep_id, "finished", 1, 1)
    assert [trial.state for trial in jobs.trials(sweep_id)] == ["complete"]
    kept = f"{jobs._client.jobs()}{jobs._client.log(f'{sweep_id}.1')}"
    assert "test MAE" in kept
    assert head.token_path.read_text() not in kept


@pytest.mark.slow
def test_stop_and_resume(head: RayHead, jobs: Jobs, tmp_path: Path) -> None:
    loaded = write_study(tmp_path / "endless", **ENDLESS)
    sweep_id, folder = loaded.spec.sweep_id, folder_of(head, loaded)
    assert jobs.submit(loaded).outcome == "submitted"
    following = jobs.logs(sweep_id, follow=True)
    assert any("trial 0 begins" in line for line in islice(following, 10)), "waits for the driver"
    following.close()  # type: ignore[attr-defined]
    wait_until(lambda: no_helper_runs(jobs), PATIENCE_S, lambda: "the helper goes on without anybody who listens")
    assert jobs.stop(sweep_id).state == "stopping"
    wait_for(folder, "stopped")
    resumed = jobs.resume(sweep_id)
    assert (resumed.outcome, resumed.sweep.attempt) == ("resumed", 2)
    wait_for(folder, RUNNING, attempt=2)
    killed = jobs.stop(sweep_id, now=True)
    assert (killed.state, killed.attempt) == ("stopped", 2)
    with pytest.raises(UserError, match=f"sweep {sweep_id} is not running; it is stopped"):
        jobs.stop(sweep_id)


@pytest.mark.slow
def test_extension(head: RayHead, jobs: Jobs, tmp_path: Path) -> None:
    loaded = write_study(tmp_path / "extended", training={"epochs": 3}, search=QUICK["search"])
    jobs.submit(loaded)
    folder = folder_of(head, loaded)
    wait_for(folder, FINISHED)
    extended = jobs.extend(loaded.sweep_id, More(trials=2))
    assert (extended.outcome, extended.sweep.attempt) == ("resumed", 2)
    wait_for(folder, FINISHED, attempt=2)
    assert (jobs.status(loaded.sweep_id).ended, jobs.extend(loaded.sweep_id, More(trials=2)).outcome) == (2, "done")
    assert jobs.submit(loaded).outcome == "done"


@pytest.mark.slow
def test_data_that_are_not_there(head: RayHead, jobs: Jobs, tmp_path: Path) -> None:
    loaded = write_study(tmp_path / "gone", training={"epochs": 7})
    (tmp_path / "gone/participants.tsv").unlink()
    assert jobs.submit(loaded).outcome == "submitted"
    wait_for(folder_of(head, loaded), "failed")
    failed = jobs.status(loaded.spec.sweep_id)
    assert failed.state == "failed"
    assert failed.reason.startswith("data.participants: no such file")
    write_study(tmp_path / "gone", training={"epochs": 7})


@pytest.mark.slow
def test_other_code_is_sent_along(head: RayHead, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(head.token_path))
    copy_code(tmp_path)
    driver = tmp_path / "contrasweep" / "services" / "verbs" / "driver.py"
    driver.write_text(driver.read_text().replace('ANSWER = "contrasweep> "', 'ANSWER = "otherwise> "'))
    ended = contrasweep(head, "list", "--json", PYTHONPATH=str(tmp_path))
    assert isinstance(json.loads(ended.stdout), list), "only the changed driver speaks so that the changed client hears"


@pytest.mark.slow
@pytest.mark.parametrize(("token", "message"), [("", "asks for a token"), ("x" * 64, "does not take this token")])
def test_tokens_that_are_refused(head: RayHead, token: str, message: str) -> None:
    ended = contrasweep(head, "list", RAY_AUTH_MODE="disabled", RAY_AUTH_TOKEN_PATH="", RAY_AUTH_TOKEN=token)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert re.fullmatch(rf"error: {head.dashboard}: the Ray cluster {message}; RAY_AUTH_TOKEN_PATH .*\n", ended.stderr)


class Remembered(Jobs):
    """What Ray and the folders have, without a cluster."""

    def __init__(self, jobs: list[Job], folders: list[Sweep]) -> None:
        super().__init__(Settings(jobs_address="http://head:8265"))
        self._jobs, self._folders = jobs, folders

    def jobs(self) -> list[Job]:
        """Every driver that Ray knows of."""
        return self._jobs

    def _ask(self, *words: str, loaded: LoadedSpec | None = None) -> Any:
        return [sweep.model_dump() for sweep in self._folders]


def job(sweep_id: str, attempt: int, status: str) -> Job:
    return Job(sweep_id, "small", attempt, status == "RUNNING", status, "", "ada", 0.0)


def folder(sweep_id: str, state: str, attempt: int = 1) -> Sweep:
    return Sweep.model_validate({"id": sweep_id, "name": "small", "state": state, "attempt": attempt})


def test_a_beginning_may_be_of_a_sweep_that_ray_has_forgotten() -> None:
    old, new, live = "small-00000000", "small-00000001", job("small-00000001", 1, "RUNNING")
    jobs = Remembered([live], [folder(old, "finished")])
    with pytest.raises(UserError, match=f"sweep 'small' could be any of {old}, {new}; say more of it"):
        jobs._match("small")
    assert [jobs._match(text) for text in (new, "small-00000001", old, "smell")] == [
        (new, live),
        (new, live),
        (old, None),
        ("smell", None),
    ]
    assert Remembered([live], [])._match("sm") == (new, live)


def test_a_driver_that_found_the_sweep_finished_has_not_failed() -> None:
    sweep_id = "small-00000000"
    [sweep] = Remembered([job(sweep_id, 2, "SUCCEEDED")], [folder(sweep_id, "finished")]).sweeps()
    assert sweep.state == "finished"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be another user")
def test_a_user_without_a_name() -> None:
    code = "import os; from contrasweep.services.verbs import ray_jobs; os.setuid(12345); print(ray_jobs._user())"
    nameless = {
        name: value for name, value in os.environ.items() if name not in ("LOGNAME", "USER", "LNAME", "USERNAME")
    }
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=nameless)
    assert ended.stdout == "12345\n", ended.stderr
