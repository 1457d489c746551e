"""Two gloo processes that train one run together."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.multiprocessing.spawn import spawn

from contrasweep.trainers import checkpoint, encoders, losses
from contrasweep.trainers.config import RunConfig
from contrasweep.trainers.distributed import rank
from contrasweep.trainers.evaluate import embed
from contrasweep.trainers.history import COMPLETE, PRUNED, EpochMetrics, History, Verdict
from contrasweep.trainers.metrics import mae
from contrasweep.trainers.model import build_network
from contrasweep.trainers.pretrain import go_on, pretrain
from contrasweep.trainers.probes import load_probe
from tests.trainers import tiny

WORKERS = 2
METHODS = [name for name in losses.names() if name != "mae"]
"""All but the one that hides patches at random on each worker, as dropout would."""
CPU = torch.device("cpu")
TOGETHER: dict[str, Any] = {
    "workers": WORKERS,
    "ema": 0.5,
    "augmentations": {"cutout": {}, "noise": {}},
    "weight_decay": 0.5,  # beside it, and unclipped, the size of the loss's gradient counts for Adam
    "clip_norm": None,
}

pytestmark = pytest.mark.distributed


class Plain(nn.Module):
    """An encoder whose features of one image do not depend on its neighbours, as BatchNorm's would."""

    feature_dim = 12

    def __init__(self, *, image_shape: tuple[int, ...], width: float, depth: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(math.prod(image_shape), 12), nn.Tanh())

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.layers(images)
        return features


def plain(method: str) -> RunConfig:
    return tiny.run(method, epochs=2, model={"encoder": "plain"}, **TOGETHER)


def with_batch_norm() -> RunConfig:
    return tiny.run("supremix", epochs=2, **TOGETHER)


def rows_without_times(history: History) -> list[EpochMetrics]:
    return [{name: value for name, value in row.items() if name != "epoch_s"} for row in history.epochs]


def train_alone(folder: Path) -> None:
    for method in METHODS:
        pretrain(plain(method), tiny.feed(), folder / "alone" / method, device=CPU)


def train_together(folder: Path) -> dict[str, History]:
    def train(run: RunConfig, name: str, verdict: Verdict = Verdict.GO) -> History:
        def on_epoch(row: EpochMetrics) -> Verdict:
            assert rank() == 0, "only the first worker asks"
            return verdict

        return pretrain(
            run, tiny.feed(), folder / name, device=CPU, on_epoch=on_epoch if verdict is not Verdict.GO else go_on
        )

    histories = {method: train(plain(method), f"together/{method}") for method in METHODS}
    histories["whole"] = train(with_batch_norm(), "whole")
    histories["paused"] = train(with_batch_norm(), "resumed", Verdict.PAUSE)
    histories["resumed"] = train(with_batch_norm(), "resumed")
    histories["pruned"] = train(with_batch_norm(), "pruned", Verdict.PRUNE)
    return histories


def work(worker: int, folder: str) -> None:
    torch.set_num_threads(1)
    encoders.register("plain")(Plain)
    if worker == 0:
        train_alone(Path(folder))
    dist.init_process_group("gloo", f"file://{folder}/rendezvous", rank=worker, world_size=WORKERS)
    histories = train_together(Path(folder))
    content = {name: (history.state, rows_without_times(history)) for name, history in histories.items()}
    checkpoint.save(Path(folder) / f"worker-{worker}.pt", content)
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two workers wrote, and `alone/` what one did."""
    path: Path = tmp_path_factory.mktemp("workers")
    spawn(work, args=(str(path),), nprocs=WORKERS)
    return path


def told(folder: Path, worker: int) -> dict[str, tuple[str, list[EpochMetrics]]]:
    return checkpoint.load(folder / f"worker-{worker}.pt")


def read(folder: Path) -> History:
    history = History.read(folder)
    assert history
    return history


@pytest.mark.parametrize("method", METHODS)
def test_two_workers_train_as_one(method: str, folder: Path) -> None:
    alone, together = (rows_without_times(read(folder / kind / method)) for kind in ("alone", "together"))
    for one, two in zip(alone, together, strict=True):
        assert two["loss"] == pytest.approx(one["loss"], rel=1e-5)
        assert two["validation_mae"] == pytest.approx(one["validation_mae"], rel=1e-3)
    one_model, two_model = (
        checkpoint.load(folder / kind / method / "latest.pt")["model"] for kind in ("alone", "together")
    )
    torch.testing.assert_close(two_model, one_model, rtol=1e-3, atol=1e-4)


def test_both_workers_return_the_same(folder: Path) -> None:
    first, second = (told(folder, worker) for worker in range(WORKERS))
    assert first == second
    assert first["whole"][0] == COMPLETE
    assert all(math.isfinite(value) for row in first["whole"][1] for value in row.values())


def test_both_leave_together_when_pruned(folder: Path) -> None:
    for worker in range(WORKERS):
        state, rows = told(folder, worker)["pruned"]
        assert (state, len(rows)) == (PRUNED, 1)
    assert read(folder / "pruned").state == PRUNED


def test_resumed_is_never_interrupted(folder: Path) -> None:
    for worker in range(WORKERS):
        assert len(told(folder, worker)["paused"][1]) == 1
    whole, resumed = read(folder / "whole"), read(folder / "resumed")
    assert rows_without_times(resumed) == rows_without_times(whole)
    for name in ("latest.pt", "best.pt"):
        one, two = (checkpoint.load(folder / kind / name)["model"] for kind in ("whole", "resumed"))
        assert all(torch.equal(one[key], two[key]) for key in one)


def test_the_kept_checkpoint_has_the_kept_error(folder: Path) -> None:
    """Workers evaluate with the BatchNorm statistics that are saved, not each with its own."""
    run, feed, best = with_batch_norm(), tiny.feed(), checkpoint.load(folder / "whole" / "best.pt")
    network = build_network(run, feed.image_shape)
    network.load_state_dict(best["model"])
    features, labels = embed(network, feed.evaluation("validation", batch_size=8, rank=0, world_size=1))
    error = mae(labels.numpy(), load_probe(best["probe"]).predict(features).numpy())
    assert error == pytest.approx(best["validation_mae"], rel=1e-6)
    assert best["validation_mae"] == read(folder / "whole").best
