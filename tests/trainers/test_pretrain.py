"""The worker loop: what it promises about seeds, interruptions, verdicts and several workers."""

import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from contrasweep.trainers import checkpoint, losses, state
from contrasweep.trainers.config import MethodConfig, RunConfig, SplitConfig
from contrasweep.trainers.covariates import Cells, Covariates
from contrasweep.trainers.data.feeds import Batch
from contrasweep.trainers.data.feeds.resident import ResidentFeed, load_resident
from contrasweep.trainers.data.splits import Splits, fold_of, make_splits
from contrasweep.trainers.data.store import Rows, Volume, VolumeStore
from contrasweep.trainers.errors import Diverged, UserError
from contrasweep.trainers.evaluate import embed
from contrasweep.trainers.history import COMPLETE, PRUNED, RUNNING, EpochMetrics, History, Verdict
from contrasweep.trainers.inference import Predictor
from contrasweep.trainers.metrics import mae
from contrasweep.trainers.model import build_model, build_network
from contrasweep.trainers.pretrain import go_on, pretrain
from contrasweep.trainers.probes import load_probe
from tests.trainers import tiny
from tests.trainers.data.small_store import write_store

CPU = torch.device("cpu")
EVERYTHING: dict[str, Any] = {
    "augmentations": {"flip": {}, "noise": {}, "cutout": {"prob": 0.5}},
    "weight_decay": 0.1,
    "ema": 0.5,
    "clip_norm": 0.5,
}
JOINT = {"method": MethodConfig(name="adacon", params={"regression": 1.0})}
"""A contrast with a regression branch beside it."""
REFERENCE = {"method": MethodConfig(name="fds", params={"variant": "reference", "reweight": True, "bin_size": 20.0})}


def train(
    run: RunConfig, folder: Path, on_epoch: Callable[[EpochMetrics], Verdict] = go_on, feed: ResidentFeed | None = None
) -> History:
    return pretrain(run, feed or tiny.feed(), folder, device=CPU, on_epoch=on_epoch)


def train_with_pauses(run: RunConfig, folder: Path) -> History:
    """Pause after every epoch; each time another call goes on."""
    for epoch in range(run.training.epochs):
        assert History.read(folder) is None or len(train_history(folder).epochs) == epoch
        history = train(run, folder, on_epoch=lambda row: Verdict.PAUSE)
        assert history.state == (COMPLETE if epoch + 1 == run.training.epochs else RUNNING)
    return history


def train_history(folder: Path) -> History:
    history = History.read(folder)
    assert history
    return history


def without_times(history: History) -> History:
    rows = [{name: value for name, value in row.items() if name != "epoch_s"} for row in history.epochs]
    return replace(history, epochs=rows)


def assert_same_run(folder: Path, other: Path) -> None:
    """History, best.pt, latest.pt and weights that were kept agree to the last bit, the seconds aside."""
    assert without_times(train_history(folder)) == without_times(train_history(other))
    left = sorted(path.name for path in folder.glob("*.pt"))
    assert left == sorted(path.name for path in other.glob("*.pt")) and {"best.pt", "latest.pt"} <= {*left}
    for name in left:
        one, two = ({**checkpoint.load(place / name), "history": None, "spent_s": 0.0} for place in (folder, other))
        assert bits(one) == bits(two)


def bits(state: Any) -> Any:
    """A checkpoint with its tensors as bytes, so that == compares every bit."""
    if isinstance(state, torch.Tensor):
        return state.dtype, state.shape, state.numpy().tobytes()
    if isinstance(state, dict):
        return {key: bits(value) for key, value in state.items()}
    return [bits(value) for value in state] if isinstance(state, list | tuple) else state


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("method", losses.names())
def test_interrupted_after_every_epoch_is_never_interrupted(method: str, tmp_path: Path) -> None:
    run = tiny.run(method, **EVERYTHING)
    train(run, tmp_path / "once")
    train_with_pauses(run, tmp_path / "paused")
    assert_same_run(tmp_path / "once", tmp_path / "paused")


@pytest.mark.parametrize(
    "training",
    [
        {"schedule": "cosine", "warmup_epochs": 1},
        {"schedule": "step", "step_epochs": 1, "step_factor": 0.5},
        {"evaluate_every": 2},
        {"views": 1, "augmentations": {}, "clip_norm": None},
    ],
    ids=["cosine", "step", "every other epoch", "plain"],
)
def test_interrupted_with_other_settings(training: dict[str, Any], tmp_path: Path) -> None:
    run = tiny.run("supremix", **training)
    train(run, tmp_path / "once")
    train_with_pauses(run, tmp_path / "paused")
    assert_same_run(tmp_path / "once", tmp_path / "paused")


