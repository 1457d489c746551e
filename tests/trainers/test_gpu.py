"""Every loss and every encoder takes a step on a GPU under bf16 autocast, and batches arrive there as on a CPU."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from contrasweep.trainers import encoders, losses
from contrasweep.trainers.data.feeds import arriving
from contrasweep.trainers.data.feeds.resident import ResidentFeed
from contrasweep.trainers.history import COMPLETE, Verdict
from contrasweep.trainers.inference import Predictor
from contrasweep.trainers.normalization import Normalization
from contrasweep.trainers.pretrain import pretrain
from tests.trainers import tiny
from tests.trainers.encoders.test_contract import dimensions
from tests.trainers.losses.conftest import small

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
CUDA = torch.device("cuda")
SIZE = {1: (96,), 2: (96, 96), 3: (32, 96, 96)}


def assert_step(model: nn.Module, given: torch.Tensor, value: torch.Tensor) -> None:
    value.backward()
    assert torch.isfinite(value)
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize("name", losses.names())
def test_losses(name: str) -> None:
    torch.manual_seed(0)
    loss = small(name).cuda()
    model = nn.Linear(8, loss.columns or 16).cuda()
    given, y = torch.randn(32, 8, device="cuda"), torch.linspace(20, 80, 16, device="cuda").repeat(2)
    with torch.autocast("cuda", dtype=torch.bfloat16):
        z = model(given)
        value = loss(z, y, epoch=5, views=2)
    assert z.dtype == torch.bfloat16
    assert_step(model, given, value)


@pytest.mark.parametrize(("name", "dims"), [(name, dims) for name in encoders.names() for dims in dimensions(name)])
def test_encoders(name: str, dims: int) -> None:
    torch.manual_seed(0)
    encoder = encoders.build(name, image_shape=(1, *SIZE[dims]), width=0.25).cuda()
    given = torch.randn(4, 1, *SIZE[dims], device="cuda")
    with torch.autocast("cuda", dtype=torch.bfloat16):
        features = encoder(given)
    assert_step(encoder, given, features.float().square().mean())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.uint8])
def test_batches_arrive_as_on_a_cpu(dtype: torch.dtype) -> None:
    normalization = Normalization(mean=(2.0,), std=(0.5,))

    def arrived(device: str) -> torch.Tensor:
        batches = tiny.feed().epoch(0, seed=0, batch_size=4, rank=0, world_size=1)
        stored = (replace(batch, images=batch.images.abs().to(dtype)) for batch in batches)
        return torch.cat([batch.images.cpu() for batch in arriving(stored, torch.device(device), normalization)])

    torch.testing.assert_close(arrived("cuda"), arrived("cpu"))


def test_a_run_that_pauses_goes_on_to_nearly_the_same_figures(tmp_path: Path) -> None:
    run = tiny.run("supremix", gpus_per_worker=1, precision="bf16")
    whole = pretrain(run, tiny.feed(), tmp_path / "whole", device=CUDA)
    for _ in range(run.epochs):
        parts = pretrain(run, tiny.feed(), tmp_path / "parts", device=CUDA, on_epoch=lambda row: Verdict.PAUSE)
    assert parts.state == COMPLETE
    assert [row["loss"] for row in parts.epochs] == pytest.approx([row["loss"] for row in whole.epochs], rel=0.02)


@pytest.mark.parametrize("method", ["exponential", "vanilla"])
def test_the_last_model_of_a_run_that_nobody_validates_predicts(method: str, tmp_path: Path) -> None:
    train = tiny.split(64, first_row=0, seed=1)
    feed = ResidentFeed(tiny.resident(train, tiny.split(0, first_row=1, seed=2)))
    run = tiny.run(method, epochs=17, lr=0.02, views=1, augmentations={}, checkpoint="last", gpus_per_worker=1)
    history = pretrain(run.model_copy(update={"stop_after": 16}), feed, tmp_path, device=CUDA)
    assert (history.state, len(history.epochs)) == (COMPLETE, 16)
    new = tiny.split(32, first_row=1, seed=3)
    predicted = Predictor.load(run, tmp_path / "best.pt", feed.image_shape, CUDA).infer(new.images).predictions
    assert abs(predicted - new.labels).mean() < 10, "guessing the mean is off by 15 years"


def test_memory_is_a_runs_own_and_not_what_the_process_took_before(tmp_path: Path) -> None:
    before = torch.zeros(2**28, device="cuda")
    del before
    run = tiny.run(gpus_per_worker=1).model_copy(update={"costs": ("gpu_memory_gb", "seconds_per_scan")})
    history = pretrain(run, tiny.feed(), tmp_path, device=CUDA)
    assert all(0 < row["gpu_memory_gb"] < 0.5 and row["seconds_per_scan"] > 0 for row in history.epochs)
