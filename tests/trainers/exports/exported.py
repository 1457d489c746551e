"""Models to export, and what they say."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from contrasweep.trainers import checkpoint, probes
from contrasweep.trainers.config import MethodConfig, ModelConfig, RunConfig, TrainingConfig
from contrasweep.trainers.covariates import Cells, Covariates, beside
from contrasweep.trainers.inference import load_ensemble
from contrasweep.trainers.model import build_network
from contrasweep.trainers.served import save_served
from tests.trainers import tiny
from tests.trainers.served import served_sample

CELLS: list[Cells] = [{"tiv": 1400.0 + 10 * row, "sex": "FM"[row % 2]} for row in range(24)]


def model(
    folder: Path, encoder: str = "resnet18", image_shape: tuple[int, ...] = tiny.IMAGE_SHAPE, probe: str = "ridge"
) -> Path:
    """Of two runs that read covariates, with weights as they are drawn and a probe of labels that follow them."""
    folder.mkdir(exist_ok=True)
    members = {f"seed-{seed}": _run(folder / f"{seed}.pt", seed, encoder, image_shape, probe) for seed in (0, 1)}
    save_served(folder / "model", members, served_sample.config(image_shape, covariates=["tiv", "sex"]), folder)
    return folder / "model"


def ensemble(folder: Path) -> Path:
    """Of two runs of different encoders, of which one counts three times as much as the other."""
    folder.mkdir(exist_ok=True)
    shape, encoders = (1, 32, 32), {"trial-3-seed-0": "resnet18", "trial-8-seed-0": "vit"}
    members = {
        name: _run(folder / f"{name}.pt", seed, encoder, shape, "ridge")
        for seed, (name, encoder) in enumerate(encoders.items())
    }
    told = served_sample.config(shape, covariates=["tiv", "sex"])
    changes = {"trials": {3: "exponential", 8: "vanilla"}, "weights": dict(zip(members, (0.75, 0.25), strict=True))}
    save_served(folder / "model", members, told.model_copy(update=changes), folder)
    return folder / "model"


def _run(best: Path, seed: int, encoder: str, image_shape: tuple[int, ...], probe: str) -> tuple[RunConfig, Path]:
    run = RunConfig(
        model=ModelConfig(encoder=encoder, spatial_dims=len(image_shape) - 1, width=1 / 16, depth=1 / 4),
        training=TrainingConfig(epochs=1, batch_size=8),
        method=MethodConfig(name="exponential"),
        seed=seed,
    )
    torch.manual_seed(seed)
    network, images = build_network(run, image_shape), torch.randn(24, *image_shape)
    with torch.no_grad():
        for _ in range(20):
            network(images)  # batch norms come to know what images are like
        features = network.eval()(images).features
    along = features.sum(1)
    labels = 50 + 15 * (along - along.mean()) / along.std()
    covariates = Covariates.fit(["tiv", "sex"], CELLS)
    told = beside(features, torch.from_numpy(covariates.encode(CELLS)))
    state = {
        "model": network.state_dict(),
        "normalization": {"mean": (0.1,) * image_shape[0], "std": (1.1,) * image_shape[0]},
        "covariates": asdict(covariates),
        "probe": probes.build(probe).fit(told, labels, seed=0).state(),
    }
    checkpoint.save(best, state)
    return run, best


def said(folder: Path, images: NDArray[np.float32], cells: list[Cells]) -> NDArray[np.float64]:
    """What the model in `folder` says of prepared images [N, C, *S]: [N]."""
    predictions = [member.infer(images, cells).predictions for member in load_ensemble(folder).values()]
    mean: NDArray[np.float64] = np.mean(predictions, axis=0)
    return mean
