"""How figures look: matplotlib Figures without any global state."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

INK, DIM, PALE, FAINT = "#22272e", "#5b6470", "#b9c0c9", "#e3e6ea"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#56b4e9", "#5c5c5c")
"""Okabe and Ito's, which the colour-blind tell apart; the yellow is darker, to be seen on white."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
GRADED = "viridis"
"""The colour map of a quantity."""
WIDTH_IN = 9.4
_DPI = 96
_LONGEST = 30


def canvas(height_in: float, width_in: float = WIDTH_IN) -> Figure:
    """An empty figure, laid out as it is filled."""
    figure = bare_canvas(height_in, width_in)
    figure.set_layout_engine("constrained")
    return figure


def bare_canvas(height_in: float, width_in: float = WIDTH_IN) -> Figure:
    """An empty figure whose axes stay where they are put."""
    figure = Figure(figsize=(width_in, height_in), dpi=_DPI)
    FigureCanvasAgg(figure)
    return figure


def axes_of(figure: Figure, place: tuple[int, int, int] = (1, 1, 1)) -> Axes:
    """Axes without a frame, at a place in a figure: rows, columns, and which of them."""
    axes = figure.add_subplot(*place)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(DIM)
    axes.tick_params(labelsize=9, colors=INK, length=3)
    return axes


def plain(text: str) -> str:
    """`text` as matplotlib shows it literally, dollar signs and all; long ones cut."""
    shown = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
    return shown.replace("$", r"\$")


def colour_of(name: str, names: Sequence[str]) -> str:
    """A colour for each of `names`, by its place among them."""
    return COLOURS[names.index(name) % len(COLOURS)]
