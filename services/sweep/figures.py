"""Figures of a finished sweep, as matplotlib Figures without any global state."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from contrasweep.services.text import number
from contrasweep.trainers.drawing import COLOURS, FAINT, GRADED, INK, axes_of, canvas, plain

FloatArray = NDArray[np.floating]

_MAP_LIMIT = 2000
_FEWEST_FOR_TSNE = 10


def predicted_against_true(
    y: FloatArray,
    predictions: FloatArray,
    *,
    weights: Sequence[float] | None = None,
    label: str = "label",
    unit: str = "",
    title: str = "",
) -> Figure:
    """Predictions [S, N] of S runs against labels `y` [N]: the mean over runs with its MAE, and their range.

    The runs' `weights` [S] are those in the mean, where they do not count alike. Ranges are cut at the edges.
    """
    figure, axes = _titled(5.4, 5.0, title)
    mean = np.average(predictions, axis=0, weights=weights)
    low, high = _padded_range(np.concatenate([y, mean]))
    axes.plot([low, high], [low, high], color=INK, linewidth=1, linestyle=(0, (5, 4)), label="identity", zorder=1)
    if len(predictions) > 1:
        axes.vlines(y, predictions.min(axis=0), predictions.max(axis=0), color=COLOURS[0], alpha=0.25, linewidth=1)
    name = f"mean of {len(predictions)} runs, bar: their range" if len(predictions) > 1 else "one run"
    axes.scatter(y, mean, s=22, color=COLOURS[0], edgecolor="white", linewidth=0.5, alpha=0.85, label=name, zorder=3)
    axes.set(xlim=(low, high), ylim=(low, high), aspect="equal")
    axes.set_xlabel(f"true {_named(label, unit)}")
    axes.set_ylabel(f"predicted {_named(label, unit)}")
    axes.legend(frameon=False, fontsize=8, loc="upper left")
    error = float(np.mean(np.abs(mean - y)))
    axes.text(0.98, 0.03, f"MAE {number(error)} {unit}".rstrip(), transform=axes.transAxes, ha="right", color=INK)
    return figure


def embedding_map(
    embeddings: FloatArray, y: FloatArray, *, label: str = "label", unit: str = "", title: str = "", seed: int = 0
) -> Figure:
    """Embeddings [N, D] in two dimensions, coloured by `y` [N].

    t-SNE; principal components where N < 10 or D <= 2. More than 2000 points are thinned out, by `seed`.
    """
    figure, axes = _titled(6.0, 5.0, title)
    if len(y) > _MAP_LIMIT:
        chosen = np.sort(np.random.default_rng(seed).choice(len(y), _MAP_LIMIT, replace=False))
        embeddings, y = embeddings[chosen], y[chosen]
    method, points = _two_dimensions(np.asarray(embeddings, np.float64), seed)
    dots = axes.scatter(points[:, 0], points[:, 1], c=y, cmap=GRADED, s=26, edgecolor="white", linewidth=0.4)
    bar = figure.colorbar(dots, ax=axes, pad=0.02)
    bar.set_label(_named(label, unit))
    bar.outline.set_visible(False)
    axes.set_xlabel(f"{method} 1")
    axes.set_ylabel(f"{method} 2")
    if method == "t-SNE":  # its axes have no scale
        axes.set(xticks=[], yticks=[])
    return figure


def learning_curves(
    histories: Mapping[str, Sequence[Mapping[str, float]]],
    *,
    metric: str = "validation_mae",
    label: str = "validation MAE",
    unit: str = "",
    title: str = "",
) -> Figure:
    """`metric` by epoch, one line for each named history; rows without the metric are skipped."""
    figure, axes = _titled(6.4, 4.2, title)
    for place, (name, rows) in enumerate(histories.items()):
        measured = [row for row in rows if row.get(metric) is not None]
        axes.plot(
            [row["epoch"] for row in measured],
            [row[metric] for row in measured],
            color=COLOURS[place % len(COLOURS)],
            linewidth=1.6,
            marker="o" if len(measured) == 1 else "",
            label=name,
        )
    axes.set_xlabel("epoch")
    axes.set_ylabel(_named(label, unit))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y", color=FAINT, linewidth=0.8)
    if histories:
        axes.legend(frameon=False, fontsize=8)
    return figure


def _titled(width_in: float, height_in: float, title: str) -> tuple[Figure, Axes]:
    figure = canvas(height_in, width_in)
    axes = axes_of(figure)
    if title:
        axes.set_title(title, fontsize=10, loc="left", color=INK)
    return figure, axes


def _named(label: str, unit: str) -> str:
    return f"{plain(label)} ({unit})" if unit else plain(label)


def _padded_range(values: FloatArray) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    margin = 0.04 * (high - low) or 1.0
    return low - margin, high + margin


def _two_dimensions(embeddings: NDArray[np.float64], seed: int) -> tuple[str, NDArray[np.float64]]:
    """The method's name and points [N, 2]; missing second components are zero."""
    from sklearn.decomposition import PCA  # a second to import, which whoever only reads a report need not wait
    from sklearn.manifold import TSNE

    count, width = embeddings.shape
    collapsed = np.ptp(embeddings, axis=0).max(initial=0.0) == 0
    if count >= _FEWEST_FOR_TSNE and width > 2 and not collapsed:
        perplexity = min(30.0, (count - 1) / 3)
        return "t-SNE", TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(embeddings)
    components = min(2, count, width)
    # A collapsed embedding has no variance to share out: the points coincide, without a warning.
    points = np.zeros((count, components)) if collapsed else PCA(components).fit_transform(embeddings)
    return "PC", np.pad(points, ((0, 0), (0, 2 - components)))
