"""What a training step takes: a real one, on noise, on this machine; or reckoned, for a GPU that it has not."""

import math
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from contrasweep.trainers.config import MethodConfig, ModelConfig, RunConfig, TrainingConfig, weights_file
from contrasweep.trainers.costs import COSTS
from contrasweep.trainers.data.feeds.base import LabelledRows, Parts
from contrasweep.trainers.data.feeds.resident import Decoded, ResidentData, ResidentFeed
from contrasweep.trainers.errors import UserError
from contrasweep.trainers.model import build_encoder
from contrasweep.trainers.pretrain import pretrain

SMALLEST_BATCH, SMALLEST_SIDE = 2, 32
"""What `step_seconds` begins with."""
GROWTH = 4
"""How many times as large its next batch is."""
LONGEST_S, LONGEST_SECOND_S = 1.0, 4.0
"""It measures no step that promises to take longer, but for the second, without which there is no line."""
SUSTAINED_TFLOPS = 20.0
"""What a data centre's GPU is taken to do in mixed precision; its data sheet has more, small networks do less."""
_BACKWARD = 2
"""How many times as much as forward."""
_SCAN_S = COSTS["seconds_per_scan"]


class Rehearsal(NamedTuple):
    """What was measured: seconds of a step, its share of evaluation included, bytes of a seed's checkpoints, the
    network's seconds for a scan, and bytes of its weights alone.
    """

    step_s: float
    checkpoint_bytes: int
    scan_s: float
    weights_bytes: int = 0


def rehearse(model: ModelConfig, given: TrainingConfig, image_shape: tuple[int, ...]) -> Rehearsal:
    """Train for two steps on noise of the shape (C, *S).

    It is one worker's, on a GPU where training asks for one and there is one. With one view the method is `vanilla`, as
    noise has no two labels that attract each other. Raises UserError where it does not fit into the GPU.
    """
    batch = given.batch_size
    rng = np.random.default_rng(0)
    on_gpu = not lacks_gpu(given) and given.gpus_per_worker > 0
    images = rng.standard_normal((2 * batch, *image_shape), dtype=np.float32)
    rows = np.arange(2 * batch)
    noise = LabelledRows(rng.uniform(20, 80, 2 * batch), None, rows, None)
    parts = Parts(image_shape, images[0].nbytes, noise, np.zeros_like(rows), noise)
    feed = ResidentFeed(ResidentData(Decoded(images, rows), parts))
    changes: dict[str, Any] = {"epochs": 2, "warmup_epochs": 0, "workers": 1}
    changes |= {} if on_gpu else {"gpus_per_worker": 0, "precision": "fp32"}
    training = TrainingConfig.model_validate(given.model_dump() | changes)
    method = MethodConfig(name="exponential" if given.views == 2 else "vanilla")
    run = RunConfig(
        model=model.model_copy(update={"init_from": None}), training=training, method=method, costs=(_SCAN_S.name,)
    )
    with tempfile.TemporaryDirectory() as name:
        try:
            history = pretrain(run, feed, Path(name), device=torch.device("cuda" if on_gpu else "cpu"))
        except torch.OutOfMemoryError:
            raise UserError(
                f"training.batch_size: {batch} is not allowed: such a step does not fit into the GPU's free memory; "
                "make it, the images or model.width smaller"
            ) from None
        nbytes = {path.name: path.stat().st_size for path in Path(name).iterdir()}
    last = history.epochs[-1]
    return Rehearsal(last["epoch_s"] / 2, sum(nbytes.values()), last[_SCAN_S.key], nbytes[weights_file(0)])


def lacks_gpu(training: TrainingConfig) -> bool:
    """Whether training asks for a GPU and this machine has none."""
    return training.gpus_per_worker > 0 and not torch.cuda.is_available()


def reckon(model: ModelConfig, training: TrainingConfig, image_shape: tuple[int, ...]) -> Rehearsal:
    """As `rehearse`, of a GPU that this machine has not: by the encoder's operations, at `SUSTAINED_TFLOPS`.

    Losses, augmentations and reading are left out. Bytes are measured, in small batches.
    """
    small = rehearse(model, training.model_copy(update={"batch_size": SMALLEST_BATCH}), image_shape)
    scan_s = forward_flops(model, image_shape) / (SUSTAINED_TFLOPS * 1e12)
    views = training.batch_size * training.views
    return small._replace(step_s=(1 + _BACKWARD) * views * scan_s, scan_s=scan_s)


def forward_flops(model: ModelConfig, image_shape: tuple[int, ...]) -> float:
    """Floating-point operations of the encoder for one image (C, *S), a multiplication and its addition being two."""
    with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counted:
        build_encoder(model, image_shape).eval()(torch.empty(1, *image_shape))
    return float(counted.get_total_flops())


def step_seconds(model: ModelConfig, training: TrainingConfig, image_shape: tuple[int, ...]) -> float:
    """Seconds of one step as `rehearse` measures it, in a few seconds whatever the step takes.

    Steps with few and small images are measured, then with more and larger ones, up to the whole or as long as that is
    quick. From there on it is the line through the last two, over the values in a batch: what a step takes whatever
    its batch, as an update of all weights, counts once.
    """
    points = [(0, 0.0)]
    for batch, shape in _growing(training.batch_size, image_shape):
        work, (before, step_s) = batch * math.prod(shape), points[-1]
        longest_s = LONGEST_S if len(points) > 2 else LONGEST_SECOND_S
        if before and step_s * work / before > longest_s:
            break
        points.append((work, rehearse(model, training.model_copy(update={"batch_size": batch}), shape).step_s))
    return _on_the_line(points[-2:], training.batch_size * math.prod(image_shape))


def _growing(batch_size: int, image_shape: tuple[int, ...]) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Batch sizes and shapes (C, *S), from small to the whole: first more images, then larger ones."""
    batch, (channels, *whole) = min(SMALLEST_BATCH, batch_size), image_shape
    sides = [min(side, SMALLEST_SIDE) for side in whole]
    yield batch, (channels, *sides)
    while batch < batch_size:
        batch = min(batch * GROWTH, batch_size)
        yield batch, (channels, *sides)
    while sides != whole:
        sides = [min(2 * side, full) for side, full in zip(sides, whole, strict=True)]
        yield batch, (channels, *sides)


def _on_the_line(points: Sequence[tuple[int, float]], work: int) -> float:
    """Seconds at so much work, by two points of work and seconds; no less than at the second.

    >>> _on_the_line([(10, 1.5), (20, 2.0)], 40)
    3.0
    """
    (first, before), (last, after) = points[0], points[-1]
    return after + max(0.0, after - before) / (last - first) * (work - last)
