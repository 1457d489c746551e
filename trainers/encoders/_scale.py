"""Networks narrower, wider, shallower or deeper than published."""

from collections.abc import Sequence


def scaled(published: Sequence[int], factor: float) -> list[int]:
    """Published channels or blocks times `factor`, rounded, at least one of each.

    >>> scaled((3, 4, 6, 3), 0.25)
    [1, 1, 2, 1]
    """
    return [max(1, round(count * factor)) for count in published]
