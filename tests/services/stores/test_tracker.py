import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from contrasweep.services.spec.replicate import Replicate
from contrasweep.services.stores.mlflow import Metrics
from contrasweep.services.stores.telling import Telling
from contrasweep.services.stores.tracker import Tracker
from tests.services.past import by_seed
from tests.services.stores.mlflow_databases import empty

SWEEP = "soop-1c2e"


@pytest.fixture
def uri(tmp_path: Path) -> str:
    (tmp_path / "mlflow.db").write_bytes(empty())
    return f"sqlite:///{tmp_path}/mlflow.db"


@pytest.fixture
def client(uri: str) -> MlflowClient:
    return MlflowClient(tracking_uri=uri)


@pytest.fixture
def tracker(uri: str, tmp_path: Path) -> Iterator[Tracker]:
    tracker = _tracker(uri, tmp_path)
    yield tracker
    tracker.finish("stopped", timeout_s=10)


def _tracker(uri: str, folder: Path) -> Tracker:
    return Tracker(uri, str(folder / "artifacts"), "soop", SWEEP)


def _runs(client: MlflowClient) -> dict[str, Run]:
    """Every run of the store by its key; two runs with one key are an error."""
    runs = client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])
    by_key = {run.data.tags["contrasweep.key"]: run for run in runs}
    assert len(by_key) == len(runs)
    return by_key


def _curve(client: MlflowClient, run: Run, metric: str) -> list[tuple[int, float]]:
    return sorted((point.step, point.value) for point in client.get_metric_history(run.info.run_id, metric))


def _row(epoch: int, validation_mae: float | None) -> Metrics:
    return {"epoch": epoch, "loss": 1.0 / (epoch + 1), "validation_mae": validation_mae}


def _small_sweep(tracker: Tracker) -> None:
    tracker.start("name: soop\n", {"sampler": "tpe"}, {"data": "ab12"})
    tracker.trial_started(0, "dynlocrep", {"temperature": 0.1, "lam": float("inf")})
    for seed in (0, 1):
        for epoch in range(3):
            tracker.epoch(0, Replicate(seed), _row(epoch, 9.0 - epoch + seed))
        tracker.run_ended(0, Replicate(seed), "complete", "")
    tracker.trial_ended(0, "complete", "", 7.5, by_seed({0: 7.0, 1: 8.0}), 2)


def test_a_sweep_is_a_tree_of_runs_that_are_all_closed(tracker: Tracker, client: MlflowClient) -> None:
    _small_sweep(tracker)
    tracker.trial_started(1, "supremix", {"window": 5})
    tracker.epoch(1, Replicate(0), _row(0, 30.0))
    tracker.run_ended(1, Replicate(0), "pruned", "cannot beat trial 0")
    tracker.trial_ended(1, "pruned", "cannot beat trial 0", None, {}, 0)
    tracker.trial_started(2, "vanilla", {})
    tracker.trial_ended(2, "failed", "loss is nan at epoch 3", None, {}, 0)
    tracker.trial_started(3, "vanilla", {})
    tracker.epoch(3, Replicate(0), _row(0, 20.0))
    assert tracker.finish("complete", timeout_s=20) == 0

    runs = _runs(client)
    parents = {key: run.data.tags.get("mlflow.parentRunId") for key, run in runs.items()}
    assert parents == {
        SWEEP: None,
        **{f"{SWEEP}/{number}": runs[SWEEP].info.run_id for number in range(4)},
        **{f"{SWEEP}/{n}/{s}": runs[f"{SWEEP}/{n}"].info.run_id for n, s in [(0, 0), (0, 1), (1, 0), (3, 0)]},
    }
    states = {key: (run.info.status, run.data.tags["contrasweep.state"]) for key, run in runs.items()}
    assert states == {
        SWEEP: ("FINISHED", "complete"),
        f"{SWEEP}/0": ("FINISHED", "complete"),
        f"{SWEEP}/0/0": ("FINISHED", "complete"),
        f"{SWEEP}/0/1": ("FINISHED", "complete"),
        f"{SWEEP}/1": ("KILLED", "pruned"),
        f"{SWEEP}/1/0": ("KILLED", "pruned"),
        f"{SWEEP}/2": ("FAILED", "failed"),
        f"{SWEEP}/3": ("KILLED", "stopped"),
        f"{SWEEP}/3/0": ("KILLED", "stopped"),
    }
    assert runs[f"{SWEEP}/2"].data.tags["contrasweep.reason"] == "loss is nan at epoch 3"
    assert runs[f"{SWEEP}/0"].data.params == {"method": "dynlocrep", "temperature": "0.1", "lam": "inf"}
    assert runs[SWEEP].data.tags["contrasweep.digest.data"] == "ab12"


