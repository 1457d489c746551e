"""Sweeps of points that start from others, for real."""

import io
import signal
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from contrasweep.services.records.final_report import FinalReport
from contrasweep.services.records.folder import FINISHED, SweepFolder
from contrasweep.services.records.results import read_results
from contrasweep.services.records.trial_record import read_records
from contrasweep.services.settings import Settings
from contrasweep.services.spec.spec import LoadedSpec
from contrasweep.services.sweep.run import run_sweep
from contrasweep.trainers import checkpoint
from contrasweep.trainers.history import COMPLETE, START, History
from tests.services.small_study import results, settings_in, write_study
from tests.services.sweep.test_run import start, wait_for, weights
from tests.trainers.test_pretrain import bits

pytestmark = [pytest.mark.ray, pytest.mark.timeout(900)]

POINTS: list[dict[str, Any]] = [
    {"name": "first", "method": "exponential"},
    {"name": "goes on", "method": "exponential", "params": {"temperature": 0.2}, "start": "first"},
    {"name": "is read", "method": "supremix", "training": {"epochs": 0}, "start": "first"},
]
SEARCH: dict[str, Any] = {
    "spaces": ["exponential", "supremix"],
    "trials": 3,
    "seeds": [0, 1],
    "parallel": 2,
    "racing": None,
    "points": POINTS,
}


def run(loaded: LoadedSpec, settings: Settings) -> str:
    console = Console(file=io.StringIO(), width=200)
    assert run_sweep(loaded, settings, console).state == FINISHED
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def storage_of(loaded: LoadedSpec, settings: Settings) -> Path:
    return Path(settings.storage_path) / loaded.sweep_id


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory, ray_local: None) -> tuple[LoadedSpec, Settings]:
    """A sweep of three points, two of which start from the first."""
    folder = tmp_path_factory.mktemp("three")
    loaded, settings = write_study(folder, search=SEARCH), settings_in(folder / "home")
    run(loaded, settings)
    return loaded, settings


def test_what_two_points_start_from_is_trained_once(three: tuple[LoadedSpec, Settings]) -> None:
    loaded, settings = three
    storage = storage_of(loaded, settings)
    for seed in (0, 1):
        places = (f"trial-0000/seed-{seed}", f"trial-0001/seed-{seed}/{START}", f"trial-0002/seed-{seed}/{START}")
        histories = [History.read(storage / place) for place in places]
        assert [history and history.state for history in histories] == [COMPLETE] * 3
        assert sum(not history.taken for history in histories if history) == 1
        first, second, third = (bits(checkpoint.load(storage / place / "best.pt")) for place in places)
        assert first == second == third
        read = bits(checkpoint.load(storage / f"trial-0002/seed-{seed}/best.pt"))["model"]
        encoder = {name: value for name, value in first["model"].items() if name.startswith("encoder.")}
        assert encoder and encoder.items() <= read.items()


def test_all_that_is_told_of_them(three: tuple[LoadedSpec, Settings]) -> None:
    loaded, settings = three
    records = read_records(storage_of(loaded, settings), loaded.spec.plan)
    assert [(record.configuration.start, record.state) for record in records] == [
        (None, COMPLETE),
        ("first", COMPLETE),
        ("first", COMPLETE),
    ]
    (row,) = next(iter(records[2].histories.values())).epochs
    assert {"validation_mae", "train_mae"} <= row.keys() and not {"loss", "lr"} & row.keys()
    tables = read_results(settings, SweepFolder.find(settings, loaded.sweep_id))
    trials = tables["trials"].to_pandas().sort_values("trial").fillna({"start": ""})
    assert trials.start.tolist() == ["", "first", "first"] and trials.epochs.tolist() == [6, 6, 2]
    assert len(tables["seed_runs"].to_pandas()) == 6
    assert {*tables["predictions"].to_pandas().query("split == 'test'").trial.dropna()} == {0, 1, 2}
    assert FinalReport.read(settings.sweeps / loaded.sweep_id / "final.json").start in (None, "first")
    assert "start first" in (settings.reports / f"{loaded.sweep_id}.html").read_text()


