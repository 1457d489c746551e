"""The weights that a sweep starts from: where they may come from, how they are kept, what is said of them."""

import hashlib
import io
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import pytest
import torch
from mlflow import MlflowClient
from rich.console import Console

from contrasweep.search_spaces import Configuration
from contrasweep.services import cli
from contrasweep.services.data.weights import check_weights, find_weights, keep_weights
from contrasweep.services.records.folder import FINISHED, STOPPED, SweepFolder
from contrasweep.services.records.trial_record import run_folder
from contrasweep.services.settings import Settings
from contrasweep.services.spec.replicate import Replicate
from contrasweep.services.spec.spec import LoadedSpec, SweepSpec
from contrasweep.services.stores.tracker import Tracker
from contrasweep.services.sweep.run import run_sweep
from contrasweep.services.sweep.serving import export_model, versions
from contrasweep.services.sweep.trial import run_config
from contrasweep.trainers.errors import UserError
from contrasweep.trainers.model import build_network
from tests.services.small_study import SPEC, settings_in, write_study
from tests.trainers.served import served_sample

SHAPE = (1, 16, 16)
EXPONENTIAL = Configuration("exponential", {})


def naming(folder: Path, init_from: str | None, **changes: Any) -> LoadedSpec:
    """The small study's spec, of which only the model counts here."""
    spec = SweepSpec.model_validate(SPEC | {"model": SPEC["model"] | {"init_from": init_from} | changes})
    return LoadedSpec(spec, folder / "study.yaml", folder)


def write_weights(path: Path, seed: int = 0) -> Path:
    """A `best.pt` of the small study's network."""
    torch.manual_seed(seed)
    network = build_network(run_config(naming(path, None).spec, EXPONENTIAL, seed), SHAPE)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"model": network.state_dict(), "probe": {}, "epoch": 0, "validation_mae": 1.0}, path)
    return path


def find(loaded: LoadedSpec, settings: Settings) -> dict[str, bytes]:
    """The weights that are found, by their paths from the folder that they lie in."""
    with find_weights(loaded, settings) as weights:
        assert weights
        files = sorted(weights.glob("seed-*.pt")) if weights.is_dir() else [weights]
        return {str(file.relative_to(weights.parent)): file.read_bytes() for file in files}


def refusal(loaded: LoadedSpec, settings: Settings) -> str:
    with pytest.raises(UserError) as error, find_weights(loaded, settings):
        pass
    assert "\n" not in str(error.value)
    start = f"{loaded.path}: model.init_from: "
    assert str(error.value).startswith(start)
    return str(error.value).removeprefix(start)


def test_a_path_starts_from_the_folder_of_the_spec(tmp_path: Path) -> None:
    best = write_weights(tmp_path / "earlier/best.pt")
    for named in ("earlier/best.pt", str(best)):
        found = find(naming(tmp_path, named), settings_in(tmp_path / "home"))
        assert found == {"best.pt": best.read_bytes()}


def test_no_weights_are_needed(tmp_path: Path) -> None:
    with find_weights(naming(tmp_path, None), settings_in(tmp_path / "home")) as weights:
        assert weights is None


def test_what_cannot_be_read_is_one_line_that_names_spec_and_field(tmp_path: Path) -> None:
    settings = settings_in(tmp_path / "home")
    assert refusal(naming(tmp_path, "gone.pt"), settings) == f"no such file: {tmp_path}/gone.pt"
    (tmp_path / "words.pt").write_text("words")
    assert "words.pt: not a file of weights" in refusal(naming(tmp_path, "words.pt"), settings)


