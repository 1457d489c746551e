"""Normalised Lipschitz factors: how smooth the label is over the embedding (SupReMix, Eq. 7, Fig. 7)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from contrasweep.trainers.analyses._panels import grid, in_unit, style
from contrasweep.trainers.analyses._readings import (
    FloatArray,
    Run,
    Space,
    by_point_and_seed,
    embeddings,
    point,
    predictions,
)
from contrasweep.trainers.analyses.base import ANALYSES, Evidence, Findings, Table
from contrasweep.trainers.drawing import COLOURS, FAINT, INK, axes_of, canvas, plain
from contrasweep.trainers.lipschitz import lipschitz_factors, z_gap
from contrasweep.trainers.metrics import pearson
from contrasweep.trainers.parameters import Several
from contrasweep.trainers.resampling import Rows, resamples

_SHOWN = 98
"""Per cent of the factors that the histogram shows: single ones are very large."""
_COLUMNS = ("configuration", "reference", "Z gap", "low", "high", "gap in r", "r low", "r high", "correlation")

Factors = Mapping[str, Mapping[Run, FloatArray]]
"""[n] of each run, by configuration."""


@ANALYSES.register("nlfd")
@dataclass(frozen=True)
class Nlfd:
    """The distribution of the normalised Lipschitz factors of the test scans (`trainers.lipschitz`).

    Where neighbours have like labels its mean is small and its skewness large: most factors are small, and few are not
    (the paper calls this left-skewed). The Z gap of a configuration is (mean of the reference - own mean) over the root
    of the sum of both variances, above 0 where it is smoother than the reference. In bootstraps of the subjects it is
    set beside the gap in Pearson's r: where smoothness and performance go together, they correlate. Factors are drawn
    with their scans; found anew, the neighbour of a scan that is drawn twice would be itself. Gaps are means over the
    runs that both have. Configurations may be ordered by `mean`, `skewness` and `correlation`, that of both
    gaps over the bootstraps, of each seed alone, which the reference has not.

    Args:
        reference: the configuration to which gaps are; null for the first.
        features: the space to look at, where several were kept; null for the one that counts.
    """

    reference: str | None = None
    bootstraps: Several = 100
    features: Space | None = None

    def run(self, evidence: Evidence) -> Findings:
        """As `Analysis.run`."""
        reference = point(evidence, self.reference)
        factors = {
            name: {
                run: lipschitz_factors(evidence.embeddings[reading], evidence.labels, evidence.subjects)
                for run, reading in runs.items()
            }
            for name, runs in embeddings(evidence, self.features).items()
        }
        mean, deviation, skewness = (_by_seed(factors, of) for of in (np.mean, np.std, _skewness))
        rows = tuple((*of, mean[of], deviation[of], skewness[of]) for of in mean)
        of_runs = self._gaps(evidence, factors, reference)
        gaps = {name: np.mean([*runs.values()], axis=0) for name, runs in of_runs.items()}
        correlations = {name: {run: _correlation(own) for run, own in runs.items()} for name, runs in of_runs.items()}
        correlations[reference] = dict.fromkeys(factors[reference], float("nan"))
        smoothness, beside = "Normalised Lipschitz factors", "Smoothness and performance"
        gap_rows = tuple(_gap_row(name, reference, own) for name, own in gaps.items())
        return Findings(
            tables={smoothness: Table(("configuration", "seed", "mean", "sd", "skewness"), rows)}
            | ({beside: Table(_COLUMNS, gap_rows)} if gaps else {}),
            figures={smoothness: _histogram(factors, reference, in_unit(evidence, "normalised Lipschitz factor"))}
            | ({beside: _scatter(gaps, reference)} if gaps else {}),
            words=_left_out(factors),
            values={"mean": mean, "skewness": skewness, "correlation": by_point_and_seed(correlations)},
            larger=frozenset({"skewness", "correlation"}),
        )

    def _gaps(self, evidence: Evidence, factors: Factors, reference: str) -> dict[str, dict[Run, FloatArray]]:
        """Z gap and gap in Pearson's r of each other configuration's runs [1 + B, 2], the first of the whole sample."""
        said = predictions(evidence, self.features)
        drawn = [np.arange(len(evidence.labels)), *resamples(evidence.subjects, self.bootstraps)]

        def gap(name: str, run: Run, rows: Rows) -> tuple[float, float]:
            smoother = z_gap(factors[reference][run][rows], factors[name][run][rows])
            own, others = (pearson(evidence.labels[rows], said[of][run][rows]) for of in (name, reference))
            return smoother, float(own - others)

        return {
            name: {
                run: np.array([gap(name, run, rows) for rows in drawn])
                for run in factors[name]
                if run in factors[reference]
            }
            for name in factors
            if name != reference
        }


def _by_seed(factors: Factors, of: Callable[[FloatArray], float]) -> dict[tuple[str, int], float]:
    """What is said of the factors of each configuration and seed, nan where there are none."""
    known = {name: {run: own[np.isfinite(own)] for run, own in runs.items()} for name, runs in factors.items()}
    return by_point_and_seed(
        {
            name: {run: float(of(own)) if own.size else float("nan") for run, own in runs.items()}
            for name, runs in known.items()
        }
    )


def _skewness(factors: FloatArray) -> float:
    from scipy.stats import skew

    return float(skew(factors)) if np.ptp(factors) > 0 else float("nan")


def _resampled(gaps: FloatArray) -> FloatArray:
    """The gaps of those bootstraps that have both."""
    found: FloatArray = gaps[1:][np.isfinite(gaps[1:]).all(1)]
    return found


def _correlation(gaps: FloatArray) -> float:
    """Of both gaps over the bootstraps."""
    resampled = _resampled(gaps)
    return float(pearson(resampled[:, 0], resampled[:, 1])) if len(resampled) > 1 else float("nan")


def _gap_row(name: str, reference: str, gaps: FloatArray) -> tuple[object, ...]:
    (z, r), resampled = gaps[0], _resampled(gaps)
    if len(resampled) < 2:
        return name, reference, z, *[float("nan")] * 2, r, *[float("nan")] * 3
    (z_low, r_low), (z_high, r_high) = np.percentile(resampled, [2.5, 97.5], axis=0)
    figures = (z, z_low, z_high, r, r_low, r_high, _correlation(gaps))
    return name, reference, *map(float, figures)


def _left_out(factors: Factors) -> tuple[str, ...]:
    alone = {name: sum(int(np.isnan(own).sum()) for own in runs.values()) for name, runs in factors.items()}
    named = ", ".join(f"{count} of {name}" for name, count in alone.items() if count)
    return (f"Scans in one place with their neighbour, left out: {named}.",) if named else ()


def _histogram(factors: Factors, reference: str, axis: str) -> Figure:
    pooled = {name: np.concatenate([*runs.values()]) for name, runs in factors.items()}
    known = {name: own[np.isfinite(own)] for name, own in pooled.items()}
    everything = np.concatenate([*known.values()])
    edges = np.linspace(0, (np.percentile(everything, _SHOWN) if everything.size else 0) or 1, 31)
    shares = {name: np.histogram(own, edges)[0] / max(1, own.size) for name, own in known.items()}
    figure, all_axes = grid([*shares])
    for axes, own in zip(all_axes, shares.values(), strict=True):
        axes.stairs(own, edges, color=COLOURS[0], alpha=0.6, fill=True)
        axes.stairs(shares[reference], edges, color=INK, linewidth=1)
        axes.set_ylim(0, 1.05 * max(map(max, shares.values())) or 1)
    figure.supxlabel(axis, fontsize=9.5)
    figure.supylabel(f"share of scans; line: {plain(reference)}", fontsize=9.5)
    return figure


def _scatter(gaps: Mapping[str, FloatArray], reference: str) -> Figure:
    figure = canvas(4.2, 6.4)
    axes = axes_of(figure)
    for place, (name, own) in enumerate(gaps.items()):
        colour, marker = style(place)
        axes.plot(own[1:, 0], own[1:, 1], marker, color=colour, markersize=4, alpha=0.6, label=plain(name))
    axes.set_xlabel(f"Z gap to {plain(reference)}")
    axes.set_ylabel(f"Pearson r less that of {plain(reference)}")
    axes.grid(color=FAINT, linewidth=0.8)
    if len(gaps) > 1:
        figure.legend(loc="outside upper left", ncols=4, frameon=False, fontsize=8.5)
    return figure
