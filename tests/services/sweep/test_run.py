"""Whole sweeps, for real: Ray, Optuna, MLflow, training."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from itertools import dropwhile
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import optuna
import pandas as pd
import psutil
import pytest
from rich.console import Console
from upath import UPath

from contrasweep import search_spaces
from contrasweep.services.data.prepare import prepare
from contrasweep.services.records.answers import Final
from contrasweep.services.records.final_report import FinalReport
from contrasweep.services.records.folder import FINISHED, INTERRUPTED, STOPPED, SweepFolder
from contrasweep.services.records.leaderboard import counts
from contrasweep.services.records.trial_record import read_records, run_folder
from contrasweep.services.settings import Settings
from contrasweep.services.spec.replicate import Replicate
from contrasweep.services.spec.spec import LoadedSpec, load_spec
from contrasweep.services.stores.tracker import Tracker
from contrasweep.services.sweep.learned import recall
from contrasweep.services.sweep.run import run_sweep
from contrasweep.services.text import number
from contrasweep.services.verbs.local import Local
from contrasweep.trainers import checkpoint, losses
from contrasweep.trainers.data.splits import read_splits
from contrasweep.trainers.data.store import VolumeStore, read_manifest, write_manifest
from contrasweep.trainers.errors import UserError
from contrasweep.trainers.history import COMPLETE, History
from tests.services.past import leave
from tests.services.small_study import results, settings_in, write_study
from tests.services.sweep.test_searcher import Bench
from tests.trainers.test_pretrain import bits

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]


def run_quietly(loaded: LoadedSpec, settings: Settings) -> str:
    """Run a sweep to its end; what it printed."""
    console = Console(file=io.StringIO(), width=200)
    assert run_sweep(loaded, settings, console).state == FINISHED
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, ray_local: None) -> tuple[LoadedSpec, Settings, str]:
    """A sweep of the small study, run once for the tests that look at it; its young are a cohort, too."""
    folder = tmp_path_factory.mktemp("finished")
    image = "images/{participant_id}.npy"
    young = {"name": "young", "participants": "participants.tsv", "image": image, "where": {"age": {"max": 30}}}
    loaded, settings = write_study(folder, data={"external": [young]}), settings_in(folder / "home")
    return loaded, settings, run_quietly(loaded, settings)


def test_a_sweep_ends_with_a_leaderboard_and_a_test_figure(finished: tuple[LoadedSpec, Settings, str]) -> None:
    loaded, settings, printed = finished
    report = FinalReport.read(settings.sweeps / loaded.spec.sweep_id / "final.json")
    assert "5/5 trials" in printed and "validation MAE" in printed and "test MAE" in printed
    mae = report.metrics["mae"]
    assert mae.low <= mae.value <= mae.high
    assert mae.value < report.baselines["predict_mean"].mae.value / 2
    assert SweepFolder.find(settings, "small").read_state().state == FINISHED


def test_cohorts_are_evaluated_beside_the_test_split(finished: tuple[LoadedSpec, Settings, str]) -> None:
    loaded, settings, printed = finished
    young = FinalReport.read(settings.sweeps / loaded.spec.sweep_id / "final.json").external["young"]
    assert max(young.labels) <= 30
    assert young.metrics["mae"].value < young.baselines["predict_mean"].mae.value
    assert f"external: young\n  warning  images that the study has, too ({len(young.scans)}): sub-" in printed
    assert f"external  young MAE {number(young.metrics['mae'].value)}" in printed
    told = Local(settings).status(loaded.spec.sweep_id)
    assert isinstance(told.final, Final) and told.final.external["young"].sample == young.sample
    digests = json.loads((settings.sweeps / loaded.spec.sweep_id / "drivers.json").read_text())[-1]["digests"]
    assert digests["external_young"] != digests["volumes"]


def test_every_method_starts_at_its_published_point(finished: tuple[LoadedSpec, Settings, str]) -> None:
    loaded, settings, _ = finished
    study = optuna.load_study(study_name=loaded.spec.sweep_id, storage=settings.optuna_storage)
    for trial, space in zip(study.trials[:4], ["dynlocrep", "exponential", "supremix", "vanilla"], strict=True):
        assert trial.params["method"] == space
        for name, value in search_spaces.qualified(space, losses.parameters(space)).items():
            asked = trial.distributions.get(name)
            assert asked is None or trial.params[name] == value or not asked._contains(value)  # type: ignore[arg-type]
    assert (study.trials[0].params["dynlocrep.nn_final"], study.trials[2].params["supremix.temperature"]) == (14, 0.5)


def test_mlflow_has_parent_children_and_seeds_and_none_is_running(finished: tuple[LoadedSpec, Settings, str]) -> None:
    loaded, settings, _ = finished
    client = mlflow.MlflowClient(tracking_uri=settings.tracking_uri)
    experiment = client.get_experiment_by_name(loaded.spec.name)
    assert experiment
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    assert not [run for run in runs if run.info.status == "RUNNING"]
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    children = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parents[0].info.run_id]
    seeds = [run for run in runs if run not in parents and run not in children]
    records = read_records(Path(settings.storage_path) / loaded.spec.sweep_id, loaded.spec.plan)
    assert (len(parents), len(children)) == (1, 5)
    assert len(seeds) == sum(len(record.histories) for record in records)
    history = records[0].histories[Replicate(0)]
    key = f"{loaded.spec.sweep_id}/0/0"
    run = next(run for run in seeds if run.data.tags["contrasweep.key"] == key)
    logged = client.get_metric_history(run.info.run_id, "validation_mae")
    assert [metric.value for metric in logged] == [row["validation_mae"] for row in history.epochs]


def test_the_last_report_is_of_the_finished_sweep_and_in_mlflow(finished: tuple[LoadedSpec, Settings, str]) -> None:
    loaded, settings, _ = finished
    page = (settings.reports / f"{loaded.spec.sweep_id}.html").read_text()
    assert "finished</span>" in page and "predict-the-mean" in page
    assert "data:image/png" in page, "the embedding maps that the end draws"
    client = mlflow.MlflowClient(tracking_uri=settings.tracking_uri)
    experiment = client.get_experiment_by_name(loaded.spec.name)
    assert experiment
    key = f"tags.`contrasweep.key` = '{loaded.spec.sweep_id}'"
    (run,) = client.search_runs([experiment.experiment_id], key)
    assert Path(client.download_artifacts(run.info.run_id, "report.html")).read_text() == page
    assert "**Test MAE" in run.data.tags["mlflow.note.content"]


def test_the_registered_model_predicts(finished: tuple[LoadedSpec, Settings, str]) -> None:
    loaded, settings, _ = finished
    mlflow.set_tracking_uri(settings.tracking_uri)
    model = mlflow.pyfunc.load_model(f"models:/{loaded.spec.name}/1")
    ages = np.array([25.0, 50.0, 75.0])
    noise = 0.3 * np.random.default_rng(1).standard_normal((3, 1, 16, 16))
    said = model.predict(pd.DataFrame({"image": list((noise + ages[:, None, None, None] / 20).astype(np.float32))}))
    predicted = said["prediction"]
    assert (said["sd"] > 0).all() and (said["unlike"] == "").all()
    assert predicted[0] < predicted[1] < predicted[2]


def test_the_same_spec_again_changes_nothing(
    finished: tuple[LoadedSpec, Settings, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded, settings, _ = finished
    before = results(loaded, settings)
    monkeypatch.setattr("contrasweep.services.sweep.run.cluster", None)  # nor is Ray asked for anything
    assert run_quietly(loaded, settings) == ""
    assert results(loaded, settings) == before


@pytest.mark.slow
def test_the_same_spec_elsewhere_gives_identical_metrics(
    finished: tuple[LoadedSpec, Settings, str], tmp_path: Path
) -> None:
    loaded, settings, _ = finished
    elsewhere = settings_in(tmp_path / "home")
    run_quietly(loaded, elsewhere)
    assert results(loaded, elsewhere) == results(loaded, settings)


def test_poisoned_labels_behind_the_lock_change_nothing_before_the_end(
    finished: tuple[LoadedSpec, Settings, str], tmp_path: Path
) -> None:
    loaded, settings, _ = finished
    poisoned = settings_in(tmp_path / "home")
    shutil.copytree(str(settings.volumes), str(poisoned.volumes), copy_function=shutil.copy2)
    for store in (manifest.parent for manifest in poisoned.volumes.glob("*/manifest.json")):
        poison(store)
    run_quietly(loaded, poisoned)
    assert results(loaded, poisoned) == results(loaded, settings)
    assert weights(loaded, poisoned) == weights(loaded, settings)
    clean, dirty = (FinalReport.read(s.sweeps / loaded.spec.sweep_id / "final.json") for s in (settings, poisoned))
    assert dirty.metrics["mae"].value > clean.metrics["mae"].value + 1e5, "the final evaluation does read them"
    assert dirty.external["young"].metrics["mae"].value > clean.external["young"].metrics["mae"].value + 1e5


def poison(store: UPath) -> None:
    """Move the label of every test subject a million years, and those of a cohort, which has no splits, all."""
    manifest = read_manifest(store)
    split = list(store.glob("splits-*.json"))
    locked = read_splits(split[0]).test if split else tuple(subject.id for subject in manifest.subjects)
    subjects = tuple(
        s.model_copy(update={"label": s.label + 1e6}) if s.id in locked and s.label is not None else s
        for s in manifest.subjects
    )
    write_manifest(store, manifest.model_copy(update={"subjects": subjects}))
    assert (VolumeStore.open(store).labels > 1e6).sum() == len(locked)


def weights(loaded: LoadedSpec, settings: Settings) -> dict[str, Any]:
    """The best checkpoint of every seed run, bit for bit."""
    storage = Path(settings.storage_path) / loaded.spec.sweep_id
    found = {str(path.relative_to(storage)): path for path in storage.glob("trial-*/seed-*/best.pt")}
    assert len(found) >= 5
    return {name: bits({**checkpoint.load(path), "history": None}) for name, path in found.items()}


@pytest.mark.slow
def test_a_streamed_sweep_equals_a_resident_one(finished: tuple[LoadedSpec, Settings, str], tmp_path: Path) -> None:
    resident, settings, _ = finished
    stream = {**resident.spec.data.model_dump(mode="json"), "feed": "stream"}
    streamed = write_study(tmp_path, data=stream)
    run_quietly(streamed, settings_in(tmp_path / "home"))
    assert streamed.spec.sweep_id == resident.spec.sweep_id
    assert results(streamed, settings_in(tmp_path / "home")) == results(resident, settings)


@pytest.mark.slow
def test_fine_tuned_configurations_are_compared_by_what_fine_tuning_reached(tmp_path: Path, ray_local: None) -> None:
    loaded = write_study(
        tmp_path,
        search={"spaces": ["supremix"], "trials": 2, "seeds": [0], "racing": {"rungs": [1], "finalists": 1}},
        probe={"finetune": {"method": "c_mixup", "epochs": 2, "lr": 3e-3}},
    )
    settings = settings_in(tmp_path / "home")
    printed = run_quietly(loaded, settings)
    sweep = Path(settings.storage_path) / loaded.spec.sweep_id
    best = min(read_records(sweep, loaded.spec.plan), key=lambda record: record.objective)
    assert len(best.histories[Replicate(0)].epochs) == 2 and "2 seed runs" in printed
    first = History.read(run_folder(sweep, best.number, Replicate(0)) / "pretraining")
    assert first and len(first.epochs) == 3
    client = mlflow.MlflowClient(tracking_uri=settings.tracking_uri)
    experiment = client.get_experiment_by_name(loaded.spec.name)
    assert experiment
    seeds = [run for run in client.search_runs([experiment.experiment_id]) if "loss" in run.data.metrics]
    assert all({"pretraining_loss", "pretraining_validation_mae"} <= run.data.metrics.keys() for run in seeds)
    test_mae = FinalReport.read(settings.sweeps / loaded.spec.sweep_id / "final.json").metrics["mae"].value
    model = mlflow.pyfunc.load_model(str(settings.sweeps / loaded.spec.sweep_id / "model"))
    scan = next(Path(loaded.base / "images").glob("*.npy"))
    assert len(model.predict(pd.DataFrame({"path": [str(scan)]}))) == 1
    assert test_mae > 0


PAIR = {"spaces": ["exponential"], "trials": 1, "seeds": [0], "racing": None}


def run_and_kill_a_worker(folder: Path) -> tuple[LoadedSpec, Settings]:
    """A sweep on two workers, one of which dies after the first epoch."""
    hit = write_study(folder, training={"workers": 2, "epochs": 6}, search=PAIR)
    settings = settings_in(folder / "home")
    history = run_folder(Path(settings.storage_path) / hit.spec.sweep_id, 0, Replicate(0)) / "history.json"
    killed: list[int] = []
    killer = threading.Thread(target=lambda: killed.append(kill_a_worker_once(history.exists)))
    killer.start()
    run_quietly(hit, settings)
    killer.join()
    assert killed[0]
    return hit, settings


def test_two_workers_survive_the_death_of_one(tmp_path: Path, ray_local: None) -> None:
    hit, settings = run_and_kill_a_worker(tmp_path)
    (record,) = read_records(Path(settings.storage_path) / hit.spec.sweep_id, hit.spec.plan)
    assert record.state == "complete"
    assert [row["epoch"] for row in record.histories[Replicate(0)].epochs] == [*range(6)]


@pytest.mark.slow
def test_the_death_of_a_worker_changes_no_figure(tmp_path: Path, ray_local: None) -> None:
    calm = write_study(tmp_path / "calm", training={"workers": 2, "epochs": 6}, search=PAIR)
    run_quietly(calm, settings_in(tmp_path / "calm" / "home"))
    hit, settings = run_and_kill_a_worker(tmp_path / "hit")
    assert results(hit, settings) == results(calm, settings_in(tmp_path / "calm" / "home"))


def kill_a_worker_once(ready: Callable[[], bool]) -> int:
    """SIGKILL one training worker as soon as `ready`; its process id."""
    wait_for(ready)
    workers = [p for p in psutil.process_iter(["cmdline"]) if "RayTrainWorker" in " ".join(p.info["cmdline"] or [])]
    workers[0].send_signal(signal.SIGKILL)
    return int(workers[0].pid)


def wait_for(condition: Callable[[], bool], timeout_s: float = 240) -> None:
    """Poll until `condition` holds."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def start(spec: Path, home: Path) -> subprocess.Popen[str]:
    """`contrasweep run` as its own process, with a Ray of its own."""
    code = "from contrasweep.services.cli import main; main()"
    environment = {**os.environ, "CONTRASWEEP_HOME": str(home)}
    return subprocess.Popen(
        [sys.executable, "-c", code, "run", str(spec)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.parametrize("end", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
@pytest.mark.usefixtures("signals_as_in_a_terminal")
def test_a_sweep_that_was_ended_in_the_middle_and_resumed_equals_the_undisturbed_one(
    finished: tuple[LoadedSpec, Settings, str], tmp_path: Path, end: signal.Signals
) -> None:
    loaded, settings, _ = finished
    disturbed = settings_in(tmp_path / "home")
    shutil.copytree(str(settings.volumes), str(disturbed.volumes))
    driver = start(loaded.path, disturbed.home)
    sweep = Path(disturbed.storage_path) / loaded.spec.sweep_id
    wait_for(lambda: (run_folder(sweep, 1, Replicate(0)) / "history.json").exists() or driver.poll() is not None)
    driver.send_signal(end)
    printed, _ = driver.communicate(timeout=120)
    assert not (disturbed.sweeps / loaded.spec.sweep_id / "final.json").exists(), printed
    state = SweepFolder.find(disturbed, "small").read_state().state
    if end is signal.SIGINT:
        assert (driver.returncode, state) == (130, STOPPED), printed
        assert f"contrasweep resume {loaded.spec.sweep_id}" in printed
    else:
        assert state == INTERRUPTED
    run_quietly(SweepFolder.find(disturbed, "small").load(), disturbed)
    assert results(loaded, disturbed) == results(loaded, settings)
    numbers = [
        trial.number
        for trial in optuna.load_study(study_name=loaded.spec.sweep_id, storage=disturbed.optuna_storage).trials
    ]
    assert numbers == [0, 1, 2, 3, 4]


def test_a_batch_larger_than_the_training_split_is_refused_before_a_sweep_begins(
    tmp_path: Path, ray_local: None
) -> None:
    loaded = write_study(tmp_path, training={"batch_size": 64})
    with pytest.raises(UserError, match=r"training\.batch_size: 64 is not allowed: the training split has 48"):
        run_quietly(loaded, settings_in(tmp_path / "home"))
    assert not settings_in(tmp_path / "home").sweeps.exists()


def test_the_state_has_what_a_list_of_sweeps_shows(finished: tuple[LoadedSpec, Settings, str]) -> None:
    loaded, settings, _ = finished
    folder = SweepFolder.find(settings, "small")
    state = folder.read_state()
    told = counts(read_records(Path(settings.storage_path) / folder.sweep_id, loaded.spec.plan))
    assert (state.ended, state.seed_runs, state.saved, state.taken, state.best) == tuple(dict(told).values())
    assert (state.ended, state.trials, state.seeds, state.label, state.attempt) == (5, 5, 2, "age", 1)
    assert state.best and state.spent_s > 0
    assert state.test_mae == FinalReport.read(folder.final).metrics["mae"].value
    sweep = Local(settings).status("small")
    assert sweep.final and sweep.final.metrics["mae"].value == sweep.test_mae


def test_the_logs(finished: tuple[LoadedSpec, Settings, str]) -> None:
    loaded, settings, printed = finished
    verbs = Local(settings)
    lines = list(verbs.logs("small"))
    told = dropwhile(lambda line: not line.startswith("prepared"), printed.splitlines())  # before, there is no sweep
    for line in filter(str.strip, told):
        assert any(logged.endswith(line.rstrip()) for logged in lines), line
    assert any("trial 0 complete" in line for line in lines)
    record = read_records(Path(settings.storage_path) / loaded.spec.sweep_id, loaded.spec.plan)[0]
    epochs = [line for line in verbs.logs("small", trial=0) if " epoch " in line]
    assert len(epochs) == sum(len(history.epochs) for history in record.histories.values())
    assert f"seed 0 epoch 1  lr 0.003  loss {record.histories[Replicate(0)].epochs[0]['loss']:.4g}" in epochs[0]


def test_data_that_cannot_be_prepared_are_the_sweeps_failure(tmp_path: Path, ray_local: None) -> None:
    loaded, settings = write_study(tmp_path), settings_in(tmp_path / "home")
    for path in sorted((tmp_path / "images").iterdir())[:8]:
        path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(UserError, match="8 of 80 subjects are rejected"):
        run_quietly(loaded, settings)
    sweep = Local(settings).status("small")
    assert (sweep.state, sweep.attempt) == ("failed", 1)
    assert "8 of 80 subjects are rejected" in sweep.reason
    assert sweep.reason in "".join(Local(settings).logs("small"))


def test_a_sweep_whose_files_of_ids_changed_does_not_go_on(tmp_path: Path, ray_local: None) -> None:
    lists = {"test": "test.txt", "validation": "validation.txt"}
    for place, name in enumerate(lists.values()):
        (tmp_path / name).write_text("".join(f"sub-{10 * place + number:02d}\n" for number in range(10)))
    loaded, settings = write_study(tmp_path, data={"split": {"files": lists}}), settings_in(tmp_path / "home")
    folder = SweepFolder.create(settings, loaded)
    began = prepare(loaded.spec.data, loaded.base, settings.volumes, lambda *_: None)
    with folder.driving() as state:
        state.volumes = began.store.manifest.version
    (tmp_path / "test.txt").write_text("sub-00\nsub-77\n")
    with pytest.raises(
        UserError, match=r"data.split.files: by test.txt 'sub-01' is in the train split; when the sweep"
    ):
        run_quietly(loaded, settings)
    assert [path.parent for path in settings.volumes.glob("*/manifest.json")] == [began.store.folder], "nothing is read"


def test_word_to_stop_that_came_before_the_driver(tmp_path: Path, ray_local: None) -> None:
    loaded, settings = write_study(tmp_path), settings_in(tmp_path / "home")
    SweepFolder(settings.sweeps / loaded.spec.sweep_id).ask_to_stop(3)
    with pytest.raises(KeyboardInterrupt):
        run_sweep(loaded, settings, Console(quiet=True), user="ada", attempt=3)
    sweep = Local(settings).status("small")
    assert (sweep.state, sweep.user, sweep.attempt) == ("stopped", "ada", 3)
    assert not list(settings.volumes.glob("*/manifest.json"))


@pytest.mark.slow
@pytest.mark.usefixtures("signals_as_in_a_terminal")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_preparing_stops(tmp_path: Path, number: signal.Signals) -> None:
    loaded, settings = write_study(tmp_path), settings_in(tmp_path / "home")
    driver = start(loaded.path, settings.home)
    wait_for(lambda: (settings.sweeps / loaded.spec.sweep_id / "state.json").exists() or driver.poll() is not None)
    driver.send_signal(number)
    printed, _ = driver.communicate(timeout=120)
    assert (driver.returncode, Local(settings).status("small").state) == (130, "stopped"), printed


def test_a_spec_that_leads_out_of_the_data_roots(tmp_path: Path, ray_local: None) -> None:
    loaded = write_study(tmp_path / "elsewhere")
    settings = Settings(home=tmp_path / "home", data_roots=(tmp_path / "data",))
    with pytest.raises(UserError, match=r"data\.participants: 'participants\.tsv' is not allowed"):
        run_quietly(loaded, settings)
    assert not settings.sweeps.exists()


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_configuration_that_fails_says_why_in_its_log(tmp_path: Path, ray_local: None, workers: int) -> None:
    short = {"spaces": ["exponential"], "trials": 1, "seeds": [0], "racing": None}
    loaded = write_study(tmp_path, training={"lr": 1e30, "workers": workers}, search=short)
    settings = settings_in(tmp_path / "home")
    with pytest.raises(UserError, match="every configuration failed, the first with Diverged"):
        run_quietly(loaded, settings)
    lines = list(Local(settings).logs("small", trial=0))
    assert sum("Traceback (most recent call last)" in line for line in lines) == 1
    assert "Diverged" in lines[-1]
    sweep = Local(settings).status("small")
    assert (sweep.state, sweep.ended) == ("failed", 1)
    assert sweep.reason.startswith("every configuration failed, the first with Diverged")


@pytest.mark.slow
def test_a_sweep_that_mlflow_has_not_heard_of_whole_is_finished_and_says_so(
    tmp_path: Path, ray_local: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = {"trials": 1, "seeds": [0], "racing": None}
    loaded, settings = write_study(tmp_path, training={"epochs": 2}, search=search), settings_in(tmp_path / "home")
    finish = Tracker.finish
    monkeypatch.setattr(Tracker, "finish", lambda tracker, state: finish(tracker, state) + 3)
    told = io.StringIO()
    state = run_sweep(loaded, settings, Console(file=told, width=200))
    assert (state.state, state.reason, state.undelivered) == (FINISHED, "", True)
    assert f"contrasweep sync {loaded.sweep_id}" in told.getvalue()


def small_and_large(tmp_path: Path, **search: Any) -> tuple[LoadedSpec, Settings]:
    """Two sites that show in the images of 80 people."""
    loaded = write_study(tmp_path)
    lines = (tmp_path / "participants.tsv").read_text().splitlines()
    sites = ["site", *("AB"[row % 2] for row in range(len(lines) - 1))]
    (tmp_path / "participants.tsv").write_text("\n".join("\t".join(pair) for pair in zip(lines, sites, strict=True)))
    spec = loaded.spec
    wanted = {"spaces": ["exponential", "vanilla"], "trials": 3, "seeds": [0, 1], "parallel": 2, **search}
    data = spec.data.model_copy(update={"group": "site"})
    document = spec.model_copy(update={"data": data}).model_dump(mode="json") | {"search": wanted}
    (tmp_path / "study.yaml").write_text(json.dumps(document))
    return load_spec(tmp_path / "study.yaml"), settings_in(tmp_path / "home")


@pytest.mark.slow
def test_a_sweep_for_the_highest_correlation(tmp_path: Path, ray_local: None) -> None:
    loaded, settings = small_and_large(tmp_path, objective="pearson", racing={"rungs": [1], "finalists": 2})
    printed = run_quietly(loaded, settings)
    assert "validation Pearson's r" in printed and "test MAE" in printed
    sweep_id = loaded.spec.sweep_id
    records = read_records(Path(settings.storage_path) / sweep_id, loaded.spec.plan)
    winner = max((r for r in records if r.state == COMPLETE), key=lambda record: record.score)
    final = FinalReport.read(settings.sweeps / sweep_id / "final.json")
    assert final.trial == winner.number
    history = winner.histories[Replicate(0)]
    folder = run_folder(Path(settings.storage_path) / sweep_id, winner.number, Replicate(0))
    reached = [row["validation_pearson"] for row in history.epochs]
    assert checkpoint.load(folder / "best.pt")["epoch"] == reached.index(max(reached))
    assert Local(settings).status(sweep_id).best == pytest.approx(winner.score)
    study = optuna.load_study(study_name=sweep_id, storage=settings.optuna_storage)
    assert (study.direction.name, study.best_trial.number) == ("MAXIMIZE", winner.number)
    client = mlflow.MlflowClient(tracking_uri=settings.tracking_uri)
    experiment = client.get_experiment_by_name("small")
    assert experiment
    (run,) = client.search_runs([experiment.experiment_id], f"tags.`contrasweep.key` = '{sweep_id}'")
    assert run.data.metrics["best_objective"] == pytest.approx(winner.score)
    (child,) = client.search_runs([experiment.experiment_id], f"tags.`contrasweep.key` = '{sweep_id}/{winner.number}'")
    assert "validation_pearson_mean" in child.data.metrics


@pytest.mark.slow
def test_a_sweep_with_two_objectives_and_a_bound(tmp_path: Path, ray_local: None) -> None:
    large = {"encoder": {"small": {}, "wide": {"model": {"width": 0.125}}}}
    points = [{"name": "wide", "method": "vanilla", "choices": {"encoder": "wide"}}]
    bounds = {"parameters": {"max": 100_000}, "seconds_per_scan": {"max": 60}}
    loaded, settings = small_and_large(
        tmp_path, objective=["mae", "site"], racing=None, choices=large, points=points, constraints=bounds, trials=4
    )
    printed = run_quietly(loaded, settings)
    assert "trial 0 is infeasible: parameters " in printed and "site accuracy" in printed
    trials = Local(settings).trials(loaded.spec.sweep_id)
    assert all(trial.objectives.keys() == {"mae", "site"} and trial.costs.keys() == bounds.keys() for trial in trials)
    front = [trial for trial in trials if trial.front == 1]
    assert front and not any(trial.infeasible for trial in front)
    final = FinalReport.read(settings.sweeps / loaded.spec.sweep_id / "final.json")
    assert final.trial == min(front, key=lambda trial: trial.objective or 0).number
    study = optuna.load_study(study_name=loaded.spec.sweep_id, storage=settings.optuna_storage)
    assert study.metric_names == ["validation MAE", "validation site accuracy"]
    unbeaten = {trial.number for trial in study.best_trials if "repeats" not in trial.user_attrs}
    assert unbeaten == {trial.number for trial in front}
    assert study.get_trials()[0].constraints["parameters"] > 0
    page = (settings.reports / f"{loaded.spec.sweep_id}.html").read_text()
    assert "on the Pareto front" in page
    before = Local(settings).trials(loaded.spec.sweep_id)
    assert run_sweep(loaded, settings, Console(quiet=True)).state == FINISHED
    assert Local(settings).trials(loaded.spec.sweep_id) == before


@pytest.mark.slow
def test_a_sweep_keeps_what_it_learns_from_another_and_draws_by_it(tmp_path: Path, ray_local: None) -> None:
    """Nothing of its own is known yet to what it draws, as in a searcher that is given the same by hand."""
    search = {"spaces": ["vanilla"], "trials": 3, "parallel": 3, "seeds": [0], "racing": None}
    earlier, settings = write_study(tmp_path, search=search), settings_in(tmp_path / "home")
    left = Path(settings.storage_path) / SweepFolder.create(settings, earlier).sweep_id
    for n in range(12):
        leave(
            left, n, {0: [n] * 4}, method="vanilla", params=losses.parameters("vanilla"), training={"lr": (n + 1) / 1e3}
        )
    loaded = write_study(tmp_path, search={**search, "learn_from": [left.name]})
    told = recall(loaded.spec, settings, Path(settings.storage_path) / loaded.sweep_id)
    run_quietly(loaded, settings)
    storage = Path(settings.storage_path) / loaded.sweep_id
    assert len(json.loads((storage / "learned.json").read_text())) == len(told) == 12
    by_hand = Bench(tmp_path / "by hand", loaded.spec, learned=told)
    for _ in range(3):
        by_hand.suggest()
    drawn = [record.configuration.training["lr"] for record in read_records(storage, loaded.spec.plan)]
    assert drawn == [by_hand.lr(n) for n in range(3)]