@pytest.mark.parametrize(
    "address", ["https://example.org/best.pt", "s3://bucket/best.pt", "file:///best.pt", "runs:/12/model", "models:/a"]
)
def test_addresses_are_refused(tmp_path: Path, address: str) -> None:
    said = refusal(naming(tmp_path, address), settings_in(tmp_path / "home"))
    assert said == f"'{address}' is not allowed: must be a path, models:/name/version or models:/name@alias"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings whose MLflow has version 1 of `age`, of seeds 0 and 4, also called `best`, and a model of one file."""
    home = tmp_path_factory.mktemp("registry")
    settings = settings_in(home)
    spec = naming(home, "named/in/the/spec.pt").spec
    members = {
        Replicate(seed): (run_config(spec, EXPONENTIAL, seed), write_weights(home / f"runs/{seed}/best.pt", seed))
        for seed in (0, 4)
    }
    served = served_sample.config(SHAPE).model_copy(update={"versions": versions()})
    export_model(home / "model", members, served, home)
    tracker = Tracker(settings.tracking_uri, None, "age", "age-1c2e")
    tracker.start("name: age\n", {}, {})
    tracker.register(home / "model", {}, home / "README.md")
    assert tracker.finish("complete", timeout_s=60) == 0
    client = MlflowClient(tracking_uri=settings.tracking_uri)
    client.set_registered_model_alias("age", "best", "1")
    _register_file(client, "openbhb", members[Replicate(0)][1])
    return settings


def _register_file(client: MlflowClient, name: str, file: Path) -> None:
    experiment = client.get_experiment_by_name("age")
    assert experiment
    run = client.create_run(experiment.experiment_id)
    client.log_artifact(run.info.run_id, str(file), "model")
    client.create_registered_model(name)
    client.create_model_version(name, f"runs:/{run.info.run_id}/model", run.info.run_id)


@pytest.mark.parametrize("named", ["models:/age/1", "models:/age@best"])
def test_a_registered_sweep_gives_the_weights_of_each_seed(registry: Settings, tmp_path: Path, named: str) -> None:
    for _ in range(2):  # what was downloaded first was not taken from the registry
        found = find(naming(tmp_path, named), registry)
        assert found == {
            f"age-1/seed-{seed}.pt": (registry.home / f"runs/{seed}/best.pt").read_bytes() for seed in (0, 4)
        }


def test_a_registered_file_of_weights(registry: Settings, tmp_path: Path) -> None:
    found = find(naming(tmp_path, "models:/openbhb/1"), registry)
    assert found == {"openbhb-1.pt": (registry.home / "runs/0/best.pt").read_bytes()}


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("models:/agee/1", "unknown registered model 'agee'; did you mean 'age'? allowed: age, openbhb"),
        ("models:/age/7", "unknown version '7' of 'age'; allowed: 1"),
        ("models:/age@worst", "unknown alias 'worst' of 'age'; allowed: best"),
        ("models:/openbhb@best", "unknown alias 'best' of 'openbhb'; allowed: none"),
    ],
)
def test_what_is_not_registered(registry: Settings, tmp_path: Path, named: str, said: str) -> None:
    assert refusal(naming(tmp_path, named), registry) == said


def test_a_tracking_store_that_is_not_there_yet_is_not_made(tmp_path: Path) -> None:
    said = refusal(naming(tmp_path, "models:/age/1"), settings_in(tmp_path / "home"))
    assert said == "unknown registered model 'age'; nothing is registered yet"
    assert not (tmp_path / "home").exists()


def test_a_server_that_does_not_answer_is_one_line_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    settings = Settings(home=tmp_path / "home", tracking_uri="http://me:secret@127.0.0.1:9")
    said = refusal(naming(tmp_path, "models:/age/1"), settings)
    assert said.startswith("models:/age/1 cannot be had from MLflow: ")
    assert "secret" not in said


def test_a_registered_model_without_weights(registry: Settings, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("none")
    name = "notes"
    _register_file(MlflowClient(tracking_uri=registry.tracking_uri), name, tmp_path / "notes.txt")
    said = refusal(naming(tmp_path, "models:/notes/1"), registry)
    MlflowClient(tracking_uri=registry.tracking_uri).delete_registered_model(name)
    assert said.startswith("models:/notes/1 holds 0 files of weights; allowed: one (.pt, .pth, .tar)")


def test_the_sweeps_own_copy_counts_whatever_becomes_of_the_source(tmp_path: Path) -> None:
    loaded, settings = naming(tmp_path, "best.pt"), settings_in(tmp_path / "home")
    source = write_weights(tmp_path / "best.pt")
    content = source.read_bytes()
    sweep = Path(settings.storage_path) / loaded.spec.sweep_id
    start = keep_weights(source, "all of it", sweep)
    assert start.path == sweep / "init_from/best.pt"
    assert start.digest == hashlib.sha256(content).hexdigest()
    write_weights(source, seed=1)
    assert find(loaded, settings) == {"best.pt": content}
    source.unlink()
    assert find(loaded, settings) == {"best.pt": content}
    assert keep_weights(start.path, "all of it", sweep) == start


def test_of_a_folder_only_the_seeds_weights_are_kept(tmp_path: Path) -> None:
    for seed in (0, 4):
        write_weights(tmp_path / f"model/seed-{seed}.pt", seed)
    (tmp_path / "model/ensemble.json").write_text("{}")
    start = keep_weights(tmp_path / "model", "", tmp_path / "sweep")
    assert sorted(file.name for file in start.path.iterdir()) == ["seed-0.pt", "seed-4.pt"]
    together = b"".join((tmp_path / f"model/seed-{seed}.pt").read_bytes() for seed in (0, 4))
    assert start.digest == hashlib.sha256(together).hexdigest()


def test_a_copy_that_was_cut_off_is_made_again(tmp_path: Path) -> None:
    (tmp_path / "sweep/.init_from").mkdir(parents=True)
    (tmp_path / "sweep/.init_from/half").touch()
    source = write_weights(tmp_path / "best.pt")
    start = keep_weights(source, "", tmp_path / "sweep")
    assert [file.name for file in start.path.parent.iterdir()] == ["best.pt"]


def test_the_match_is_printed(tmp_path: Path) -> None:
    source = write_weights(tmp_path / "best.pt")
    console = Console(file=io.StringIO(), width=40)
    loaded = naming(tmp_path, "best.pt", embedding=9)
    summary = check_weights(loaded, source, SHAPE, console)
    assert summary.endswith(
        "tensors from best.pt; other shape: head.2.weight [8, 16] for [9, 16], head.2.bias [8] for [9]"
    )
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == f"start     {summary}\n"


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    source = write_weights(tmp_path / "best.pt")
    with pytest.raises(UserError, match=rf"^{tmp_path}/study.yaml: model.init_from: best.pt: none of its \d+ tensors"):
        check_weights(naming(tmp_path, "best.pt", width=0.125), source, SHAPE, Console(quiet=True))


def test_trials_are_told_of_the_copy_and_nobody_else_of_any_weights(tmp_path: Path) -> None:
    spec = naming(tmp_path, str(tmp_path / "best.pt")).spec
    assert run_config(spec, EXPONENTIAL, 0, tmp_path / "copy.pt").model.init_from == str(tmp_path / "copy.pt")
    assert run_config(spec, EXPONENTIAL, 0).model.init_from is None


def test_the_exported_model_names_no_weights_to_start_from(registry: Settings) -> None:
    text = "".join(file.read_text() for file in (registry.home / "model").rglob("*.json"))
    assert "spec.pt" not in text and '"init_from": null' in text


@pytest.fixture
def contrasweep(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str, Path], int]:
    """Runs a command on a spec in this process; its exit code."""

    def call(command: str, spec: Path) -> int:
        monkeypatch.setenv("CONTRASWEEP_HOME", str(tmp_path / "home"))
        monkeypatch.setattr("sys.argv", ["contrasweep", command, str(spec)])
        try:
            cli.main()
        except SystemExit as stop:
            return int(stop.code or 0)
        return 0

    return call


@pytest.mark.parametrize("command", ["validate", "run"])
def test_weights_that_are_not_there_stop_a_command_before_anything_is_prepared(
    tmp_path: Path, contrasweep: Callable[[str, Path], int], capsys: pytest.CaptureFixture[str], command: str
) -> None:
    loaded = write_study(tmp_path, model={"init_from": "gone.pt"})
    assert contrasweep(command, loaded.path) == 2
    err = capsys.readouterr().err
    assert err == f"error: {loaded.path}: model.init_from: no such file: {tmp_path}/gone.pt\n"
    assert not list((tmp_path / "home").glob("*/*"))


def test_validate_shows_what_fits_and_copies_nothing(
    tmp_path: Path, contrasweep: Callable[[str, Path], int], capsys: pytest.CaptureFixture[str]
) -> None:
    loaded = write_study(tmp_path, model={"init_from": "best.pt"})
    write_weights(tmp_path / "best.pt")
    assert contrasweep("validate", loaded.path) == 0
    *_, start, valid = capsys.readouterr().out.splitlines()
    assert start.startswith("start     ") and start.endswith("tensors from best.pt")
    assert "is valid" in valid
    assert not (tmp_path / "home").exists()


@pytest.mark.slow
@pytest.mark.ray
def test_a_sweep_starts_from_its_weights_and_goes_on_without_their_source(tmp_path: Path, ray_local: None) -> None:
    source = write_weights(tmp_path / "best.pt", seed=7)
    short = {"spaces": ["exponential"], "trials": 1, "seeds": [0], "racing": None}
    # Steps too small to change a weight: what is in the checkpoint after an epoch is what it began with.
    still = {"epochs": 1, "lr": 1e-15, "weight_decay": 0.0}
    loaded = write_study(tmp_path, model={"init_from": "best.pt"}, training=still, search=short)
    settings = settings_in(tmp_path / "home")
    console = Console(file=io.StringIO(), width=200)
    assert run_sweep(loaded, settings, console).state == FINISHED
    sweep = Path(settings.storage_path) / loaded.spec.sweep_id
    wanted, reached = (
        torch.load(path, weights_only=True)["model"]
        for path in (source, run_folder(sweep, 0, Replicate(0)) / "best.pt")
    )
    weights = [name for name in wanted if name.endswith("conv1.weight")]
    assert weights and all(torch.equal(wanted[name], reached[name]) for name in weights)
    assert isinstance(console.file, io.StringIO)
    (shown,) = [line for line in console.file.getvalue().splitlines() if line.startswith("start")]
    client = mlflow.MlflowClient(tracking_uri=settings.tracking_uri)
    experiment = client.get_experiment_by_name(loaded.spec.name)
    assert experiment
    tagged = f"tags.`contrasweep.key` = '{loaded.spec.sweep_id}'"
    (parent,) = client.search_runs([experiment.experiment_id], tagged)
    assert parent.data.params["init_from"] == shown.removeprefix("start     ")
    assert parent.data.tags["contrasweep.digest.init_from"] == hashlib.sha256(source.read_bytes()).hexdigest()
    _resume_without(source, loaded, settings, run_folder(sweep, 0, Replicate(0)))


def _resume_without(source: Path, loaded: LoadedSpec, settings: Settings, seed: Path) -> None:
    """As if the driver had died before the only seed ran: it runs again, and ends up the same."""
    before = torch.load(seed / "best.pt", weights_only=True)["model"]
    source.unlink()
    shutil.rmtree(seed.parent)
    folder = SweepFolder.find(settings, loaded.spec.sweep_id)
    state = folder.read_state()
    state.state = STOPPED
    folder.write_state(state)
    folder.final.unlink()
    Path(settings.optuna_storage.removeprefix("sqlite:///")).unlink()
    assert run_sweep(folder.load(), settings, Console(quiet=True)).state == FINISHED
    after = torch.load(seed / "best.pt", weights_only=True)["model"]
    assert all(torch.equal(before[name], after[name]) for name in before)
