"""Whether pictures show several views side by side."""

from collections.abc import Sequence
from itertools import groupby, pairwise

import numpy as np
from numpy.typing import NDArray

FEWEST_PICTURES = 8
"""Of fewer, a gap may be chance."""
_INK = 0.05
"""The most pictures, of all, that may show something in a column of a gap."""


def panels(pictures: Sequence[NDArray[np.generic]]) -> tuple[int, ...] | None:
    """The widths of views that lie beside each other in pictures [1, H, W] of one size; None where there is one view.

    Views are cut in the middle of each gap: columns that are background, the least value, in nearly every picture. A
    view is at least half as wide as it is high.
    """
    shapes = {picture.shape for picture in pictures}
    if len(pictures) < FEWEST_PICTURES or len(shapes) > 1 or len(pictures[0]) != 1:
        return None
    (_, height, width), values = pictures[0].shape, np.stack([picture[0] for picture in pictures])
    shown = (values > values.min(axis=(1, 2), keepdims=True)).any(axis=1).mean(axis=0)
    cuts = [0, *_middles(shown <= _INK), width]
    widths = tuple(end - begin for begin, end in pairwise(cuts))
    return widths if len(widths) > 1 and min(widths) >= height / 2 else None


def _middles(blank: NDArray[np.bool_]) -> list[int]:
    """The middle of each run of blank columns that is at neither edge."""
    middles, begin = [], 0
    for is_blank, run in groupby(blank.tolist()):
        end = begin + len(list(run))
        if is_blank and begin > 0 and end < len(blank):
            middles.append((begin + end) // 2)
        begin = end
    return middles
