"""The HTML pages' templates: every value is escaped, and a name that is missing is an error."""

from pathlib import Path

import jinja2

from contrasweep.services.text import count, duration, ends, moment, number, spread

_WORDS = {"count": count, "ends": ends, "spread": spread}
_FILTERS = {"duration": duration, "moment": moment, "number": number}


def pages() -> jinja2.Environment:
    """The templates of this folder by their files' names, with the functions of `services.text` in them."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= _WORDS
    environment.filters |= _FILTERS
    return environment
