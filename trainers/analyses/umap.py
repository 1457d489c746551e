"""UMAP maps of embeddings (DynLocRep, Fig. 5)."""

from dataclasses import dataclass

import numpy as np

from contrasweep.trainers.analyses._maps import Panels, findings_of_maps
from contrasweep.trainers.analyses._readings import FloatArray, Space
from contrasweep.trainers.analyses.base import ANALYSES, Evidence, Findings
from contrasweep.trainers.parameters import NotNegative, Several


@ANALYSES.register("umap")
@dataclass(frozen=True)
class Umap:
    """A UMAP map of the test scans in each panel, all with one setting, by default umap-learn's.

    Args:
        panels: one for each configuration, or for each epoch that was kept of one.
        point: the configuration whose epochs are shown; null for the first.
        mark: a column of the table, by whose cells scans have different markers.
        features: the space to look at, where several were kept; null for the one that counts.
        neighbours: at most all other scans.
    """

    panels: Panels = "points"
    point: str | None = None
    mark: str | None = None
    features: Space | None = None
    neighbours: Several = 15
    min_distance: NotNegative = 0.1

    def run(self, evidence: Evidence) -> Findings:
        """As `Analysis.run`."""
        return findings_of_maps(
            evidence, "UMAP", self._map, panels=self.panels, of=self.point, mark=self.mark, features=self.features
        )

    def _map(self, features: FloatArray) -> FloatArray:
        from umap import UMAP  # compiles itself for half a minute

        neighbours = min(self.neighbours, len(features) - 1)
        # One job: the map is the same each time.
        reducer = UMAP(n_neighbors=neighbours, min_dist=self.min_distance, random_state=0, n_jobs=1)
        return np.asarray(reducer.fit_transform(features), np.float64)
