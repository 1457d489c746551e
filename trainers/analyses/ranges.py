"""Errors by bands of the label."""

from dataclasses import dataclass

import numpy as np

from contrasweep.trainers.analyses._by_group import findings_by_group
from contrasweep.trainers.analyses._readings import Space
from contrasweep.trainers.analyses.base import ANALYSES, Evidence, Findings
from contrasweep.trainers.groups import label_bands
from contrasweep.trainers.parameters import Positive, Several


@ANALYSES.register("ranges")
@dataclass(frozen=True)
class Ranges:
    """MAE and bias by bands of the test labels. Configurations may be ordered by the MAE of each band.

    Args:
        bands: so many, with equally many scans.
        width: in label units, bands from multiples of it in place of these: decades where it is 10.
        features: the space to read, where several were; null for the one that counts.
    """

    bands: Several = 3
    width: Positive | None = None
    features: Space | None = None

    def run(self, evidence: Evidence) -> Findings:
        """As `Analysis.run`."""
        own = label_bands(evidence.labels, self.bands) if self.width is None else _wide(evidence, self.width)
        order = dict.fromkeys(own[row] for row in np.argsort(evidence.labels, kind="stable"))
        return findings_by_group(evidence, own, [*order], "Errors by band of the label", self.features)


def _wide(evidence: Evidence, width: float) -> list[str]:
    begins = [width * band for band in np.floor(evidence.labels / width).tolist()]
    return [f"{begin:.6g} to {begin + width:.6g}" for begin in begins]
