"""How an error falls with the number of people: the learning curve."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

LEAST_SIZES = 4
"""Numbers of people to which three parameters are fitted."""
_FLATTEST, _STEEPEST = 0.05, 3.0


class PowerLaw(NamedTuple):
    """The error a + b n^-c with n people: a is what no number of them takes away."""

    a: float
    b: float
    c: float

    def at(self, n: ArrayLike) -> NDArray[np.float64]:
        """The error with n people.

        >>> float(PowerLaw(2.0, 10.0, 0.5).at(100))
        3.0
        """
        return self.a + self.b * np.asarray(n, np.float64) ** -self.c


def fit_power_law(sizes: ArrayLike, errors: ArrayLike) -> PowerLaw:
    """The law nearest in squares to `errors` [K] with `sizes` [K] of people, at least four different ones.

    a and b are not below 0, c is from 0.05, below which law and constant are one, to 3.

    >>> law = fit_power_law([50, 100, 200, 400], PowerLaw(2.0, 10.0, 0.5).at([50, 100, 200, 400]))
    >>> [round(part, 3) for part in law]
    [2.0, 10.0, 0.5]
    """
    from scipy.optimize import minimize_scalar, nnls

    n, y = np.asarray(sizes, np.float64), np.asarray(errors, np.float64)
    assert n.shape == y.shape and len(np.unique(n)) >= LEAST_SIZES, (n, y)

    def linear(c: float) -> tuple[NDArray[np.float64], float]:
        """a, b and how far off they leave the law, of which only c is not linear."""
        return nnls(np.column_stack([np.ones_like(n), (n / n.max()) ** -c]), y)

    c = float(minimize_scalar(lambda c: linear(c)[1], bounds=(_FLATTEST, _STEEPEST), method="bounded").x)
    (a, b), _ = linear(c)
    return PowerLaw(float(a), float(b * n.max() ** c), c)
