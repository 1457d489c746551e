"""A temporal filter of series."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, TypeAlias

import numpy as np
from pydantic import Field

from contrasweep.trainers.data.readers.base import Image, UnreadableError
from contrasweep.trainers.data.transforms import register
from contrasweep.trainers.data.transforms._checks import require_dims
from contrasweep.trainers.data.transforms.base import Example, Transform
from contrasweep.trainers.errors import UserError
from contrasweep.trainers.parameters import Count, Positive

UpToAMinute: TypeAlias = Annotated[float, Field(gt=0, le=60)]


@register("BandPass")
@dataclass(frozen=True, kw_only=True)
class BandPass(Transform):
    """Keep the frequencies from `low_hz` to `high_hz` of series [R, T] sampled every `tr_s` seconds.

    A Butterworth filter of `order`, run forwards and backwards so that nothing is delayed (SciPy's sosfiltfilt).
    The mean goes with the low frequencies. SupReMix, B.1.2, keeps 0.01 to 0.1 Hz; the filter itself is
    nilearn's default.
    """

    example = Example("series", (6, 80), {"tr_s": 2.0})

    tr_s: UpToAMinute
    low_hz: Positive = 0.01
    high_hz: Positive = 0.1
    order: Count = 5

    def __post_init__(self) -> None:
        if self.high_hz * self.tr_s >= 0.5:
            limit = f"below half the sampling rate, {0.5 / self.tr_s:g}"
            raise UserError(f"high_hz is {self.high_hz:g}; allowed: {limit}")
        if self.low_hz >= self.high_hz:
            raise UserError(f"low_hz is {self.low_hz:g}; allowed: below high_hz, {self.high_hz:g}")

    def __call__(self, image: Image, row: Mapping[str, float]) -> Image:
        """See `Transform`. Takes [R, T]; refuses a file that itself tells another `tr_s`."""
        from scipy.signal import butter, sosfiltfilt

        require_dims("BandPass", image, "series [R, T]", 1)
        if image.step_s is not None and abs(image.step_s - self.tr_s) > 0.01 * self.tr_s:
            raise UnreadableError(f"BandPass.tr_s is {self.tr_s:g}, but the file says {image.step_s:g} s")
        sections = butter(self.order, [self.low_hz, self.high_hz], "bandpass", fs=1 / self.tr_s, output="sos")
        values = sosfiltfilt(sections, image.values.astype(np.float64), axis=1)
        return replace(image, values=values)
