"""Errors by a column of the table (SupReMix, section 5.7)."""

from dataclasses import dataclass

from contrasweep.trainers.analyses._by_group import findings_by_group
from contrasweep.trainers.analyses._readings import Space, column
from contrasweep.trainers.analyses.base import ANALYSES, Evidence, Findings


@ANALYSES.register("groups")
@dataclass(frozen=True)
class Groups:
    """MAE and bias by the cells of a column. Configurations may be ordered by the MAE of each of its groups.

    Args:
        column: of the table of participants.
        features: the space to read, where several were; null for the one that counts.
    """

    column: str = "sex"
    features: Space | None = None

    def run(self, evidence: Evidence) -> Findings:
        """As `Analysis.run`."""
        cells = column(evidence, self.column)
        return findings_by_group(evidence, cells, sorted({*cells}), f"Errors by {self.column}", self.features)