@pytest.mark.slow
def test_what_another_sweep_has_left_is_taken(three: tuple[LoadedSpec, Settings], tmp_path: Path) -> None:
    loaded, settings = three
    home = settings_in(tmp_path / "home")
    earlier = write_study(tmp_path / "earlier", search={**SEARCH, "trials": 1, "points": POINTS[:1]})
    run(earlier, home)
    run(loaded, home)
    assert results(loaded, home) == results(loaded, settings)
    assert weights(loaded, home) == weights(loaded, settings)
    for place in ("trial-0000/seed-0", f"trial-0001/seed-0/{START}", f"trial-0002/seed-1/{START}"):
        history = History.read(storage_of(loaded, home) / place)
        assert history and history.taken.startswith(f"{earlier.sweep_id}/trial-0000/seed-")


RACE: dict[str, Any] = {
    "racing": {"rungs": [1], "finalists": 1, "confidence": 0.5},
    "trials": 3,
    "parallel": 1,
    "seeds": [0, 1],
    "points": [
        {"name": "good", "method": "exponential"},
        {"name": "idle", "method": "exponential", "training": {"lr": 1e-9, "epochs": 20}},
        {"name": "is read", "method": "supremix", "training": {"epochs": 0}, "start": "idle"},
    ],
}


@pytest.mark.slow
@pytest.mark.usefixtures("signals_as_in_a_terminal")
def test_killed_while_it_trains_what_a_point_starts_from(tmp_path: Path, ray_local: None) -> None:
    """Racing stops the point itself after an epoch, so that the one that starts from it has to train it."""
    loaded = write_study(tmp_path, search=SEARCH | RACE)
    calm, ended = settings_in(tmp_path / "calm"), settings_in(tmp_path / "ended")
    run(loaded, calm)
    trained = f"trial-0002/seed-0/{START}"
    history = History.read(storage_of(loaded, calm) / trained)
    assert history and (history.state, len(history.epochs), history.taken) == (COMPLETE, 20, "")
    driver, folder = start(loaded.path, ended.home), storage_of(loaded, ended) / trained
    wait_for(lambda: (folder / "history.json").exists() or driver.poll() is not None)
    driver.send_signal(signal.SIGKILL)
    printed, _ = driver.communicate(timeout=120)
    under_way = History.read(folder)
    assert under_way and len(under_way.epochs) < 20, printed
    run(SweepFolder.find(ended, loaded.sweep_id).load(), ended)
    assert results(loaded, ended) == results(loaded, calm)
    for name in (trained, "trial-0002/seed-0"):
        one, other = (bits(checkpoint.load(storage_of(loaded, home) / name / "best.pt")) for home in (calm, ended))
        assert one == other


@pytest.mark.slow
def test_several_workers_start_from_what_was_trained_on_other_data(tmp_path: Path, ray_local: None) -> None:
    people = {"all": {}, "some": {"data": {"train": {"size": 20}, "normalize": "training"}}}
    points = [POINTS[0] | {"choices": {"people": "some"}}, POINTS[1], POINTS[2] | {"start": "goes on"}]
    one_by_one = {"seeds": [0], "parallel": 1, "choices": {"people": people}, "points": points}
    loaded = write_study(tmp_path, training={"workers": 2}, search=SEARCH | one_by_one)
    settings = settings_in(tmp_path / "home")
    run(loaded, settings)
    storage = storage_of(loaded, settings)
    assert [record.state for record in read_records(storage, loaded.spec.plan)] == [COMPLETE] * 3
    of_some, of_all = (checkpoint.load(storage / f"trial-000{number}/seed-0/best.pt") for number in (0, 1))
    assert of_some["normalization"] and not of_all["normalization"]
    taken = {number: History.read(storage / f"trial-000{number}/seed-0/{START}") for number in (1, 2)}
    assert {number: history.taken for number, history in taken.items() if history} == {
        1: f"{loaded.sweep_id}/trial-0000/seed-0",
        2: f"{loaded.sweep_id}/trial-0001/seed-0",
    }
