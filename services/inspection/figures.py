"""Figures of an inspection, as matplotlib Figures without any global state."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from contrasweep.services.inspection.labels import Labels
from contrasweep.services.inspection.origins import by_image
from contrasweep.services.inspection.survey import FloatArray
from contrasweep.trainers.data.store import StoredSubject
from contrasweep.trainers.drawing import COLOURS, FAINT, INK, axes_of, bare_canvas, canvas, plain

MOST_PARTS = len(COLOURS)
_COLUMNS, _WIDE = 8, 1.6
_SHEET_IN, _GAP_IN, _CAPTION_IN = 11.2, 0.08, 0.42
_RATIOS = (0.25, 1.6)
"""Height by width; images beyond, such as series of many regions, are squeezed."""
_BINS = (8, 40)


def label_histogram(parts: Sequence[Labels], label: str, *, share: bool = False) -> Figure:
    """Labels of each part over the same bins: stacked counts, or outlines of shares, as splits differ in size."""
    figure = canvas(2.9, 5.4)
    axes = _counting(figure)
    shown = _largest(parts)
    edges = _edges(np.concatenate([part.values for part in shown]))
    values, names = [part.values for part in shown], [f"{plain(part.value)} ({len(part.values):,})" for part in shown]
    colours = COLOURS[: len(shown)]
    if share:
        for own, name, colour in zip(values, names, colours, strict=True):
            weights = np.full(len(own), 1 / len(own))
            axes.hist(own, edges.tolist(), weights=weights, histtype="step", color=colour, label=name, linewidth=1.6)
    else:
        axes.hist(values, edges.tolist(), stacked=True, color=colours, label=names, edgecolor="white", linewidth=0.5)
    axes.set(xlabel=plain(label), ylabel="share of scans" if share else "scans")
    axes.locator_params(axis="y", integer=not share)
    if len(shown) > 1:
        figure.legend(loc="outside right upper", frameon=False, fontsize=8)
    return figure


def raw_ranges(subjects: Sequence[StoredSubject]) -> Figure:
    """How the minimum, mean and maximum of the files' own values are distributed, a colour for each image of a scan."""
    figure = canvas(2.4)
    images = by_image(subjects)
    names, colours = [plain(name) for name in images], [COLOURS[n % len(COLOURS)] for n in range(len(images))]
    for place, name in enumerate(("minimum", "mean", "maximum"), start=1):
        axes = _counting(figure, (1, 3, place))
        values = [np.array([getattr(one, name) for one in sources]) for sources in images.values()]
        edges = _edges(np.concatenate(values)).tolist()
        axes.hist(values, edges, stacked=True, color=colours, label=names, edgecolor="white", linewidth=0.5)
        axes.locator_params(axis="x", nbins=5)
        axes.locator_params(axis="y", integer=True)
        axes.set(xlabel=f"raw {name}", ylabel="scans" if name == "minimum" else "")
        axes.ticklabel_format(axis="x", style="sci", scilimits=(-3, 4), useMathText=True)
    if len(names) > 1:
        figure.legend(names, loc="outside right upper", frameon=False, fontsize=8)
    return figure


def contact_sheet(slices: Sequence[FloatArray], captions: Sequence[str]) -> Figure:
    """Slices of one shape, [H, W] or [H, W, 3], each from its own 1st to 99th percentile, with a caption below."""
    height, width = slices[0].shape[:2]
    columns = _COLUMNS if width < _WIDE * height else _COLUMNS // 2
    cell = _SHEET_IN / columns
    shown = cell - _GAP_IN, (cell - _GAP_IN) * float(np.clip(height / width, *_RATIOS))
    row_in = shown[1] + _CAPTION_IN
    total_in = row_in * -(-len(slices) // columns)
    figure = bare_canvas(total_in, _SHEET_IN)
    for number, (plane, caption) in enumerate(zip(slices, captions, strict=True)):
        row, column = divmod(number, columns)
        left, bottom = column * cell / _SHEET_IN, 1 - (row * row_in + shown[1]) / total_in
        axes = figure.add_axes((left, bottom, shown[0] / _SHEET_IN, shown[1] / total_in))
        axes.imshow(_grey_levels(plane), cmap="gray", vmin=0, vmax=1, aspect="auto")
        axes.set_xlabel(caption, fontsize=7, color=INK, labelpad=3)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    return figure


def _grey_levels(plane: FloatArray) -> FloatArray:
    """Values from 0 to 1; where most of a plane is background, its whole range counts."""
    low, high = np.percentile(plane, [1, 99])
    if high <= low:
        low, high = plane.min(), plane.max()
    levels: FloatArray = np.clip((plane - low) / (high - low or 1), 0, 1)
    return levels


def _counting(figure: Figure, place: tuple[int, int, int] = (1, 1, 1)) -> Axes:
    """Axes for a histogram."""
    axes = axes_of(figure, place)
    axes.grid(axis="y", color=FAINT, linewidth=0.8)
    return axes


def _largest(parts: Sequence[Labels]) -> list[Labels]:
    """The parts with the most scans as they are, the rest as one."""
    if len(parts) <= MOST_PARTS:
        return list(parts)
    by_size = sorted(parts, key=lambda part: len(part.values), reverse=True)
    rest = by_size[MOST_PARTS - 1 :]
    others = Labels(f"{len(rest)} others", tuple(sorted(value for part in rest for value in part.values)))
    return [*by_size[: MOST_PARTS - 1], others]


def _edges(values: FloatArray) -> FloatArray:
    """Bins of a histogram, neither few nor many."""
    count = len(np.histogram_bin_edges(values, "sturges")) - 1
    return np.histogram_bin_edges(values, int(np.clip(2 * count, *_BINS)))
