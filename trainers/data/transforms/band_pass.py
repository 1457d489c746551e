"""A temporal filter of series."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from trainers.data.readers.base import Image, UnreadableError
from trainers.data.transforms import register
from trainers.data.transforms._checks import require_count, require_dims, require_within
from trainers.data.transforms.base import Transform


@register("BandPass")
@dataclass(frozen=True, kw_only=True)
class BandPass(Transform):
    """Keep the frequencies from `low_hz` to `high_hz` of series [R, T] sampled every `tr_s` seconds.

    A Butterworth filter of `order`, run forwards and backwards so that nothing is delayed (SciPy's sosfiltfilt).
    The mean goes with the low frequencies. SupReMix, B.1.2, keeps 0.01 to 0.1 Hz; the filter itself is
    nilearn's default.
    """

    tr_s: float
    low_hz: float = 0.01
    high_hz: float = 0.1
    order: int = 5

    def __post_init__(self) -> None:
        require_within(0, 60, tr_s=self.tr_s)
        require_count("order", self.order)
        require_within(0, 0.5 / self.tr_s, high_hz=self.high_hz)
        if self.high_hz * self.tr_s == 0.5:
            raise ValueError(f"high_hz is {self.high_hz:g}; allowed: below half the sampling rate")
        require_within(0, self.high_hz, low_hz=self.low_hz)
        if self.low_hz == self.high_hz:
            raise ValueError(f"low_hz is {self.low_hz:g}; allowed: below high_hz")

    def __call__(self, image: Image, row: Mapping[str, float]) -> Image:
        """See `Transform`. Takes [R, T]; refuses a file that itself tells another `tr_s`."""
        from scipy.signal import butter, sosfiltfilt

        require_dims("BandPass", image, "series [R, T]", 1)
        if image.step_s is not None and abs(image.step_s - self.tr_s) > 0.01 * self.tr_s:
            raise UnreadableError(f"BandPass.tr_s is {self.tr_s:g}, but the file says {image.step_s:g} s")
        sections = butter(self.order, [self.low_hz, self.high_hz], "bandpass", fs=1 / self.tr_s, output="sos")
        values = sosfiltfilt(sections, image.values.astype(np.float64), axis=1)
        return replace(image, values=values)
