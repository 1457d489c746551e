import math
from pathlib import Path
from typing import Any

import pytest
import torch

from contrasweep.trainers import checkpoint
from contrasweep.trainers.config import RunConfig
from contrasweep.trainers.data.feeds.resident import ResidentFeed
from contrasweep.trainers.finetune import train_seed
from contrasweep.trainers.history import COMPLETE, RUNNING, EpochMetrics, History, Verdict
from contrasweep.trainers.inference import Predictor
from contrasweep.trainers.metrics import mae
from contrasweep.trainers.pretrain import go_on
from tests.trainers import tiny

CPU = torch.device("cpu")


def two_stages(pretrained: str = "exponential", **finetune: Any) -> RunConfig:
    run = tiny.run(pretrained, epochs=2)
    return run.model_copy(update={"probe": {"finetune": {"epochs": 3, "lr": 2e-3} | finetune}})


def without_times(history: History) -> list[EpochMetrics]:
    return [{key: value for key, value in row.items() if not key.endswith("epoch_s")} for row in history.epochs]


def test_without_fine_tuning_it_is_pretraining(tmp_path: Path) -> None:
    history = train_seed(tiny.run(), tiny.feed(), tmp_path, device=CPU)
    assert (history.state, len(history.epochs)) == (COMPLETE, 3)
    assert not (tmp_path / "pretraining").exists()


def test_the_second_stage_starts_from_the_best_of_the_first(tmp_path: Path) -> None:
    """With a learning rate of next to nothing the encoder stays what pretraining made of it."""
    train_seed(two_stages(lr=1e-12), tiny.feed(), tmp_path, device=CPU)
    first = checkpoint.load(tmp_path / "pretraining" / "best.pt")["model"]
    second = checkpoint.load(tmp_path / "best.pt")["model"]
    trained = [name for name in second if not name.endswith(("running_mean", "running_var", "num_batches_tracked"))]
    assert trained
    for name in trained:
        torch.testing.assert_close(second[name], first[name], rtol=0, atol=1e-6)


def test_weights_are_kept_of_the_second_stage(tmp_path: Path) -> None:
    train_seed(two_stages().model_copy(update={"keep": (1, 3)}), tiny.feed(), tmp_path, device=CPU)
    assert sorted(path.name for path in tmp_path.rglob("epoch-*")) == ["epoch-0001.pt", "epoch-0003.pt"]
    assert not list((tmp_path / "pretraining").glob("epoch-*"))


def test_the_second_stage_learns_the_tables_labels(tmp_path: Path) -> None:
    """SimCLR, the first, reads no label: of what it was taught nothing is left in the second."""
    data = tiny.data()
    taught = ResidentFeed(tiny.taught(data, taught=data.parts.train.labels[::-1].copy()))
    told, own = (
        train_seed(two_stages("simclr"), feed, tmp_path / name, device=CPU)
        for name, feed in {"taught": taught, "own": tiny.feed()}.items()
    )
    assert without_times(told) == without_times(own)


def test_the_second_stage_is_judged_and_the_first_is_watched(tmp_path: Path) -> None:
    asked: list[EpochMetrics] = []
    watched: list[EpochMetrics] = []

    def on_epoch(row: EpochMetrics) -> Verdict:
        asked.append(row)
        return Verdict.GO

    def watch(row: EpochMetrics) -> Verdict:
        watched.append(row)
        return Verdict.GO

    history = train_seed(two_stages(), tiny.feed(), tmp_path, device=CPU, on_epoch=on_epoch, on_earlier_epoch=watch)
    assert asked == history.epochs == (History.read(tmp_path) or history).epochs
    assert [row["lr"] for row in asked] == [2e-3] * 3
    assert [row["epoch"] for row in watched] == [0, 1]
    assert {"pretraining_loss", "pretraining_validation_mae"} <= watched[0].keys()
    assert not {"loss", "validation_mae"} & watched[0].keys()


@pytest.mark.parametrize("stage", ["first", "second"])
def test_paused_and_resumed_is_never_interrupted(stage: str, tmp_path: Path) -> None:
    def pause(row: EpochMetrics) -> Verdict:
        return Verdict.PAUSE

    whole = train_seed(two_stages(), tiny.feed(), tmp_path / "whole", device=CPU)
    judged, earlier = (go_on, pause) if stage == "first" else (pause, go_on)
    paused = train_seed(
        two_stages(), tiny.feed(), tmp_path / "paused", device=CPU, on_epoch=judged, on_earlier_epoch=earlier
    )
    assert paused.state == RUNNING
    resumed = train_seed(two_stages(), tiny.feed(), tmp_path / "paused", device=CPU)
    assert without_times(resumed) == without_times(whole)


def test_the_kept_model_predicts_what_the_history_says(tmp_path: Path) -> None:
    run, feed = two_stages("supremix", method="vanilla", params={"kind": "huber"}), tiny.feed()
    history = train_seed(run, feed, tmp_path, device=CPU)
    whole = tiny.split(10, first_row=1, seed=2)
    inferred = Predictor.load(run, tmp_path / "best.pt", feed.image_shape).infer(whole.images)
    assert float(mae(whole.labels, inferred.predictions)) == pytest.approx(history.best, rel=1e-5)


@pytest.mark.parametrize("method", ["dynlocrep", "supremix"])
def test_without_epochs_the_weights_are_read_as_they_are(method: str, tmp_path: Path) -> None:
    train_seed(tiny.run("exponential", epochs=2), tiny.feed(), tmp_path / "first", device=CPU)
    run = tiny.run(method, epochs=0, warmup_epochs=2, ema=0.5).beginning_with(tmp_path / "first" / "best.pt")
    history = train_seed(run, tiny.feed(), tmp_path / "read", device=CPU)
    (row,) = history.epochs
    assert history.state == COMPLETE and row["epoch"] == history.best_epoch == 0
    assert math.isfinite(history.best) and not {"loss", "lr"} & row.keys()
    first, read = (checkpoint.load(tmp_path / name / "best.pt")["model"] for name in ("first", "read"))
    assert all(torch.equal(read[name], first[name]) for name in first)
    assert without_times(train_seed(run, tiny.feed(), tmp_path / "read", device=CPU)) == without_times(history)


def test_what_was_read_as_it_is_can_be_fine_tuned(tmp_path: Path) -> None:
    train_seed(tiny.run("exponential", epochs=2), tiny.feed(), tmp_path / "first", device=CPU)
    run = two_stages().beginning_with(tmp_path / "first" / "best.pt")
    unchanged = run.model_copy(update={"training": run.training.model_copy(update={"epochs": 0})})
    history = train_seed(unchanged, tiny.feed(), tmp_path / "tuned", device=CPU)
    assert (history.state, len(history.epochs)) == (COMPLETE, 3)
    first = History.read(tmp_path / "tuned" / "pretraining")
    assert first and len(first.epochs) == 1
