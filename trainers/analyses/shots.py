"""Errors where training has many, a medium number of, and few people of the label (SupReMix, Table 16)."""

from dataclasses import dataclass

from contrasweep.trainers.analyses._by_group import findings_by_group
from contrasweep.trainers.analyses._readings import Space
from contrasweep.trainers.analyses.base import ANALYSES, Evidence, Findings
from contrasweep.trainers.errors import UserError
from contrasweep.trainers.metrics import SHOTS, shot_regions
from contrasweep.trainers.parameters import Positive


@ANALYSES.register("shots")
@dataclass(frozen=True)
class Shots:
    """MAE and bias by how many training labels there are in the bin of the label (Yang et al. 2021).

    `many`: over 100; `medium`: 20 to 100; `few`: under 20. A region without test scans is left out. Configurations may
    be ordered by the MAE of `many`, `medium` and `few`.

    Args:
        bin_size: in label units; null for one, or a sixtieth of the training labels' range where that is less.
        features: the space to read, where several were; null for the one that counts.
    """

    bin_size: Positive | None = None
    features: Space | None = None

    def run(self, evidence: Evidence) -> Findings:
        """As `Analysis.run`."""
        if not evidence.train_labels.size:
            raise UserError("the training labels, of which shots are, are not there any more: the volume store is gone")
        regions = shot_regions(evidence.labels, evidence.train_labels, self.bin_size).tolist()
        return findings_by_group(evidence, regions, SHOTS, "Errors by number of training labels", self.features)