def test_metrics_of_seeds_and_their_mean_and_sd(tracker: Tracker, client: MlflowClient) -> None:
    _small_sweep(tracker)
    assert tracker.flush(10) == 0
    runs = _runs(client)
    child = runs[f"{SWEEP}/0"]
    assert _curve(client, runs[f"{SWEEP}/0/1"], "validation_mae") == [(0, 10.0), (1, 9.0), (2, 8.0)]
    assert _curve(client, child, "validation_mae_mean") == [(0, 9.5), (1, 8.5), (2, 7.5)]
    assert [sd for _, sd in _curve(client, child, "validation_mae_sd")] == pytest.approx([0.5**0.5] * 3)
    assert _curve(client, child, "objective") == [(2, 7.5)]
    assert child.data.metrics["objective_sd"] == pytest.approx(0.5**0.5)


def test_a_metric_that_was_not_measured_is_left_out(tracker: Tracker, client: MlflowClient) -> None:
    tracker.epoch(0, Replicate(0), _row(0, None))
    tracker.epoch(0, Replicate(0), _row(1, 4.0))
    assert tracker.flush(10) == 0
    run = _runs(client)[f"{SWEEP}/0/0"]
    assert _curve(client, run, "validation_mae") == [(1, 4.0)]
    assert _curve(client, run, "loss") == [(0, 1.0), (1, 0.5)]


def _prune_in_the_second_seed(tracker: Tracker) -> None:
    tracker.trial_started(0, "dynlocrep", {})
    tracker.history(0, Replicate(0), [_row(0, 8.0), _row(1, 6.0)])
    tracker.epoch(0, Replicate(1), _row(0, 30.0))
    tracker.run_ended(0, Replicate(1), "pruned", "")
    tracker.trial_ended(0, "pruned", "", 6.0, by_seed({0: 6.0}), 1)


def test_a_seed_cut_short_does_not_count_in_the_mean_by_epoch(tracker: Tracker, client: MlflowClient) -> None:
    _prune_in_the_second_seed(tracker)
    assert tracker.finish("complete", timeout_s=10) == 0
    child = _runs(client)[f"{SWEEP}/0"]
    assert _curve(client, child, "validation_mae_mean") == [(0, 8.0), (1, 6.0)]
    assert "objective_sd" not in child.data.metrics


def test_a_pruned_configuration_can_go_on_as_a_finalist(tracker: Tracker, client: MlflowClient) -> None:
    _prune_in_the_second_seed(tracker)
    tracker.trial_started(0, "dynlocrep", {})
    tracker.epoch(0, Replicate(1), _row(1, 10.0))
    assert tracker.flush(10) == 0
    assert {key: run.info.status for key, run in _runs(client).items()} == {
        SWEEP: "RUNNING",
        f"{SWEEP}/0": "RUNNING",
        f"{SWEEP}/0/0": "RUNNING",
        f"{SWEEP}/0/1": "RUNNING",
    }
    tracker.run_ended(0, Replicate(1), "complete", "")
    tracker.epoch(0, Replicate(1), _row(1, 10.0))  # heard of after the end
    tracker.history(0, Replicate(0), [_row(0, 8.0), _row(1, 6.0)])
    tracker.history(0, Replicate(1), [_row(0, 30.0), _row(1, 10.0)])
    tracker.trial_ended(0, "complete", "", 8.0, by_seed({0: 6.0, 1: 10.0}), 2)
    assert tracker.flush(10) == 0
    runs = _runs(client)
    assert runs[f"{SWEEP}/0/1"].info.status == "FINISHED"
    assert _curve(client, runs[f"{SWEEP}/0"], "objective") == [(1, 6.0), (2, 8.0)]
    assert _curve(client, runs[f"{SWEEP}/0"], "validation_mae_mean") == [(0, 19.0), (1, 8.0)]


def test_artifacts_lie_beside_a_sqlite_store(uri: str, client: MlflowClient, tmp_path: Path) -> None:
    tracker = Tracker(uri, None, "soop", SWEEP)
    tracker.start("name: soop\n", {}, {})
    assert tracker.finish("complete", timeout_s=10) == 0
    run_id = _runs(client)[SWEEP].info.run_id
    assert (tmp_path / "artifacts/soop" / run_id / "artifacts/spec.yaml").exists()


