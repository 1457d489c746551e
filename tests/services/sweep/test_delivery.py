from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from contrasweep.services.records.drivers import add_driver
from contrasweep.services.records.folder import FINISHED, STOPPED, SweepFolder, SweepState
from contrasweep.services.records.trial_record import keep_race, read_records, run_folder
from contrasweep.services.settings import Settings
from contrasweep.services.spec.replicate import Replicate
from contrasweep.services.spec.spec import LoadedSpec
from contrasweep.services.sweep.delivery import _bests, deliver
from contrasweep.services.verbs.local import Local
from contrasweep.trainers.errors import UserError
from contrasweep.trainers.history import PRUNED
from tests.services.past import history, leave, spec
from tests.services.stores.mlflow_databases import empty

SPEC = spec(spaces=["dynlocrep", "vanilla"], seeds=[0, 1], trials=3, racing={"rungs": [1], "finalists": 1})


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = Settings(home=tmp_path / "home")
    settings.home.mkdir()
    (settings.home / "mlflow.db").write_bytes(empty())
    return settings


@pytest.fixture
def folder(settings: Settings, tmp_path: Path) -> SweepFolder:
    """A sweep of three configurations: one complete, one that was pruned and went on as a finalist, one half done."""
    folder = SweepFolder.create(settings, LoadedSpec(SPEC, tmp_path / "study.yaml", tmp_path))
    sweep = Path(settings.storage_path) / folder.sweep_id
    leave(sweep, 0, {0: [9.0, 8.0, 7.0, 6.0], 1: [9.0] * 4}, params={"temperature": 0.1}, planned=[0, 1])
    leave(sweep, 1, {0: [8.0, 7.0, 6.0, 5.0], 1: [9.0]}, state=PRUNED, reason="3 behind", planned=[0, 1])
    keep_race(sweep, 1, SPEC.plan)
    history([9.0, 7.0, 6.0, 5.0], seed=1).write(run_folder(sweep, 1, Replicate(1)))
    history([3.0, 2.0]).write(run_folder(sweep, 1, Replicate(0)) / "pretraining")
    leave(sweep, 2, {0: [8.0, 7.0]}, planned=[0, 1])
    with folder.driving("ada") as state:
        add_driver(folder, state, {"volumes": "ab12", "code": "cd34"}, "all of the encoder")
        state.state, state.undelivered = FINISHED, True
    return folder


def _runs(settings: Settings, folder: SweepFolder) -> dict[str, Run]:
    client = MlflowClient(tracking_uri=settings.tracking_uri)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(experiments)
    by_key = {run.data.tags["contrasweep.key"].removeprefix(folder.sweep_id): run for run in runs}
    assert len(by_key) == len(runs)
    return by_key


def _curve(settings: Settings, run: Run, metric: str) -> list[tuple[int, float]]:
    points = MlflowClient(tracking_uri=settings.tracking_uri).get_metric_history(run.info.run_id, metric)
    return sorted((point.step, point.value) for point in points)


def test_everything_on_disk_is_delivered_once_however_often(settings: Settings, folder: SweepFolder) -> None:
    assert Local(settings).sync(folder.sweep_id[:7]).undelivered is False
    before = _runs(settings, folder)
    assert before.keys() == {"", "/0", "/0/0", "/0/1", "/1", "/1/0", "/1/1", "/2", "/2/0"}
    assert {key: run.info.status for key, run in before.items() if run.info.status != "FINISHED"} == {
        "/2": "KILLED",
        "/2/0": "KILLED",
    }
    whole = before[""].data
    assert whole.params["init_from"] == "all of the encoder" and whole.params["objective"] == "mae"
    assert (whole.tags["mlflow.user"], whole.tags["contrasweep.digest.code"]) == ("ada", "cd34")
    assert _curve(settings, before[""], "best_trial") == [(0, 0.0), (1, 1.0)]
    assert _curve(settings, before[""], "best_objective") == [(0, 7.5), (1, 5.0)]
    assert before["/0"].data.params == {"method": "dynlocrep", "temperature": "0.1"}
    assert _curve(settings, before["/1"], "objective") == [(1, 5.0), (2, 5.0)], "as its race ended, and as a finalist"
    assert _curve(settings, before["/1/0"], "pretraining_loss") == [(0, 1.0), (1, 1.0)]
    assert _curve(settings, before["/2/0"], "validation_mae") == [(0, 8.0), (1, 7.0)]
    described = whole.tags["mlflow.note.content"]
    assert described.startswith("**finished**")

    deliver(settings, folder)
    after = _runs(settings, folder)
    assert {key: run.info.run_id for key, run in after.items()} == {k: run.info.run_id for k, run in before.items()}
    for key, run in after.items():
        assert run.info.end_time == before[key].info.end_time, "it was not opened again"
        for metric in run.data.metrics:
            steps = [step for step, _ in _curve(settings, run, metric)]
            assert len({*steps}) == len(steps), (key, metric)


def test_a_sweep_that_runs_is_not_delivered(settings: Settings, folder: SweepFolder) -> None:
    with folder.driving(), pytest.raises(UserError, match="is already running"):
        deliver(settings, folder)


def test_one_that_was_stopped_can_go_on_after(settings: Settings, folder: SweepFolder) -> None:
    with folder.driving() as state:
        state.state = STOPPED
    assert deliver(settings, folder).state == STOPPED
    assert _runs(settings, folder)[""].info.status == "KILLED"
    with folder.driving():
        assert folder.read_state().state == "running"


def test_a_server_that_is_away_is_named_in_one_line(settings: Settings, folder: SweepFolder) -> None:
    away = settings.model_copy(update={"tracking_uri": "http://ada:secret@127.0.0.1:9"})
    with pytest.raises(UserError, match=r"MLflow does not take sweep .*, which is on disk as before: ") as error:
        deliver(away, folder)
    assert "secret" not in str(error.value) and "\n" not in str(error.value)
    assert folder.read_state().undelivered


def test_another_error_of_mlflow_s_is_no_traceback(
    settings: Settings, folder: SweepFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*given: object, **named: object) -> None:
        raise MlflowException("quota")

    monkeypatch.setattr(MlflowClient, "log_batch", fail)
    with pytest.raises(UserError, match="quota"):
        deliver(settings, folder)


def test_the_bests_are_those_of_the_races_in_their_order_and_the_one_now(
    settings: Settings, folder: SweepFolder
) -> None:
    records = read_records(Path(settings.storage_path) / folder.sweep_id, SPEC.plan)
    assert _bests(records) == [(0, 7.5), (1, 5.0)]
    assert _bests(records[:1]) == [(0, 7.5)] and _bests(records[2:]) == []


def test_the_state_of_an_earlier_version_lacks_nothing() -> None:
    assert not SweepState.from_json("study-00000000", '{"state": "finished"}').undelivered