def test_weights_are_kept_after_the_epochs_that_are_named(tmp_path: Path) -> None:
    """They are those that a run has at its end which ends there, of the moving average."""
    run = tiny.run("supremix", **EVERYTHING, checkpoint="last")
    train(run.model_copy(update={"keep": (1, 3)}), tmp_path / "kept")
    assert sorted(path.name for path in (tmp_path / "kept").glob("epoch-*")) == ["epoch-0001.pt", "epoch-0003.pt"]
    for epoch in (1, 3):
        train(run.model_copy(update={"stop_after": epoch}), tmp_path / str(epoch))
        kept, ended = (
            checkpoint.load(path)
            for path in (tmp_path / f"kept/epoch-{epoch:04d}.pt", tmp_path / str(epoch) / "best.pt")
        )
        assert bits({**kept, "probe": None}) == bits({**ended, "probe": None})
        assert kept["probe"] is None


def test_of_probes_a_head_that_is_trained_along_is_kept(tmp_path: Path) -> None:
    train(tiny.run("vanilla", checkpoint="last").model_copy(update={"keep": (3,)}), tmp_path)
    assert bits(checkpoint.load(tmp_path / "epoch-0003.pt")) == bits(checkpoint.load(tmp_path / "best.pt"))


@pytest.mark.parametrize("killed_in", ["save_epoch", "save_latest"])
def test_a_kill_at_the_end_of_an_epoch_loses_no_weights(
    killed_in: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tiny.run("supremix", **EVERYTHING).model_copy(update={"keep": (1, 2, 3)})
    train(run, tmp_path / "once")
    for killed in (1, 2, 3):
        folder = tmp_path / str(killed)
        with monkeypatch.context() as patch:
            patch.setattr(state.TrainState, killed_in, _killing(killed, getattr(state.TrainState, killed_in)))
            with pytest.raises(KeyboardInterrupt):
                train(run, folder)
        assert not (folder / "latest.pt").exists() or (folder / f"epoch-{killed - 1:04d}.pt").exists()
        train(run, folder)
        assert_same_run(tmp_path / "once", folder)


def _killing(call: int, method: Callable[..., None]) -> Callable[..., None]:
    """The method, but for one call, in place of which the process ends."""
    calls = iter(range(1, 100))

    def killed(*given: Any) -> None:
        if next(calls) == call:
            raise KeyboardInterrupt
        method(*given)

    return killed


def test_draws_of_the_caller_change_nothing(tmp_path: Path) -> None:
    run = tiny.run("supremix", **EVERYTHING)
    torch.manual_seed(0)
    train(run, tmp_path / "one")
    torch.manual_seed(123)
    train(run, tmp_path / "two", on_epoch=lambda row: Verdict(int(torch.rand(()) < 0)))
    assert_same_run(tmp_path / "one", tmp_path / "two")


@pytest.fixture(scope="module")
def folded(tmp_path_factory: pytest.TempPathFactory) -> tuple[VolumeStore, Splits]:
    """A store of 40 people whose brightness follows age, in a test split and three folds."""
    rows = tiny.split(40, first_row=0, seed=3)
    volumes = [
        Volume(f"s{row:02d}", label, "FM"[row % 2], image)
        for row, (label, image) in enumerate(zip(rows.labels, rows.images, strict=True))
    ]
    store = write_store(tmp_path_factory.mktemp("folded") / "store", volumes, per_shard=7)
    return store, make_splits(store.subjects, SplitConfig(folds=3, stratify=("age",)))


@pytest.mark.parametrize("method", ["supremix", "vanilla"])
@pytest.mark.parametrize("number", range(3))
def test_poisoned_test_labels_change_no_fold(
    folded: tuple[VolumeStore, Splits], number: int, method: str, tmp_path: Path
) -> None:
    store, splits = folded[0], fold_of(folded[1], number)
    subjects = tuple(one.model_copy(update={"label": -1e9}) if one.id in splits.test else one for one in store.subjects)
    poisoned = VolumeStore(store.folder, store.manifest.model_copy(update={"subjects": subjects}))
    for place, of in (("clean", store), ("poisoned", poisoned)):
        train(tiny.run(method), tmp_path / place, feed=ResidentFeed(load_resident(of, splits)))
    assert_same_run(tmp_path / "clean", tmp_path / "poisoned")


@pytest.mark.parametrize("method", ["supremix", "vanilla"])
def test_another_seed_is_another_run(method: str, tmp_path: Path) -> None:
    one, two = (train(tiny.run(method, seed=seed, epochs=1), tmp_path / str(seed)) for seed in (0, 1))
    assert one.epochs[0]["loss"] != two.epochs[0]["loss"]
    assert one.epochs[0]["validation_mae"] != two.epochs[0]["validation_mae"]


class Crash(Exception):
    """The process ends here."""


@pytest.mark.parametrize("crashing", ["history.json", "latest.pt"])
@pytest.mark.parametrize("epoch", [0, 1])
def test_a_crash_between_two_files_changes_nothing(
    crashing: str, epoch: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tiny.run(**EVERYTHING)
    train(run, tmp_path / "once")
    replace, written = Path.replace, 0

    def crash(partial: Path, target: Path) -> Path:
        nonlocal written
        written += target.name == crashing
        if written == epoch + 1 and target.name == crashing:
            raise Crash
        return replace(partial, target)

    with monkeypatch.context() as patch, pytest.raises(Crash):
        patch.setattr(Path, "replace", crash)
        train(run, tmp_path / "crashed")
    assert (tmp_path / "crashed" / "best.pt").exists()
    train(run, tmp_path / "crashed")
    assert_same_run(tmp_path / "once", tmp_path / "crashed")


class CrashingFeed(ResidentFeed):
    """Breaks off after the first batch of an epoch, once."""

    def __init__(self, epoch: int) -> None:
        super().__init__(tiny.data())
        self.crash_in = epoch
        self.starts: list[int] = []

    def epoch(self, epoch: int, **how: Any) -> Iterator[Batch]:
        self.starts.append(how["start"])
        batches = super().epoch(epoch, **how)
        if epoch == self.crash_in:
            self.crash_in = -1
            yield next(batches)
            raise Crash
        yield from batches


@pytest.mark.parametrize("method", losses.names())
def test_killed_in_the_middle_of_an_epoch_goes_on_from_the_last_checkpoint(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tiny.run(method, **EVERYTHING)
    train(run, tmp_path / "once")
    monkeypatch.setattr(state, "SAVE_EVERY_S", 0.0)
    feed = CrashingFeed(epoch=1)
    with pytest.raises(Crash):
        train(run, tmp_path / "killed", feed=feed)
    train(run, tmp_path / "killed", feed=feed)
    assert feed.starts == [0, 0, 1, 0], "the step that was done is not done again"
    assert_same_run(tmp_path / "once", tmp_path / "killed")


def test_checkpoints_inside_an_epoch_are_rare(tmp_path: Path) -> None:
    with pytest.raises(Crash):
        train(tiny.run(), tmp_path, feed=CrashingFeed(epoch=0))
    assert not (tmp_path / "latest.pt").exists()


def test_a_finished_run_stays_as_it_is(tmp_path: Path) -> None:
    run = tiny.run(epochs=1)
    train(run, tmp_path)
    history = train_history(tmp_path)
    history.reason = "written by the caller"
    history.write(tmp_path)
    before = contents(tmp_path)

    def never(row: EpochMetrics) -> Verdict:
        raise AssertionError(f"asked about epoch {row['epoch']}")

    assert train(run, tmp_path, on_epoch=never).state == COMPLETE
    assert contents(tmp_path) == before
    assert set(before) == {"best.pt", "latest.pt", "history.json"}


def test_pruned_stops_and_goes_on_when_called_again(tmp_path: Path) -> None:
    run = tiny.run(**EVERYTHING)
    train(run, tmp_path / "once")
    stopped = train(run, tmp_path / "pruned", on_epoch=lambda row: Verdict.PRUNE)
    assert (stopped.state, len(stopped.epochs)) == (PRUNED, 1)
    assert train_history(tmp_path / "pruned") == stopped
    assert train(run, tmp_path / "pruned").state == COMPLETE
    assert_same_run(tmp_path / "once", tmp_path / "pruned")


def test_pruned_after_the_last_epoch_is_whole(tmp_path: Path) -> None:
    run = tiny.run(epochs=1)
    assert train(run, tmp_path, on_epoch=lambda row: Verdict.PRUNE).state == PRUNED
    before = contents(tmp_path)
    again = train(run, tmp_path)
    assert (again.state, len(again.epochs)) == (PRUNED, 1)
    assert contents(tmp_path) == before


def test_each_epoch_is_told_once_and_in_order(tmp_path: Path) -> None:
    told: list[EpochMetrics] = []

    def note(row: EpochMetrics) -> Verdict:
        told.append(row)
        return Verdict.GO

    history = train(tiny.run(schedule="step", step_epochs=1, step_factor=0.5), tmp_path, on_epoch=note)
    assert told == history.epochs
    assert [(row["epoch"], row["lr"]) for row in told] == [(0, 1e-3), (1, 5e-4), (2, 2.5e-4)]
    assert all(math.isfinite(value) for row in told for value in row.values())


def test_evaluates_every_so_often_and_at_the_end(tmp_path: Path) -> None:
    history = train(tiny.run(epochs=5, evaluate_every=2), tmp_path)
    assert [row["epoch"] for row in history.epochs if "validation_mae" in row] == [1, 3, 4]


@pytest.mark.parametrize("update", [JOINT, REFERENCE], ids=["branch", "reference"])
def test_a_head_that_is_trained_along_goes_on_as_if_never_interrupted_and_is_the_probe(
    update: dict[str, Any], tmp_path: Path
) -> None:
    run, feed = tiny.run(**EVERYTHING).model_copy(update=update), tiny.feed()
    history = train(run, tmp_path / "once")
    train_with_pauses(run, tmp_path / "paused")
    assert_same_run(tmp_path / "once", tmp_path / "paused")
    best = checkpoint.load(tmp_path / "once" / "best.pt")
    assert best["probe"]["kind"] == "head"
    assert history.best == pytest.approx(error_of(run, feed, best), rel=1e-12)


@pytest.mark.parametrize("method", ["dynlocrep", "exponential", "vanilla"])
def test_best_checkpoint_predicts_what_the_history_says(method: str, tmp_path: Path) -> None:
    run, feed = tiny.run(method, ema=0.5, lr=0.01), tiny.feed()
    history = train(run, tmp_path)
    best = checkpoint.load(tmp_path / "best.pt")
    rows = [row for row in history.epochs if row["validation_mae"] == history.best]
    assert (best["epoch"], best["validation_mae"]) == (rows[0]["epoch"], history.best)
    assert best["validation_mae"] == pytest.approx(error_of(run, feed, best), rel=1e-12)


@pytest.mark.parametrize("method", ["exponential", "vanilla"])
def test_the_best_checkpoint_is_of_the_objectives_best_epoch(method: str, tmp_path: Path) -> None:
    run = tiny.run(method, epochs=5, lr=0.01).model_copy(update={"objectives": ("pearson", "worst_group_mae")})
    history = train(run, tmp_path)
    reached = [row["validation_pearson"] for row in history.epochs]
    assert history.score == max(reached)
    assert checkpoint.load(tmp_path / "best.pt")["epoch"] == reached.index(max(reached))
    assert all(row["validation_worst_group_mae"] >= row["validation_mae"] for row in history.epochs)


def test_an_objective_that_is_never_defined(tmp_path: Path) -> None:
    same = replace(tiny.split(10, first_row=1, seed=2), labels=np.full(10, 50.0))
    alike = ResidentFeed(tiny.resident(tiny.split(18, first_row=0, seed=1), same))
    run = tiny.run().model_copy(update={"objectives": ("pearson",)})
    with pytest.raises(Diverged, match="validation Pearson's r is undefined in every epoch of seed 0"):
        train(run, tmp_path, feed=alike)


def error_of(run: RunConfig, feed: ResidentFeed, best: dict[str, Any]) -> float:
    """The validation MAE of a model built from nothing but `best.pt`."""
    network = build_network(run, feed.image_shape)
    network.load_state_dict(best["model"])
    batches = feed.evaluation("validation", batch_size=run.training.batch_size, rank=0, world_size=1)
    features, labels = embed(network, batches)
    return float(mae(labels.numpy(), load_probe(best["probe"]).predict(features).numpy()))


def with_covariate() -> ResidentFeed:
    """A feed with a column that all but tells the label, beside images that are noise."""
    train, validation = tiny.split(64, first_row=0, seed=1), tiny.split(32, first_row=1, seed=2)
    rng = np.random.default_rng(0)

    def told(rows: Rows) -> Rows:
        noise = rng.standard_normal(rows.images.shape).astype(np.float32)
        return replace(rows, images=noise, covariates=covariates.encode(cells(rows)))

    def cells(rows: Rows) -> list[Cells]:
        return [{"months": 12 * label} for label in rows.labels]

    covariates = Covariates.fit(["months"], cells(train))
    return ResidentFeed(tiny.resident(told(train), told(validation), covariates=covariates))


@pytest.mark.parametrize(
    ("method", "within", "joint"),
    [("exponential", 1.0, {}), ("vanilla", 6.0, {}), ("c_mixup", 6.0, {}), ("adacon", 6.0, JOINT)],
)
def test_a_covariate_reaches_the_probe_or_the_regression_head(
    method: str, within: float, joint: dict[str, Any], tmp_path: Path
) -> None:
    feed = with_covariate()
    views = 2 if joint else 1
    run = tiny.run(method, epochs=12, lr=0.02, augmentations={}, views=views).model_copy(update=joint)
    history = train(run, tmp_path, feed=feed)
    assert history.best < within, "images are noise, by which guessing the mean is off by 15 years"
    predictor = Predictor.load(run, tmp_path / "best.pt", feed.image_shape)
    (batch,) = feed.evaluation("validation", batch_size=32, rank=0, world_size=1)
    inferred = predictor.infer(batch.images.numpy(), [{"months": 12 * label} for label in batch.labels.tolist()])
    assert float(mae(batch.labels.numpy(), inferred.predictions)) == pytest.approx(history.best, abs=1e-5)


def test_what_the_labels_of_the_unlabelled_would_be_changes_nothing(tmp_path: Path) -> None:
    """`simclr` trains on scans without a label, which its probe never sees; `exponential` on the others alone."""
    validation, everyone = tiny.split(10, first_row=1, seed=2), tiny.split(24, first_row=0, seed=1)
    shards, known = np.arange(24) // 5, np.arange(24) % 3 > 0
    assert everyone.groups is not None
    labelled = replace(
        everyone,
        images=everyone.images[known],
        labels=everyone.labels[known],
        groups=everyone.groups[known],
        rows=everyone.rows[known],
    )
    partly = tiny.resident(replace(everyone, labels=np.where(known, everyone.labels, np.nan)), validation)
    alone = tiny.resident(labelled, validation, train_shards=shards[known])
    found = {
        (method, name): train(tiny.run(method, epochs=2), tmp_path / method / name, feed=ResidentFeed(given))
        for method in ("exponential", "simclr")
        for name, given in {"partly": partly, "alone": alone}.items()
    }
    one, other = (without_times(found["exponential", name]) for name in ("partly", "alone"))
    assert one == other
    assert found["simclr", "partly"].epochs[0]["loss"] != found["simclr", "alone"].epochs[0]["loss"]
    assert all(math.isfinite(value) for row in found["simclr", "partly"].epochs for value in row.values())


@pytest.mark.parametrize("method", ["exponential", "vanilla"])
def test_without_anybody_to_validate_on_the_last_model_is_kept(method: str, tmp_path: Path) -> None:
    nobody = tiny.split(0, first_row=1, seed=2)
    feed = ResidentFeed(tiny.resident(tiny.split(18, first_row=0, seed=1), nobody))
    run = tiny.run(method, checkpoint="last")
    history = train(run, tmp_path / "whole", feed=feed)
    assert history.state == COMPLETE
    assert not any(name.startswith("validation") for row in history.epochs for name in row)
    assert checkpoint.load(tmp_path / "whole" / "best.pt")["epoch"] == 2
    train(run, tmp_path / "paused", on_epoch=lambda row: Verdict.PAUSE, feed=feed)
    train(run, tmp_path / "paused", feed=feed)
    assert_same_run(tmp_path / "paused", tmp_path / "whole")


def test_a_run_that_stops_early_is_on_the_schedule_of_all_epochs(tmp_path: Path) -> None:
    run = tiny.run("dynlocrep", epochs=5, step_epochs=2, checkpoint="last")
    whole = train(run, tmp_path / "whole")
    short = train(run.model_copy(update={"stop_after": 3}), tmp_path / "short")
    assert (short.state, len(short.epochs)) == (COMPLETE, 3)
    assert without_times(short).epochs == without_times(whole).epochs[:3]
    assert checkpoint.load(tmp_path / "short" / "best.pt")["epoch"] == 2


def test_training_lowers_the_error(tmp_path: Path) -> None:
    feed = tiny.feed(train=64, validation=32)
    history = train(tiny.run("vanilla", epochs=8, lr=0.02, augmentations={}, views=1), tmp_path, feed=feed)
    assert history.epochs[-1]["loss"] < 0.7 * history.epochs[0]["loss"]
    assert history.best < 10, "guessing the mean is off by 15 years"


def test_a_loss_that_is_not_a_number(tmp_path: Path) -> None:
    data = tiny.data()
    data.decoded.images[0] = math.nan
    with pytest.raises(Diverged, match=r"the loss is nan in epoch 0 of seed 7"):
        train(tiny.run("vanilla", batch_size=18, seed=7), tmp_path, feed=ResidentFeed(data))
    assert not (tmp_path / "latest.pt").exists()


def test_an_embedding_that_overflows(tmp_path: Path) -> None:
    run = tiny.run("dynlocrep", epochs=2, batch_size=18, lr=1e30, clip_norm=None)
    with pytest.raises(Diverged, match="not finite"):
        train(run, tmp_path)


def test_a_batch_larger_than_the_training_split(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"batch_size 20 is larger than the training split of 18"):
        train(tiny.run(batch_size=20), tmp_path)


def test_images_of_other_dimensions(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"model.spatial_dims is 3; allowed for prepared images \[1, 16, 16\]: 2"):
        train(tiny.run(model={"spatial_dims": 3}), tmp_path)


@pytest.mark.parametrize("method", ["dynlocrep", "vanilla"])
def test_volumes_and_series_train(method: str, tmp_path: Path) -> None:
    for dims, image_shape in ((1, (4, 32)), (3, (1, 8, 8, 8))):
        run = tiny.run(method, epochs=2, model={"spatial_dims": dims})
        assert train(run, tmp_path / str(dims), feed=tiny.feed(image_shape=image_shape)).state == COMPLETE


def test_volumes_narrower_than_a_kernel_are_trained_alike_each_time(tmp_path: Path) -> None:
    run, feed = tiny.run(epochs=1, model={"spatial_dims": 3}), tiny.feed(image_shape=(1, 6, 7, 5))
    losses = [train(run, tmp_path / str(time), feed=feed).epochs[0]["loss"] for time in range(4)]
    assert len(set(losses)) == 1, losses


def test_the_loss_is_told_what_training_and_data_decide() -> None:
    feed = tiny.feed()
    dynlocrep, supremix = (build_model(tiny.run(method, epochs=9), feed).loss for method in ("dynlocrep", "supremix"))
    assert dynlocrep.max_epochs == 9
    assert supremix.label_range == feed.label_range > 0


def test_batches_in_which_nothing_attracts(tmp_path: Path) -> None:
    said = "method 'supcon': no row of epoch 0 had another to attract; training.views: 2"
    with pytest.raises(UserError, match=said):
        train(tiny.run("supcon", views=1), tmp_path)


def test_resuming_needs_no_weights_to_start_from(tmp_path: Path) -> None:
    train(tiny.run(epochs=1), tmp_path / "first")
    run = tiny.run(model={"init_from": str(tmp_path / "first" / "best.pt")})
    paused = train(run, tmp_path / "second", on_epoch=lambda row: Verdict.PAUSE)
    (tmp_path / "first" / "best.pt").unlink()
    assert (paused.state, train(run, tmp_path / "second").state) == (RUNNING, COMPLETE)


def test_two_views_where_the_method_needs_them(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"training.views is 1; allowed with simclr: 2"):
        train(tiny.run("simclr", views=1), tmp_path)


def test_runs_where_ray_and_trackers_are_not_installed() -> None:
    code = """
import sys
absent = ("ray", "mlflow", "optuna", "contrasweep.services", "contrasweep.search_spaces")
sys.modules.update(dict.fromkeys(absent))  # None: importing it fails
import contrasweep.trainers.pretrain
import contrasweep.trainers.data.feeds.resident
import contrasweep.trainers.data.feeds.stream
from contrasweep.trainers import augmentations, encoders, losses
augmentations.names(), encoders.names(), losses.names()
assert not [name for name in absent if sys.modules[name]]
"""
    subprocess.run([sys.executable, "-c", code], check=True)
