import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from contrasweep.services.records.code import code_digest
from contrasweep.services.records.seed_runs import AFTERWARDS, SeedRuns, copy_run, take_weights
from contrasweep.trainers.config import RunConfig
from contrasweep.trainers.data.store import json_digest
from contrasweep.trainers.history import START
from tests.services.past import history

RUN: dict[str, Any] = {"model": {}, "training": {"epochs": 4}, "method": {"name": "exponential"}, "seed": 3}


def run(**changes: Any) -> RunConfig:
    return RunConfig.model_validate({**RUN, **changes})


def left(storage: Path, name: str, epochs: int = 4) -> Path:
    """The folder of a seed run."""
    folder = storage / name / "trial-0000" / "seed-3"
    history([5.0, 4.0, 3.0, 3.5][:epochs], seed=3).write(folder)
    (folder / "best.pt").write_bytes(b"weights")
    (folder / "latest.pt").write_bytes(b"state")
    return folder


def test_a_whole_run_is_found_by_what_makes_it(tmp_path: Path) -> None:
    runs, folder = SeedRuns(tmp_path, "data"), left(tmp_path, "one-1")
    assert runs.find(run()) is None
    runs.add(run(), folder)
    assert SeedRuns(tmp_path, "data").find(run()) == folder
    assert runs.name_of(folder) == "one-1/trial-0000/seed-3"
    same = {"training": {"epochs": 4, "cpus_per_worker": 8}, "model": {"init_from": "elsewhere"}}
    assert runs.find(run(**same)) == folder, "where it ran, and the path of its weights, do not count"


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 4},
        {"method": {"name": "supremix"}},
        {"method": {"name": "exponential", "params": {"temperature": 3.0}}},
        {"training": {"epochs": 5}},
        {"training": {"epochs": 4, "gpus_per_worker": 1}},
        {"training": {"epochs": 4, "workers": 2}},
        {"model": {"width": 0.5}},
        {"probe": {"linear": {}}},
    ],
)
def test_another_run_is_not_found(tmp_path: Path, changes: dict[str, Any]) -> None:
    runs = SeedRuns(tmp_path, "data")
    runs.add(run(), left(tmp_path, "one-1"))
    assert runs.find(run(**changes)) is None


def test_what_is_kept_makes_no_other_run_but_is_there_where_one_is_taken(tmp_path: Path) -> None:
    runs, first, second = SeedRuns(tmp_path, "data"), left(tmp_path, "one-1"), left(tmp_path, "two-2")
    assert runs.key(run(keep=(1, 4))) == runs.key(run())
    runs.add(run(), first)
    (first / "epoch-0001.pt").touch()
    assert runs.find(run(keep=(1,))) == first and runs.find(run(keep=(1, 4))) is None
    for epoch in (1, 4):
        (second / f"epoch-{epoch:04d}.pt").touch()
    runs.add(run(keep=(1, 4)), second)
    assert runs.find(run(keep=(1, 4))) == second == runs.find(run())


def test_other_data_or_other_code_make_another_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    SeedRuns(tmp_path, "data").add(run(), left(tmp_path, "one-1"))
    assert SeedRuns(tmp_path, "other data").find(run()) is None
    monkeypatch.setattr("contrasweep.services.records.seed_runs.code_digest", lambda *rooms: "other")
    assert SeedRuns(tmp_path, "data").find(run()) is None


def test_a_run_that_is_not_whole_or_gone_is_not_found_and_another_takes_its_place(tmp_path: Path) -> None:
    runs, first, second = SeedRuns(tmp_path, "data"), left(tmp_path, "one-1"), left(tmp_path, "two-2")
    runs.add(run(), first)
    runs.add(run(), second)
    assert runs.find(run()) == first
    (first / "best.pt").unlink()
    assert runs.find(run()) is None
    runs.add(run(), second)
    assert runs.find(run()) == second
    left(tmp_path, "two-2", epochs=3)
    assert runs.find(run()) is None
    (second / "history.json").write_text("{")
    assert runs.find(run()) is None


