"""Two-dimensional maps of embeddings in panels."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeAlias

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from contrasweep.trainers.analyses._panels import grid, labelled
from contrasweep.trainers.analyses._readings import (
    FloatArray,
    Space,
    chosen_rows,
    column,
    embeddings,
    embeddings_by_epoch,
    point,
)
from contrasweep.trainers.analyses.base import Evidence, Findings, Reading, Table
from contrasweep.trainers.drawing import GRADED, INK, MARKERS, plain
from contrasweep.trainers.errors import UserError

Panels: TypeAlias = Literal["points", "epochs"]
_FEWEST = 10
"""Scans of which there is a map."""
_NEIGHBOURS = 5


def findings_of_maps(
    evidence: Evidence,
    title: str,
    project: Callable[[FloatArray], FloatArray],
    *,
    panels: Panels,
    of: str | None,
    mark: str | None,
    features: Space | None,
) -> Findings:
    """Maps of the test scans, by `project` from embeddings [n, F] to [n, 2], coloured by the label.

    Of each configuration's first run, or, where `panels` are `epochs`, of the first run of `of` after each epoch that
    was kept. Of more than 2,000 scans as many are drawn, the same in all panels. Of each map it is told how far its
    neighbours are those of the embedding (scikit-learn's trustworthiness, 1 at most), and how far a scan's label is
    from the mean label of the five scans nearest to it on the map.
    """
    rows = chosen_rows(evidence)
    if len(rows) < _FEWEST:
        raise UserError(f"a map needs {_FEWEST} test scans, and there are {len(rows)}")
    marks = [column(evidence, mark)[row] for row in rows] if mark else [""] * len(rows)
    shown = {
        name: evidence.embeddings[reading][rows].astype(np.float64)
        for name, reading in _panels(evidence, panels, of, features).items()
    }
    maps = {
        name: project(own) if np.ptp(own, axis=0).any() else np.zeros((len(rows), 2)) for name, own in shown.items()
    }
    labels = evidence.labels[rows]
    told = tuple((name, len(rows), *_told(shown[name], own, labels)) for name, own in maps.items())
    return Findings(
        tables={title: Table(("panel", "scans", "trustworthiness", "neighbours' error"), told)},
        figures={title: _drawn(maps, labels, marks, labelled(evidence))},
    )


def _panels(evidence: Evidence, panels: Panels, of: str | None, features: Space | None) -> dict[str, Reading]:
    if panels == "points":
        return {name: next(iter(runs.values())) for name, runs in embeddings(evidence, features).items()}
    runs = embeddings_by_epoch(evidence, features)[point(evidence, of)]
    return {f"epoch {reading.epoch}": reading for reading in next(iter(runs.values()))}


def _told(features: FloatArray, places: FloatArray, labels: FloatArray) -> tuple[float, float]:
    """Trustworthiness of a map, and the error of the mean label of a scan's neighbours on it."""
    from sklearn.manifold import trustworthiness
    from sklearn.neighbors import NearestNeighbors

    nearest = NearestNeighbors(n_neighbors=_NEIGHBOURS).fit(places).kneighbors(return_distance=False)
    kept = trustworthiness(features, places, n_neighbors=min(_NEIGHBOURS, (len(labels) - 1) // 2))
    return float(kept), float(np.abs(labels - labels[nearest].mean(1)).mean())


def _drawn(maps: Mapping[str, FloatArray], labels: FloatArray, marks: Sequence[str], axis: str) -> Figure:
    figure, all_axes = grid([*maps])
    groups = sorted({*marks})
    for axes, places in zip(all_axes, maps.values(), strict=True):
        for number, group in enumerate(groups):
            own = np.flatnonzero([mark == group for mark in marks])
            dots = axes.scatter(
                places[own, 0],
                places[own, 1],
                c=labels[own],
                cmap=GRADED,
                vmin=labels.min(),
                vmax=labels.max(),
                marker=MARKERS[number % len(MARKERS)],
                s=20,
                edgecolor="white",
                linewidth=0.3,
            )
        axes.set(xticks=[], yticks=[])  # a map has no scale
    bar = figure.colorbar(dots, ax=all_axes, pad=0.02)
    bar.set_label(axis)
    bar.outline.set_visible(False)
    if len(groups) > 1:
        keys = [Line2D([], [], marker=MARKERS[n % len(MARKERS)], color=INK, linestyle="") for n in range(len(groups))]
        figure.legend(keys, [*map(plain, groups)], loc="outside upper left", ncols=6, frameon=False, fontsize=8.5)
    return figure
