"""A served model of pictures whose brightness follows age, and what it was made of."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from contrasweep.trainers.config import DataConfig, RunConfig
from contrasweep.trainers.covariates import Cells, Covariates
from contrasweep.trainers.data.feeds.resident import ResidentFeed
from contrasweep.trainers.data.participants import Subject
from contrasweep.trainers.data.store import LabelStatistics
from contrasweep.trainers.pretrain import pretrain
from contrasweep.trainers.served import ServedConfig, Trained, save_served
from contrasweep.trainers.served.config import SourceRange
from tests.trainers import tiny

LABELS = LabelStatistics(column="age", count=18, minimum=20.0, maximum=80.0, mean=50.0, std=17.0)


def config(
    shape: tuple[int, ...] = tiny.IMAGE_SHAPE,
    spacing_mm: tuple[float, float] | None = None,
    names: tuple[str, ...] = ("",),
    **data: Any,
) -> ServedConfig:
    """Of a study of prepared images (C, *S)."""
    table: dict[str, Any] = {"participants": "people/participants.tsv", "image": "{participant_id}.png", "label": "age"}
    ranges = SourceRange(shape=(shape, shape), spacing_mm=spacing_mm)
    return ServedConfig(
        sweep="tiny-1c2e",
        trials={3: "exponential"},
        data=DataConfig.model_validate(table | data),
        image_shape=shape,
        trained=Trained(subjects=18, scans=18, labels=LABELS, sources=dict.fromkeys(names, ranges)),
        versions={"contrasweep": "0.1.0"},
    )


def member(folder: Path, seed: int = 0, cells: list[Cells] | None = None, **training: Any) -> tuple[RunConfig, Path]:
    """A run that is trained for an epoch, with covariates where there are any `cells` [18] of training."""
    run = tiny.run(seed=seed, epochs=1, **training)
    if cells is None:
        feed = tiny.feed()
    else:
        covariates = Covariates.fit(list(cells[0]), cells)
        train, validation = tiny.split(18, first_row=0, seed=1), tiny.split(10, first_row=1, seed=2)
        train.__dict__["covariates"] = covariates.encode(cells)
        validation.__dict__["covariates"] = covariates.encode(cells[:10])
        feed = ResidentFeed(tiny.resident(train, validation, covariates=covariates))
    pretrain(run, feed, folder, device=torch.device("cpu"))
    return run, folder / "best.pt"


def model(folder: Path, seeds: int = 2, **told: Any) -> Path:
    """A saved model of some seeds; `told` are arguments of `config`."""
    members = {f"seed-{seed}": member(folder / f"run-{seed}", seed) for seed in range(seeds)}
    save_served(folder / "model", members, config(**told), folder)
    return folder / "model"


def picture(path: Path, age: float = 50.0, shape: tuple[int, int] = (16, 16)) -> Path:
    """A grey PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels(age, shape)).save(path)
    return path


def pixels(age: float, shape: tuple[int, int] = (16, 16)) -> NDArray[np.uint8]:
    """Its values [*S]."""
    noise = np.random.default_rng(int(age * 100)).integers(0, 60, shape)
    return (noise + age).astype(np.uint8)


def scan(path: Path, name: str = "one") -> Subject:
    """A scan of one image."""
    return Subject(name, name, (path,), label=None, group=None, strata={}, described={}, numbers={})
