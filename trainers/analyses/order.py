"""Whether distances between embeddings are in the order of those between labels."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from contrasweep.trainers.analyses._panels import rows_of_dots
from contrasweep.trainers.analyses._readings import Space, by_point_and_seed, chosen_rows, embeddings
from contrasweep.trainers.analyses.base import ANALYSES, Evidence, Findings, Table


@ANALYSES.register("order")
@dataclass(frozen=True)
class Order:
    """Spearman's correlation of embedding distance and label distance, over pairs of test scans of two people.

    1 where what is farther in the label is farther in the embedding. Of more than 2,000 scans as many are drawn, with
    two million pairs. Configurations may be ordered by `spearman`.

    Args:
        distance: between embeddings.
        features: the space to look at, where several were kept; null for the one that counts.
    """

    distance: Literal["euclidean", "cosine", "cityblock"] = "euclidean"
    features: Space | None = None

    def run(self, evidence: Evidence) -> Findings:
        """As `Analysis.run`."""
        from scipy.spatial.distance import pdist

        found, rows = embeddings(evidence, self.features), chosen_rows(evidence)
        people = np.unique(evidence.subjects, return_inverse=True)[1][rows]
        between = pdist(people[:, None]) > 0
        labels = pdist(evidence.labels[rows, None])[between]
        values = {
            point: {
                run: _spearman(
                    pdist(evidence.embeddings[reading][rows].astype(np.float64), self.distance)[between], labels
                )
                for run, reading in runs.items()
            }
            for point, runs in found.items()
        }
        of_seeds = by_point_and_seed(values)
        title = "Order of the embedding"
        return Findings(
            tables={
                title: Table(("configuration", "seed", "spearman"), tuple((*of, rho) for of, rho in of_seeds.items()))
            },
            figures={
                title: rows_of_dots(
                    {point: [*runs.values()] for point, runs in values.items()},
                    "Spearman of embedding distance and label distance",
                )
            },
            values={"spearman": of_seeds},
            larger=frozenset({"spearman"}),
        )


def _spearman(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """nan where one side is constant, as the distances of a collapsed embedding are."""
    from scipy.stats import spearmanr

    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return float("nan")
    return float(spearmanr(one, other).statistic)
