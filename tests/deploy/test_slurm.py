"""The batch script, run for real on one machine: two of Ray's nodes, with stand-ins for what Slurm does."""

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from contrasweep.services.records.folder import FINISHED, STOPPED, SweepFolder
from tests.services.small_study import settings_in, write_study

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "deploy" / "slurm" / "sweep.sbatch"
SRUN = """#!/usr/bin/env bash
while [ "${1#--}" != "$1" ]; do shift; done
export SLURM_CPUS_ON_NODE=3
exec "$@"
"""
SCONTROL = """#!/usr/bin/env bash
if [ "$1" = show ]; then printf 'localhost\\nother\\n'; else echo "$@" >> "$CALLS"; fi
"""

TURN_S = 400


def _start(folder: Path, job: int) -> "subprocess.Popen[bytes]":
    """The script as Slurm starts it, in a session of its own; its output goes to `folder`/log."""
    stands, scratch = folder / "bin", folder / "scratch_of_the_job_longer_than_the_paths_of_sockets"
    stands.mkdir(exist_ok=True)
    scratch.mkdir(exist_ok=True)
    for name, text in (("srun", SRUN), ("scontrol", SCONTROL)):
        (stands / name).write_text(text)
        (stands / name).chmod(0o755)
    environment = {name: text for name, text in os.environ.items() if not name.startswith(("RAY_", "CONTRASWEEP_"))}
    environment |= {
        "PATH": f"{stands}:{os.environ['PATH']}",
        "VENV": str(ROOT / ".venv"),
        "TMPDIR": str(scratch),
        "CALLS": str(folder / "calls"),
        "CONTRASWEEP_HOME": str(folder / "home"),
        "OMP_NUM_THREADS": "1",
        "SLURM_JOB_ID": str(job),
        "SLURM_JOB_NODELIST": "nodes[1-2]",
        "SLURM_SUBMIT_DIR": str(folder),
        "SLURM_CPUS_ON_NODE": "2",
    }
    with (folder / "log").open("ab") as log:
        command = ["bash", str(SCRIPT), "study.yaml"]
        return subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_sweep_stops_before_the_time_limit_goes_back_to_the_queue_and_ends_with_its_next_turn(tmp_path: Path) -> None:
    job = 100_000 + os.getpid()
    loaded = write_study(tmp_path, training={"epochs": 100}, search={"trials": 2, "racing": None})
    settings = settings_in(tmp_path / "home")
    folder = SweepFolder(settings.sweeps / loaded.spec.sweep_id)
    log, ray_folder, private = tmp_path / "log", Path(f"/tmp/ray-{job}"), tmp_path / "home" / "slurm" / str(job)

    batch = _start(tmp_path, job)
    try:
        _wait_for_epochs(Path(settings.storage_path), batch, log)
        assert "2 nodes are up" in log.read_text()
        assert [path.stat().st_mode & 0o077 for path in (private, private / "token")] == [0, 0]
        os.kill(batch.pid, signal.SIGUSR1)
        assert batch.wait(TURN_S) == 0, log.read_text()
    finally:
        _end(batch)
    assert folder.read_state().state == STOPPED, log.read_text()
    assert (tmp_path / "calls").read_text() == f"requeue {job}\n"
    assert not private.exists() and not ray_folder.exists()
    assert not _session(batch.pid)

    batch = _start(tmp_path, job)
    try:
        assert batch.wait(TURN_S) == 0, log.read_text()
    finally:
        _end(batch)
    assert folder.read_state().state == FINISHED
    assert (tmp_path / "calls").read_text() == f"requeue {job}\n"


def test_without_a_spec_the_job_says_how_to_give_one(tmp_path: Path) -> None:
    done = subprocess.run(["bash", str(SCRIPT), "nowhere.yaml"], cwd=tmp_path, capture_output=True, text=True)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: give a spec: sbatch deploy/slurm/sweep.sbatch study.yaml\n"


def _wait_for_epochs(storage: Path, batch: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + TURN_S
    while not any("epoch" in path.read_text() for path in storage.glob("*/trial-*/log.txt")):
        assert batch.poll() is None and time.monotonic() < deadline, log.read_text()
        time.sleep(0.5)


def _session(leader: int) -> list[psutil.Process]:
    """Processes that a batch script left behind."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            if os.getsid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def _end(batch: "subprocess.Popen[bytes]") -> None:
    if batch.poll() is None:
        batch.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            batch.wait(120)
    for process in _session(batch.pid):
        with contextlib.suppress(psutil.Error):
            process.kill()
