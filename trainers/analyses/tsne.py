"""t-SNE maps of embeddings (SupReMix, Fig. 3, 6B and 10)."""

from dataclasses import dataclass

from contrasweep.trainers.analyses._maps import Panels, findings_of_maps
from contrasweep.trainers.analyses._readings import FloatArray, Space
from contrasweep.trainers.analyses.base import ANALYSES, Evidence, Findings
from contrasweep.trainers.parameters import Positive


@ANALYSES.register("tsne")
@dataclass(frozen=True)
class Tsne:
    """A t-SNE map of the test scans in each panel, all with one setting; it begins with principal components.

    Args:
        panels: one for each configuration, or for each epoch that was kept of one.
        point: the configuration whose epochs are shown; null for the first.
        mark: a column of the table, by whose cells scans have different markers.
        features: the space to look at, where several were kept; null for the one that counts.
        perplexity: at most a third of the scans.
    """

    panels: Panels = "points"
    point: str | None = None
    mark: str | None = None
    features: Space | None = None
    perplexity: Positive = 30.0

    def run(self, evidence: Evidence) -> Findings:
        """As `Analysis.run`."""
        return findings_of_maps(
            evidence, "t-SNE", self._map, panels=self.panels, of=self.point, mark=self.mark, features=self.features
        )

    def _map(self, features: FloatArray) -> FloatArray:
        from sklearn.manifold import TSNE

        perplexity = min(self.perplexity, (len(features) - 1) / 3)
        places: FloatArray = TSNE(perplexity=perplexity, init="pca", random_state=0).fit_transform(features)
        return places
