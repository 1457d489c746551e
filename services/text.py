"""Text that goes to people: on one line, with nothing secret in it."""

import re

_WITH_SCHEME = re.compile(r"//[^\s'\"]*@")
"""Up to the last @ of a word: a password may hold one, and a slash."""
_WITHOUT_SCHEME = re.compile(r"(?<![\w/:.@-])[\w.%+-]+:(?!/)[^\s'\"]*@")
"""Not `models:/name@alias`, which is no address."""
_NAMED = re.compile(r"(?i)(password|secret|token)=[^&\s'\"]+")


def one_line(error: BaseException) -> str:
    """The error without line breaks and without a secret of an address in it."""
    return without_secrets(" ".join(f"{type(error).__name__}: {error}".split()))[:500]


def without_secrets(text: str) -> str:
    """`text` without the users and passwords of addresses in it.

    >>> without_secrets("no answer from postgresql://ada:love@lace@host/db?password=x, nor from ada:lo/ve@host")
    'no answer from postgresql://host/db?password=***, nor from host'
    """
    text = _WITHOUT_SCHEME.sub("", _WITH_SCHEME.sub("//", text))
    return _NAMED.sub(r"\1=***", text)
