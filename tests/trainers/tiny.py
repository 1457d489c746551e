"""A training run small enough for a unit test: 16x16 images whose brightness follows age."""

from dataclasses import replace
from typing import Any

import numpy as np

from contrasweep.trainers.config import MethodConfig, ModelConfig, RunConfig, TrainingConfig
from contrasweep.trainers.data.feeds.base import LabelledRows, Parts
from contrasweep.trainers.data.feeds.resident import Decoded, ResidentData, ResidentFeed
from contrasweep.trainers.data.store import Rows

IMAGE_SHAPE = (1, 16, 16)
METHODS: dict[str, dict[str, Any]] = {
    "dynlocrep": {"nn_final": 2},
    "exponential": {},
    "supremix": {"window": 20.0},
    "vanilla": {},
}


def split(count: int, *, first_row: int, seed: int, image_shape: tuple[int, ...] = IMAGE_SHAPE) -> Rows:
    """`count` people of 20 to 80, in two groups, at every second row of a store from `first_row`."""
    rng = np.random.default_rng(seed)
    labels = rng.uniform(20, 80, count)
    images = rng.normal(size=(count, *image_shape)) + labels.reshape(-1, *[1] * len(image_shape)) / 20
    rows = first_row + 2 * np.arange(count)
    return Rows(images.astype(np.float32), labels, np.arange(count) % 2, rows)


def resident(train: Rows, validation: Rows, **parts: Any) -> ResidentData:
    """A run's data out of rows with images; `parts` are fields of `Parts`, of which shards of five are a default."""
    rows, order = np.unique(np.concatenate([train.rows, validation.rows]), return_index=True)
    images = np.concatenate([train.images, validation.images])[order]
    told = {"train_shards": np.arange(len(train.rows)) // 5} | parts
    sizes = {"image_shape": images.shape[1:], "volume_nbytes": images[0].nbytes}
    return ResidentData(
        Decoded(images, rows), Parts(train=_labelled(train), validation=_labelled(validation), **sizes, **told)
    )


def data(*, train: int = 18, validation: int = 10, image_shape: tuple[int, ...] = IMAGE_SHAPE) -> ResidentData:
    """Two whole batches of 8 for training, with two people over."""
    return resident(
        split(train, first_row=0, seed=1, image_shape=image_shape),
        split(validation, first_row=1, seed=2, image_shape=image_shape),
    )


def taught(data: ResidentData, **parts: Any) -> ResidentData:
    """The same images with other fields of `Parts`."""
    return replace(data, parts=replace(data.parts, **parts))


def feed(*, train: int = 18, validation: int = 10, image_shape: tuple[int, ...] = IMAGE_SHAPE) -> ResidentFeed:
    """A feed of `data`."""
    return ResidentFeed(data(train=train, validation=validation, image_shape=image_shape))


def run(
    method: str = "exponential", *, seed: int = 0, model: dict[str, Any] | None = None, **training: Any
) -> RunConfig:
    """Three epochs of a narrow ResNet with two cut-out views, unless told otherwise."""
    small: dict[str, Any] = {
        "encoder": "resnet18",
        "spatial_dims": 2,
        "width": 0.0625,
        "head_hidden": 16,
        "embedding": 8,
    }
    if method == "mae":
        small |= {"encoder": "vit", "depth": 0.1, "encoder_params": {"patch": 4}}
    defaults = {"epochs": 3, "batch_size": 8, "lr": 1e-3, "augmentations": {"cutout": {}}}
    return RunConfig(
        model=ModelConfig(**small | (model or {})),
        training=TrainingConfig(**defaults | training),
        method=MethodConfig(name=method, params=METHODS.get(method, {})),
        seed=seed,
    )


def _labelled(rows: Rows) -> LabelledRows:
    return LabelledRows(rows.labels, rows.groups, rows.rows, rows.covariates)