def test_a_copy_has_all_that_was_left_and_outlives_it(tmp_path: Path) -> None:
    source, copy = left(tmp_path, "one-1"), tmp_path / "copy"
    (source / "epoch-0002.pt").touch()
    history([9.0], seed=3).write(source / "pretraining")
    copy_run(source, copy)
    for path in source.rglob("*.*"):
        path.write_bytes(b"") if path.suffix == ".json" else path.unlink()
    assert (copy / "best.pt").read_bytes() == b"weights"
    names = {path.name for path in copy.rglob("*") if path.is_file()}
    assert names == {"best.pt", "epoch-0002.pt", "latest.pt", "history.json"}


CLAIM = """
import sys, time
from pathlib import Path
from contrasweep.services.records.seed_runs import AFTERWARDS, SeedRuns
from tests.services.records.test_seed_runs import run
with SeedRuns(Path(sys.argv[1]), "data").claimed(run(), lambda: False):
    print("claimed", flush=True)
    time.sleep(60)
"""


def test_who_trains_a_run_is_waited_for_and_a_killed_process_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("contrasweep.services.records.seed_runs._POLL_S", 0.01)
    runs, polls = SeedRuns(tmp_path, "data"), iter([False, False, True])
    with subprocess.Popen([sys.executable, "-c", CLAIM, str(tmp_path)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout and other.stdout.readline() == "claimed\n"
        with runs.claimed(run(), lambda: next(polls)):
            assert next(polls, None) is None, "it asked until it was to stop"
        with runs.claimed(run(seed=4), lambda: False):
            pass  # nobody trains another
        other.kill()
        began = time.monotonic()
        with runs.claimed(run(), lambda: False):
            assert time.monotonic() - began < 30


def test_a_sweep_that_trains_anew_knows_its_own_runs_alone_and_tells_others(tmp_path: Path) -> None:
    everyone, own = SeedRuns(tmp_path, "data"), SeedRuns(tmp_path, "data", own="two-2")
    everyone.add(run(), left(tmp_path, "one-1"))
    assert own.find(run()) is None
    own.add(run(), second := left(tmp_path, "two-2"))
    assert own.find(run()) == second
    assert everyone.find(run()) == tmp_path / "one-1" / "trial-0000" / "seed-3"
    own.add(run(seed=4), second)
    assert everyone.find(run(seed=4)) == second


def test_nothing_that_trains_imports_what_reads_runs_that_are_done() -> None:
    trains = ["trainers.finetune", *(f"trainers.{room}" for room in ("augmentations", "encoders", "losses", "probes"))]
    script = (
        "import importlib, pkgutil, sys\n"
        f"for name in {trains}:\n"
        "    room = importlib.import_module(f'contrasweep.{name}')\n"
        "    for one in pkgutil.iter_modules(getattr(room, '__path__', ()), f'{room.__name__}.'):\n"
        "        importlib.import_module(one.name)\n"
        "print(*sys.modules)"
    )
    loaded = set(
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    )
    assert "contrasweep.trainers.losses.supremix" in loaded
    assert not [
        name for room in AFTERWARDS for name in loaded if name.startswith(f"contrasweep.{room.replace('/', '.')}")
    ]


def test_a_run_without_a_start_is_known_by_what_it_was_before_there_were_any(tmp_path: Path) -> None:
    runs, told = SeedRuns(tmp_path, "data"), run().model_dump(mode="json", exclude={"start"})
    del told["model"]["init_from"], told["training"]["cpus_per_worker"], told["training"]["gpus_per_worker"]
    assert runs.key(run()) == json_digest([told, "data", "cpu", code_digest(("trainers",), AFTERWARDS)])[:32]


def test_a_copy_has_nothing_of_what_it_started_from(tmp_path: Path) -> None:
    source = left(tmp_path, "one-1")
    history([9.0], seed=3).write(source / START)
    copy_run(source, tmp_path / "copy")
    assert not (tmp_path / "copy" / START).exists()
    take_weights(source, tmp_path / "weights", "one-1/trial-0000/seed-3")
    assert {path.name for path in (tmp_path / "weights").iterdir()} == {"best.pt", "history.json"}
