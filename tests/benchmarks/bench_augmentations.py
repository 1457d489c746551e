"""Images a second of each augmentation: `python tests/benchmarks/bench_augmentations.py`.

Ours changes a batch at once, drawing included; beside it MONAI's random transform, image by image on one thread, seeded
for each image. Of crop and resize MONAI has the parts, here with crops of half of each side; frame jitter it lacks.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from monai.data.meta_obj import set_track_meta
from monai.transforms import (
    Compose,
    RandAffine,
    RandAxisFlip,
    RandCoarseDropout,
    RandGaussianNoise,
    RandRotate,
    RandScaleIntensity,
    RandShiftIntensity,
    RandSpatialCrop,
    RandZoom,
    Resize,
)
from rich.console import Console
from rich.table import Table
from torch import Tensor

from contrasweep.trainers.augmentations import Augmenter, names

BATCHES = {"2D": (64, 1, 96, 256), "3D": (16, 1, 64, 64, 64)}

Call = Callable[[], object]


def peers(spatial: tuple[int, ...]) -> dict[str, Any]:
    """MONAI's random transforms of images [C, *spatial], with the settings that ours have by default."""
    turns = {f"range_{axis}": np.radians(10) for axis in "xyz"[: 1 if len(spatial) == 2 else 3]}
    mode = "bilinear" if len(spatial) == 2 else "trilinear"
    return {
        "affine": RandAffine(
            prob=1,
            rotate_range=[np.radians(5)] * len(turns),
            translate_range=[0.05 * side for side in spatial],
            scale_range=[0.05] * len(spatial),
            padding_mode="zeros",
        ),
        "crop_resize": Compose([RandSpatialCrop([side // 2 for side in spatial]), Resize(spatial, mode=mode)]),
        "cutout": RandCoarseDropout(1, [round(0.4 * side) for side in spatial], fill_value=0.0, prob=1),
        "flip": RandAxisFlip(prob=1),
        "intensity": Compose([RandScaleIntensity(0.1, prob=1), RandShiftIntensity(0.1, prob=1)]),
        "noise": RandGaussianNoise(prob=1, std=0.1),
        "rotation": RandRotate(prob=1, padding_mode="zeros", **turns),
        "zoom": RandZoom(prob=1, min_zoom=0.9, max_zoom=1.1, mode=mode),
    }


def one_by_one(transform: Any, images: Tensor) -> Call:
    """MONAI's way: each image changed by itself, with its own seed."""

    def call() -> Tensor:
        changed = [transform.set_random_state(seed=row)(image) for row, image in enumerate(images)]
        return torch.stack(changed)

    return call


def at_once(name: str, images: Tensor) -> Call:
    """Our way, each image changed."""
    augment, rows = Augmenter({name: {"prob": 1}}, images.shape[1:], seed=0), np.arange(len(images))
    return lambda: augment(images, rows, epoch=0, views=1)


def images_per_s(call: Call, count: int, budget_s: float = 1.0) -> float:
    """From the fastest of the calls that fit a time budget, at least three: the machine may be shared."""
    times: list[float] = []
    call()
    while len(times) < 3 or sum(times) < budget_s:
        start = time.perf_counter()
        call()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return count / min(times)


def row(name: str, images: Tensor) -> list[str]:
    """Images a second: ours on a CPU, MONAI's, their ratio, and ours on a GPU where there is one."""
    transform = peers(tuple(images.shape[2:])).get(name)
    ours = images_per_s(at_once(name, images), len(images))
    cells = [f"{ours:,.0f}", "-", "-", "-"]
    if transform is not None:
        theirs = images_per_s(one_by_one(transform, images), len(images))
        cells[1:3] = f"{theirs:,.0f}", f"{ours / theirs:.1f}"
    if torch.cuda.is_available():
        cells[3] = f"{images_per_s(at_once(name, images.cuda()), len(images)):,.0f}"
    return cells


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    set_track_meta(False)  # MONAI's transforms take twice as long with it
    table = Table("augmentation", "batch", "ours", "MONAI", "x MONAI", "ours on a GPU", title="images a second")
    for kind, shape in BATCHES.items():
        images = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        for name in names():
            if (name, kind) != ("frame_jitter", "2D"):
                table.add_row(name, f"{kind}: {' x '.join(map(str, shape))}", *row(name, images))
    Console().print(table)


if __name__ == "__main__":
    main()
