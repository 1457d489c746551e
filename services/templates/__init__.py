"""The HTML pages: every value is escaped, and a name that is missing is an error."""

from pathlib import Path

import jinja2


def pages() -> jinja2.Environment:
    """The templates of this folder by their files' names."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
