"""Columns of the table that are told beside the image, as numbers on one scale."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

Cells = Mapping[str, str | float]
"""What a row of the table has in each covariate's column: a number, or the text of a category."""


@dataclass(frozen=True)
class Covariates:
    """Columns of numbers and of categories, as K numbers whose mean over the training split is 0, and sd 1.

    A number is one; a category is one for each of its `levels`, 1 there and 0 elsewhere before it is standardised.

    Attributes:
        levels: for each column its categories in training, sorted; empty for a column of numbers.
        mean, std: [K], over the training split; 1 for the deviation of what is constant there.
    """

    levels: dict[str, tuple[str, ...]]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def fit(cls, columns: Sequence[str], training: Sequence[Cells]) -> "Covariates":
        """The scale of the training split's scans, each told by its cells.

        >>> Covariates.fit(["tiv", "sex"], [{"tiv": 1.0, "sex": "F"}, {"tiv": 3.0, "sex": "M"}]).mean
        (2.0, 0.5, 0.5)
        """
        found = {column: {cells[column] for cells in training} for column in columns}
        levels = {column: tuple(sorted(v for v in values if isinstance(v, str))) for column, values in found.items()}
        numbers = np.array([_numbers(cells, levels) for cells in training])
        std = numbers.std(axis=0)
        return cls(levels, tuple(numbers.mean(axis=0).tolist()), tuple(np.where(std > 0, std, 1.0).tolist()))

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> "Covariates":
        """From the fields as a checkpoint keeps them."""
        levels = {column: tuple(values) for column, values in state["levels"].items()}
        return cls(levels, tuple(state["mean"]), tuple(state["std"]))

    def __len__(self) -> int:
        return len(self.mean)

    def encode(self, scans: Sequence[Cells]) -> NDArray[np.float32]:
        """The numbers [N, K] of scans; a category that training has not is told as the mean."""
        numbers = np.array([_numbers(cells, self.levels) for cells in scans]).reshape(len(scans), len(self))
        scaled = (numbers - self.mean) / self.std
        return np.where(np.isnan(scaled), 0.0, scaled).astype(np.float32)


def beside(features: "Tensor", covariates: "Tensor | None") -> "Tensor":
    """Features [N, F] with the covariates [N, K], where there are any, behind them: [N, F + K]."""
    import torch  # takes a second, and preparing scans does without

    return features if covariates is None else torch.cat([features, covariates.to(features)], dim=1)


def _numbers(cells: Cells, levels: Mapping[str, Sequence[str]]) -> list[float]:
    """The numbers [K] of a scan before they are standardised; nan for a category that is none of the levels."""
    numbers: list[float] = []
    for column, categories in levels.items():
        cell = cells[column]
        if not categories:
            numbers.append(float(cell))
        elif cell in categories:
            numbers += [float(cell == category) for category in categories]
        else:
            numbers += [math.nan] * len(categories)
    return numbers
