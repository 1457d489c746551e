"""Frame jitter: another choice of a video's frames, still in order."""

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from contrasweep.trainers.augmentations import _checks, register
from contrasweep.trainers.parameters import NotNegative, Probability


@register("frame_jitter")
class FrameJitter:
    """Move a video [C, T, H, W] or a series [C, T] in time as a whole, then each frame by itself.

    The whole moves by up to `shift` of its length, each frame by up to `frames` frames; the times are rounded, sorted
    and kept inside the video. So frames drop out and others repeat, none is made up, and their order stays.
    SupReMix, B.1.4, jitters the frames of echocardiograms and says no more. In the field this is a random start of
    the clip (temporal jittering, C3D), here `shift`, or a random offset of each sampled frame, here `frames`.
    A volume has no time, but it has as many axes as a video and is not refused; images are.
    """

    def __init__(
        self,
        *,
        image_shape: tuple[int, ...],
        shift: Probability = 0.1,
        frames: NotNegative = 1.0,
        prob: Probability = 1.0,
    ) -> None:
        _checks.require_dims("frame_jitter", image_shape, 1, 3)
        self.prob = prob
        self._length = image_shape[1]
        self._shift = shift * self._length
        self._frames = frames

    def draw(self, rng: Generator) -> NDArray[np.float64]:
        """The number of the frame that each time [T] shows."""
        moved = np.arange(self._length) + rng.uniform(-self._shift, self._shift)
        times = np.sort(moved + rng.uniform(-self._frames, self._frames, self._length))
        return times.round().clip(0, self._length - 1)

    def apply(self, images: Tensor, draws: NDArray[np.float64]) -> Tensor:
        """Videos [n, C, T, ...], each with the frames drawn for it."""
        first = np.arange(0, images.shape[0] * images.shape[1]) * self._length
        places = first[:, None] + draws.repeat(images.shape[1], axis=0).astype(int)
        chosen = torch.as_tensor(places.ravel(), device=images.device)
        return images.flatten(0, 2).index_select(0, chosen).view(images.shape)