def test_resume_finds_the_runs_again_and_logs_nothing_twice(uri: str, tmp_path: Path, client: MlflowClient) -> None:
    first = _tracker(uri, tmp_path)
    _small_sweep(first)
    first.trial_started(1, "supremix", {"window": 5})
    first.epoch(1, Replicate(0), _row(0, 6.0))
    first.best((0, 7.5))
    assert first.finish("stopped", timeout_s=10) == 0
    before = _runs(client)

    second = _tracker(uri, tmp_path)
    second.start("name: soop\n", {"sampler": "tpe"}, {"data": "ab12"})
    second.best((0, 7.5))
    second.history(0, Replicate(0), [_row(epoch, 9.0 - epoch) for epoch in range(3)])
    second.trial_started(1, "supremix", {"window": 5})
    second.history(1, Replicate(0), [_row(0, 6.0), _row(1, 5.0)])
    second.epoch(1, Replicate(0), _row(1, 5.0))
    second.epoch(1, Replicate(0), _row(2, 4.0))
    assert second.flush(10) == 0
    running = {key for key, run in _runs(client).items() if run.info.status == "RUNNING"}
    assert running == {SWEEP, f"{SWEEP}/1", f"{SWEEP}/1/0"}
    second.run_ended(1, Replicate(0), "complete", "")
    second.trial_ended(1, "complete", "", 4.0, by_seed({0: 4.0}), 1)
    second.best((1, 4.0))
    assert second.finish("complete", timeout_s=10) == 0

    after = _runs(client)
    assert {key: run.info.run_id for key, run in after.items()} == {k: run.info.run_id for k, run in before.items()}
    assert {run.info.status for run in after.values()} == {"FINISHED"}
    assert _curve(client, after[f"{SWEEP}/0/0"], "validation_mae") == [(0, 9.0), (1, 8.0), (2, 7.0)]
    assert _curve(client, after[f"{SWEEP}/1/0"], "validation_mae") == [(0, 6.0), (1, 5.0), (2, 4.0)]
    assert _curve(client, after[f"{SWEEP}/1"], "validation_mae_mean") == [(0, 6.0), (1, 5.0), (2, 4.0)]
    assert _curve(client, after[SWEEP], "best_objective") == [(0, 7.5), (1, 4.0)]
    assert _curve(client, after[SWEEP], "best_trial") == [(0, 0.0), (1, 1.0)]


def test_two_sweeps_share_an_experiment_but_no_run(uri: str, tmp_path: Path, client: MlflowClient) -> None:
    for sweep in ("soop-1c2e", "soop-77aa"):
        tracker = Tracker(uri, str(tmp_path / "artifacts"), "soop", sweep)
        tracker.start("", {}, {})
        assert tracker.finish("complete", timeout_s=10) == 0
    assert set(_runs(client)) == {"soop-1c2e", "soop-77aa"}
    assert [experiment.name for experiment in client.search_experiments()].count("soop") == 1


def test_the_report_is_an_artifact_as_it_is_when_it_is_sent(
    tracker: Tracker, client: MlflowClient, tmp_path: Path
) -> None:
    tracker.start("name: soop\n", {}, {}, user="ada")
    page = tmp_path / "soop-1c2e.html"
    for text in ("<p>begun", "<p>done"):
        page.write_text(text)
        tracker.report(page, f"**{text}**")
    assert tracker.flush(10) == 0
    (run,) = _runs(client).values()
    assert Path(run.info.artifact_uri or "", "report.html").read_text() == "<p>done"
    assert run.data.tags["mlflow.note.content"] == "**<p>done**"
    assert run.data.tags["mlflow.user"] == "ada"


def test_a_missing_report_is_dropped_and_the_next_one_sent(
    tracker: Tracker, client: MlflowClient, tmp_path: Path
) -> None:
    tracker.start("name: soop\n", {}, {})
    tracker.report(tmp_path / "none.html", "none")
    assert tracker.flush(10) == 0
    (tmp_path / "some.html").write_text("<p>some")
    tracker.report(tmp_path / "some.html", "some")
    assert tracker.flush(10) == 0
    (run,) = _runs(client).values()
    assert Path(run.info.artifact_uri or "", "report.html").read_text() == "<p>some"


