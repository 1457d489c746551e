"""Errors of each configuration by groups of the test scans."""

from collections.abc import Sequence
from dataclasses import astuple

import numpy as np

from contrasweep.trainers.analyses._panels import in_unit, rows_of_intervals
from contrasweep.trainers.analyses._readings import Space, by_point_and_seed, predictions
from contrasweep.trainers.analyses.base import Evidence, Findings, Table
from contrasweep.trainers.groups import FEW, errors_by_group

_COLUMNS = ("group", "scans", "subjects", "mae", "low", "high", "bias", "bias low", "bias high")


def findings_by_group(
    evidence: Evidence, groups: Sequence[str], order: Sequence[str], title: str, features: Space | None
) -> Findings:
    """MAE and bias of the scans' `groups` [n], in `order`, with 95 % subject bootstrap intervals, mean over runs.

    Configurations may be ordered by the MAE of each group.
    """
    said = predictions(evidence, features)
    known = np.asarray(groups)
    rows = np.concatenate([np.flatnonzero(known == group) for group in order])
    told = {
        point: errors_by_group(
            np.array([*runs.values()])[:, rows],
            evidence.labels[rows],
            known[rows].tolist(),
            [evidence.subjects[row] for row in rows],
        )
        for point, runs in said.items()
    }
    found = [(point, one) for point, all_groups in told.items() for one in all_groups]
    cells = tuple(
        (point, one.group, one.scans, one.subjects, *astuple(one.mae), *astuple(one.bias)) for point, one in found
    )
    shown = {point: {one.group: one.mae for one in all_groups} for point, all_groups in told.items()}
    few = [*dict.fromkeys(one.group for _, one in found if one.few)]
    errors = {point: {run: np.abs(own - evidence.labels) for run, own in runs.items()} for point, runs in said.items()}

    def of_group(group: str) -> dict[tuple[str, int], float]:
        inside = known == group
        return by_point_and_seed(
            {point: {run: float(own[inside].mean()) for run, own in runs.items()} for point, runs in errors.items()}
        )

    return Findings(
        tables={title: Table(("configuration", *_COLUMNS), cells)},
        figures={title: rows_of_intervals(shown, in_unit(evidence, "MAE"))},
        words=(f"Of fewer than {FEW} people, so that they say little: {', '.join(few)}.",) if few else (),
        values={group: of_group(group) for group in order if group in known},
    )
