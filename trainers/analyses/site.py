"""Whether the embedding tells the site, or another column."""

from dataclasses import astuple, dataclass

from contrasweep.trainers.analyses._panels import rows_of_intervals
from contrasweep.trainers.analyses._readings import Space, column, embeddings
from contrasweep.trainers.analyses.base import ANALYSES, Evidence, Findings, Table
from contrasweep.trainers.data.table import is_missing
from contrasweep.trainers.errors import UserError
from contrasweep.trainers.group_told import LEAST, group_told

_COLUMNS = ("configuration", "groups", "subjects", "balanced accuracy", "low", "high", "chance")


@ANALYSES.register("site")
@dataclass(frozen=True)
class Site:
    """Balanced accuracy with which the embedding of the test scans tells a column (`trainers.group_told`).

    Near chance where nothing of it is left in the features.

    Args:
        column: of the table of participants.
        features: the space to look at, where several were kept; null for the one that counts.
    """

    column: str = "site"
    features: Space | None = None

    def run(self, evidence: Evidence) -> Findings:
        """As `Analysis.run`."""
        groups = [None if is_missing(cell) else cell for cell in column(evidence, self.column)]
        told = {
            point: group_told(
                {str(run): evidence.embeddings[reading] for run, reading in runs.items()}, groups, evidence.subjects
            )
            for point, runs in embeddings(evidence, self.features).items()
        }
        known = {point: own for point, own in told.items() if own is not None}
        if not known:
            raise UserError(f"column '{self.column}' has not two groups of at least {LEAST} people in the test split")
        title = f"{self.column} told by the embedding"
        rows = tuple(
            (point, own.groups, own.people, *astuple(own.accuracy), own.chance) for point, own in known.items()
        )
        figure = rows_of_intervals({title: {point: own.accuracy for point, own in known.items()}}, "balanced accuracy")
        chance = next(iter(known.values())).chance
        figure.axes[0].axvline(chance, linewidth=1, linestyle=(0, (5, 4)))
        return Findings(
            tables={title: Table(_COLUMNS, rows)},
            figures={title: figure},
            words=(f"Guessing reaches {chance:.3g}, the dashed line.",),
        )