def test_reports_that_wait_for_the_artifacts_go_out_once(
    tracker: Tracker, client: MlflowClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker.start("name: soop\n", {}, {})
    assert tracker.flush(10) == 0
    monkeypatch.setattr("contrasweep.services.stores.outbox._FIRST_WAIT_S", 0.01)
    monkeypatch.setattr("contrasweep.services.stores.outbox._LONGEST_WAIT_S", 0.02)
    outage = _Outage(monkeypatch, ("log_text",))
    outage.cut.set()
    page = tmp_path / "page.html"
    for number in range(8):
        before = outage.failed
        page.write_text(f"<p>{number}")
        tracker.report(page, "")
        while outage.failed < before + 2:
            time.sleep(0.005)
    outage.cut.clear()
    outage.calls.clear()
    assert tracker.flush(10) == 0
    assert outage.calls.count("log_text") <= 2
    (run,) = _runs(client).values()
    assert Path(run.info.artifact_uri or "", "report.html").read_text() == "<p>7"


def test_spec_leaderboard_and_files_become_artifacts(tracker: Tracker, client: MlflowClient, tmp_path: Path) -> None:
    (tmp_path / "map.png").write_bytes(b"png")
    tracker.start("name: soop\n", {}, {})
    tracker.leaderboard("1 dynlocrep 9.9")
    tracker.leaderboard("1 dynlocrep 4.8")
    tracker.artifact((0, 1), tmp_path / "map.png", "figures")
    assert tracker.flush(10) == 0
    runs = _runs(client)
    sweep_folder = Path(runs[SWEEP].info.artifact_uri or "")
    assert (sweep_folder / "spec.yaml").read_text() == "name: soop\n"
    assert (sweep_folder / "leaderboard.txt").read_text() == "1 dynlocrep 4.8"
    assert (Path(runs[f"{SWEEP}/0/1"].info.artifact_uri or "") / "figures/map.png").read_bytes() == b"png"


class _Outage:
    """The network to MLflow, which can be cut: while it is, calls fail, some after they got through."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, calls: tuple[str, ...]) -> None:
        self.cut, self.repeated = threading.Event(), threading.Event()
        self.failed = 0
        self.calls: list[str] = []
        for name in calls:
            monkeypatch.setattr(MlflowClient, name, self._wrap(name, getattr(MlflowClient, name)))

    def _wrap(self, name: str, call: Callable[..., object]) -> Callable[..., object]:
        def wrapped(*args: object, **kwargs: object) -> object:
            self.calls.append(name)
            if not self.cut.is_set():
                return call(*args, **kwargs)
            self.failed += 1
            if self.failed == 4:
                self.repeated.set()
            if self.failed % 2:
                call(*args, **kwargs)
            raise MlflowException("API request to http://user:secret@host failed with exception: timed out")

        return wrapped


@pytest.fixture
def outage(monkeypatch: pytest.MonkeyPatch) -> _Outage:
    monkeypatch.setattr("contrasweep.services.stores.outbox._FIRST_WAIT_S", 0.01)
    monkeypatch.setattr("contrasweep.services.stores.outbox._LONGEST_WAIT_S", 0.02)
    return _Outage(monkeypatch, ("create_run", "log_batch", "set_terminated", "search_runs", "update_run"))


def test_an_outage_loses_and_doubles_nothing_and_is_warned_of_once(
    tracker: Tracker, client: MlflowClient, outage: _Outage, caplog: pytest.LogCaptureFixture
) -> None:
    outage.cut.set()
    _small_sweep(tracker)
    assert outage.repeated.wait(30)
    assert tracker.flush(0) > 0
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "MLflow does not answer" in warnings[0]
    assert "secret" not in warnings[0]

    outage.cut.clear()
    assert tracker.finish("complete", timeout_s=20) == 0
    runs = _runs(client)
    assert set(runs) == {SWEEP, f"{SWEEP}/0", f"{SWEEP}/0/0", f"{SWEEP}/0/1"}
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    assert _curve(client, runs[f"{SWEEP}/0/0"], "validation_mae") == [(0, 9.0), (1, 8.0), (2, 7.0)]


@pytest.mark.parametrize("failing", range(1, 20, 2))
def test_a_call_that_got_through_though_it_failed_is_not_repeated(
    failing: int, uri: str, tmp_path: Path, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("contrasweep.services.stores.outbox._FIRST_WAIT_S", 0.01)
    calls = 0

    def wrap(call: Callable[..., object]) -> Callable[..., object]:
        def wrapped(*args: object, **kwargs: object) -> object:
            nonlocal calls
            calls += 1
            result = call(*args, **kwargs)
            if calls == failing:
                raise MlflowException("connection reset")
            return result

        return wrapped

    for name in ("create_experiment", "create_run", "log_batch", "set_terminated", "log_text"):
        monkeypatch.setattr(MlflowClient, name, wrap(getattr(MlflowClient, name)))
    tracker = _tracker(uri, tmp_path)
    _small_sweep(tracker)
    assert tracker.finish("complete", timeout_s=20) == 0
    assert calls >= failing
    runs = _runs(client)
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    for seed in (0, 1):
        points = [(epoch, 9.0 - epoch + seed) for epoch in range(3)]
        assert _curve(client, runs[f"{SWEEP}/0/{seed}"], "validation_mae") == points


def test_rows_that_wait_go_out_in_one_call(tracker: Tracker, client: MlflowClient, outage: _Outage) -> None:
    tracker.start("", {}, {})
    assert tracker.flush(10) == 0
    outage.cut.set()
    for epoch in range(50):
        tracker.epoch(0, Replicate(0), _row(epoch, 5.0))
    outage.cut.clear()
    outage.calls.clear()
    assert tracker.flush(10) == 0
    assert outage.calls.count("log_batch") <= 3
    assert len(_curve(client, _runs(client)[f"{SWEEP}/0/0"], "loss")) == 50


def test_what_mlflow_refuses_does_not_hold_up_the_rest(
    tracker: Tracker, client: MlflowClient, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tracker.artifact((0, 0), tmp_path / "missing.pt")
    tracker.epoch(0, Replicate(0), _row(0, 5.0))
    assert tracker.flush(10) == 0
    assert "missing.pt" in caplog.text
    assert _curve(client, _runs(client)[f"{SWEEP}/0/0"], "validation_mae") == [(0, 5.0)]


def test_finish_returns_in_time_and_says_what_is_undelivered(uri: str, tmp_path: Path, outage: _Outage) -> None:
    outage.cut.set()
    tracker = _tracker(uri, tmp_path)
    tracker.start("", {}, {})
    assert tracker.finish("complete", timeout_s=0.2) == 4


def test_names_that_mlflow_refuses_are_changed_and_long_values_cut(tracker: Tracker, client: MlflowClient) -> None:
    tracker.trial_started(0, "dynlocrep", {"weights[0]": "x" * 10_000})
    tracker.trial_ended(0, "failed", "trace " * 5000, None, {}, 0)
    assert tracker.flush(10) == 0
    child = _runs(client)[f"{SWEEP}/0"]
    assert child.data.params["weights_0_"].startswith("xxx")
    assert child.data.tags["contrasweep.reason"].startswith("trace trace")
    assert child.info.status == "FAILED"


def test_a_deleted_experiment_is_restored_and_misses_nothing(
    tracker: Tracker, client: MlflowClient, caplog: pytest.LogCaptureFixture
) -> None:
    _small_sweep(tracker)
    tracker.trial_started(1, "vanilla", {})
    tracker.epoch(1, Replicate(0), _row(0, 5.0))
    assert tracker.flush(10) == 0
    experiment = client.get_experiment_by_name("soop")
    assert experiment
    client.delete_experiment(experiment.experiment_id)
    for epoch in (1, 2):
        tracker.epoch(1, Replicate(0), _row(epoch, 5.0))
    tracker.trial_started(2, "vanilla", {})
    assert tracker.finish("complete", timeout_s=20) == 0
    assert [record.getMessage() for record in caplog.records] == [
        "runs of the sweep were deleted from MLflow: they are restored, or made anew"
    ]
    runs = _runs(client)
    assert {key.removeprefix(SWEEP) for key in runs} == {"", "/0", "/0/0", "/0/1", "/1", "/1/0", "/2"}
    assert _curve(client, runs[f"{SWEEP}/1/0"], "validation_mae") == [(0, 5.0), (1, 5.0), (2, 5.0)]


def _retelling(uri: str, folder: Path) -> Tracker:
    """A tracker of a sweep that has on disk what `_small_sweep` tells."""

    def retell(telling: Telling) -> None:
        telling.start("name: soop\n", {"sampler": "tpe"}, {"data": "ab12"})
        telling.trial_started(0, "dynlocrep", {"temperature": 0.1, "lam": float("inf")}, running=False)
        for seed in (0, 1):
            telling.history(0, Replicate(seed), [_row(epoch, 9.0 - epoch + seed) for epoch in range(3)])
            telling.run_ended(0, Replicate(seed), "complete", "")
        telling.trial_ended(0, "complete", "", 7.5, by_seed({0: 7.0, 1: 8.0}), 2)

    return Tracker(uri, str(folder / "artifacts"), "soop", SWEEP, retell=retell)


@pytest.mark.parametrize("for_good", [False, True])
def test_deleted_runs_are_there_again_at_the_end(
    uri: str, tmp_path: Path, client: MlflowClient, for_good: bool, caplog: pytest.LogCaptureFixture
) -> None:
    tracker = _retelling(uri, tmp_path)
    _small_sweep(tracker)
    assert tracker.flush(10) == 0
    before = _runs(client)
    for key in ("/0", "/0/1"):
        client.delete_run(before[f"{SWEEP}{key}"].info.run_id)
        if for_good:  # as `mlflow gc` does
            client._tracking_client.store._hard_delete_run(before[f"{SWEEP}{key}"].info.run_id)
    assert tracker.finish("complete", timeout_s=20) == 0
    after = _runs(client)
    assert after.keys() == before.keys()
    for key, run in after.items():
        assert (run.data.params, run.data.metrics) == (before[key].data.params, before[key].data.metrics)
        assert run.info.status == "FINISHED"
    assert (after[f"{SWEEP}/0"].info.run_id == before[f"{SWEEP}/0"].info.run_id) is not for_good
    assert len(caplog.records) == 1


def test_a_server_that_was_emptied_gets_everything_anew(uri: str, tmp_path: Path, client: MlflowClient) -> None:
    tracker = _retelling(uri, tmp_path)
    _small_sweep(tracker)
    assert tracker.flush(10) == 0
    before = _runs(client)
    store = client._tracking_client.store
    for run in before.values():
        store._hard_delete_run(run.info.run_id)
    tracker.trial_started(1, "vanilla", {})
    assert tracker.finish("complete", timeout_s=20) == 0
    after = _runs(client)
    assert after.keys() == {*before, f"{SWEEP}/1"}
    assert after[f"{SWEEP}/0/1"].data.metrics == before[f"{SWEEP}/0/1"].data.metrics


def test_more_than_is_kept_for_a_server_that_is_away_is_told_from_disk(
    uri: str, tmp_path: Path, client: MlflowClient, outage: _Outage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("contrasweep.services.stores.outbox.MOST", 10)
    tracker = _retelling(uri, tmp_path)
    outage.cut.set()
    _small_sweep(tracker)
    for _ in range(100):
        tracker.best((0, 7.5))
    assert tracker.flush(0) <= 11
    outage.cut.clear()
    assert tracker.finish("complete", timeout_s=20) == 0
    runs = _runs(client)
    assert _curve(client, runs[f"{SWEEP}/0/1"], "validation_mae") == [(0, 10.0), (1, 9.0), (2, 8.0)]
    assert {run.info.status for run in runs.values()} == {"FINISHED"}


def test_what_mlflow_refuses_again_and_again_is_said_once_and_counted(
    tracker: Tracker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tracker.start("name: soop\n", {}, {})
    for number in range(5):
        tracker.artifact((), tmp_path / f"missing-{number}.pt")
    assert tracker.finish("complete", timeout_s=10) == 0
    first, last = (record.getMessage() for record in caplog.records if record.levelno == logging.WARNING)
    assert "missing-0.pt" in first and last == "MLflow refused 5 updates in all"


def test_without_a_store_nobody_is_told_and_nobody_is_waited_for(tmp_path: Path) -> None:
    tracker = Tracker("", None, "soop", SWEEP)
    _small_sweep(tracker)
    assert tracker.finish("complete", timeout_s=600) > 0


def test_a_registry_that_takes_no_models_holds_nothing_else_up(
    tracker: Tracker, client: MlflowClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*given: object, **named: object) -> None:
        raise MlflowException("the registry is away")

    monkeypatch.setattr(MlflowClient, "search_model_versions", away)
    tracker.start("name: soop\n", {}, {})
    tracker.register(tmp_path, {}, tmp_path / "card.md")
    tracker.metrics({"test_mae": 4.0})
    assert tracker.finish("complete", timeout_s=1) == 1
    (run,) = _runs(client).values()
    assert (run.info.status, run.data.metrics["test_mae"]) == ("FINISHED", 4.0)
