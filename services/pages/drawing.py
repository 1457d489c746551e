"""How figures become part of a page."""

import base64
import io
import warnings
from typing import Literal

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.figure import Figure

PICTURE_DPI = 120
"""Of what is kept as pixels."""
_MEDIA_TYPES = {"png": "image/png", "svg": "image/svg+xml"}


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


def address_of(content: bytes, kind: Literal["png", "svg"] = "png") -> str:
    """A picture as an address that holds it."""
    return f"data:{_MEDIA_TYPES[kind]};base64,{base64.b64encode(content).decode()}"


def as_address(figure: Figure, kind: Literal["png", "svg"] = "svg") -> str:
    """The figure as an address that holds it."""
    file = io.BytesIO()
    figure.savefig(file, format=kind, dpi=PICTURE_DPI)
    return address_of(file.getvalue(), kind)
