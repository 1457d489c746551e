"""How the page's figures look, and how they become part of it."""

import io
import warnings
from collections.abc import Sequence

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

INK, DIM, FAINT = "#22272e", "#5b6470", "#e3e6ea"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#56b4e9", "#5c5c5c")
"""Okabe and Ito's, which the colour-blind tell apart; the yellow is darker, to be seen on white."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
WIDTH_IN = 9.4
_DPI = 96
_LONGEST = 30


def canvas(height_in: float, width_in: float = WIDTH_IN) -> Figure:
    """An empty figure."""
    figure = Figure(figsize=(width_in, height_in), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def axes_of(figure: Figure) -> Axes:
    """The only axes of a figure, without a frame."""
    axes = figure.add_subplot()
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


def inline(figure: Figure, description: str) -> Markup:
    """The figure as an SVG element that says `description` to those who do not see it. Its text stays text."""
    file = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with mpl.rc_context({"svg.fonttype": "none"}), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of letters that are not in matplotlib's own font; the reader's has them
        figure.savefig(file, format="svg", metadata=nothing)
    _, _, svg = file.getvalue().partition("<svg ")
    label = Markup('<svg role="img" aria-label="{}" ').format(description)
    return label + Markup(svg)
