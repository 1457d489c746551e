"""By how many per cent one configuration's error is smaller than another's (SupReMix, Fig. 8)."""

from collections.abc import Mapping
from dataclasses import astuple, dataclass

import numpy as np

from contrasweep.trainers.analyses._panels import rows_of_intervals
from contrasweep.trainers.analyses._readings import FloatArray, Run, Space, by_point_and_seed, errors
from contrasweep.trainers.analyses.base import ANALYSES, Evidence, Findings, Table
from contrasweep.trainers.errors import UserError, nearest
from contrasweep.trainers.interval import Interval
from contrasweep.trainers.resampling import Rows, subject_bootstrap


@ANALYSES.register("gain")
@dataclass(frozen=True)
class Gain:
    """Gain in MAE of each configuration over the first that is like it, in per cent of that one's MAE.

    Above 0 it is better. Intervals are 95 % subject bootstrap of these runs. Configurations may be ordered by
    `percent`, which the first ones themselves have not.

    Args:
        by: a parameter, field or option that is the same in those that are alike; null where all are.
        features: the space to read, where several were; null for the one that counts.
    """

    by: str | None = None
    features: Space | None = None

    def run(self, evidence: Evidence) -> Findings:
        """As `Analysis.run`."""
        of_points, references = errors(evidence, self.features), self._references(evidence)
        told = {
            (name, reference): _gain(of_points[name], of_points[reference], evidence)
            for name, reference in references.items()
            if name != reference
        }
        if not told:
            raise UserError("there are not two configurations that are alike, and a gain is of one over another")
        percent = {
            name: {
                run: _percent(own, of_points[references[name]].get(run)) if name != references[name] else np.nan
                for run, own in runs.items()
            }
            for name, runs in of_points.items()
        }
        title = "Gain in MAE"
        shown = {" over ".join(pair): gain for pair, gain in told.items()}
        return Findings(
            tables={
                title: Table(
                    ("configuration", "over", "gain in %", "low", "high"),
                    tuple((*pair, *astuple(gain)) for pair, gain in told.items()),
                )
            },
            figures={title: rows_of_intervals({title: shown}, "gain in MAE in %", zero=True)},
            values={"percent": by_point_and_seed(percent)},
            larger=frozenset({"percent"}),
        )

    def _references(self, evidence: Evidence) -> dict[str, str]:
        """The first configuration that is like each."""
        known = {value for values in evidence.values.values() for value in values}
        if self.by is not None and self.by not in known:
            raise UserError(f"by: no configuration has '{self.by}'; {nearest(self.by, known)}")
        first: dict[str, str] = {}
        return {
            name: first.setdefault(str(evidence.values[name].get(self.by)) if self.by else "", name)
            for name in evidence.points
        }


def _gain(own: Mapping[Run, FloatArray], others: Mapping[Run, FloatArray], evidence: Evidence) -> Interval:
    """Over the mean of each's runs."""
    mean, reference = (np.mean([*runs.values()], axis=0) for runs in (own, others))

    def gain(rows: Rows) -> float:
        return _percent(mean[rows], reference[rows])

    return subject_bootstrap(gain, evidence.subjects)


def _percent(own: FloatArray, other: FloatArray | None) -> float:
    """Of errors [n]; nan where there are no others, or they are all 0."""
    mae = 0.0 if other is None else float(other.mean())
    return 100 * (1 - float(own.mean()) / mae) if mae else float("nan")
