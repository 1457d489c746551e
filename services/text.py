"""Text that goes to people: numbers and times in one format, and errors on one line with nothing secret in it."""

import logging
import math
import re
import time
from collections.abc import Sequence

from contrasweep.trainers.interval import Interval

_LAST_AT = re.compile(r"(?<![^\s'\"])([^\s'\"]*@)([^&\s'\"]*)")
"""A word up to its last @, as a password may hold any sign, and what follows up to the next field of a query."""
_BEGINNING = re.compile(r":?//|:")
"""Of an address in a word: what its scheme ends with, or else a user's name."""
_BEFORE_USER = re.compile(r"(?:.*[^\w.%+-])?")
_HARMLESS = re.compile(r"[(\[<]*(?:models:/[^:/@]+|[A-Za-z]:[/\\][^:@]*|[\dT-]*\d:\d\d(?::[\d.]+)?)@[^:@]*:?")
"""Words with a colon and an @ that are no addresses: `models:/name@alias`, `C:/x@y`, `12:30@noon`."""
_NAMED = re.compile(r"(?i)(password|secret|token)=[^&\s'\"]+")

NAMED = 3
"""How many of a list `first_few` names."""


def number(value: float | None) -> str:
    """Four digits; a dash where there is none.

    >>> number(8), number(0.18573), number(12345.6), number(None)
    ('8.000', '0.1857', '12,346', '–')
    """
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:#.4g}".rstrip(".") if abs(value) < 1e4 else f"{value:,.0f}"


def interval(figure: Interval) -> str:
    """A figure and both ends of its interval, to the place to which the largest has four digits.

    >>> interval(Interval(5.349, 3.984, 6.934)), interval(Interval(-0.005141, -0.06324, 0.1036))
    ('5.349 [3.984, 6.934]', '-0.0051 [-0.0632, 0.1036]')
    """
    value, low, high = _to_one_place(figure.value, figure.low, figure.high)
    return f"{value} [{low}, {high}]"


def ends(low: float | None, high: float | None) -> str:
    """Both ends of an interval: `[3.984, 6.934]`."""
    return f"[{', '.join(_to_one_place(low, high))}]"


def _to_one_place(*values: float | None) -> list[str]:
    largest = number(max((abs(value) for value in values if value is not None and math.isfinite(value)), default=None))
    if "e" in largest or "," in largest:
        return [number(value) for value in values]
    places = len(largest.partition(".")[2])
    return [number(None) if value is None or not math.isfinite(value) else f"{value:z.{places}f}" for value in values]


def spread(mean: float | None, sd: float | None) -> str:
    """Mean and sd to the same place, with two digits of the sd at least; the mean alone where there is no sd.

    >>> spread(4.8134, 0.2), spread(120.0, 31.4), spread(4.8134, None)
    ('4.81 ± 0.20', '120 ± 31', '4.813')
    """
    if mean is None or sd is None or not math.isfinite(mean + sd):
        return number(mean)
    rounded = float(f"{sd:.2g}")
    places = max(0, min(6, 1 - math.floor(math.log10(rounded)))) if rounded > 0 else 3
    return f"{mean:.{places}f} ± {sd:.{places}f}"


def over_seeds(mean: float | None, sd: float | None, seeds: int) -> str:
    """Mean and sd over whole `seeds`, of one without an sd; in brackets what seeds that were cut short reached.

    >>> over_seeds(4.8134, 0.2, 3), over_seeds(4.8134, 0.0, 1), over_seeds(4.8134, None, 0)
    ('4.81 ± 0.20', '4.813', '(4.813)')
    """
    if mean is None or not math.isfinite(mean):
        return number(None)
    return spread(mean, sd if seeds > 1 else None) if seeds else f"({number(mean)})"


def parameter(value: object) -> str:
    """A parameter as it was drawn or chosen: three digits of one that is not whole.

    >>> parameter(1 / 3), parameter(14), parameter("rbf")
    ('0.333', '14', 'rbf')
    """
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def duration(hours: float) -> str:
    """Hours in a unit of their size.

    >>> duration(0.0125), duration(0.38), duration(1.6), duration(240)
    ('45 s', '23 min', '1.6 h', '10 d')
    """
    seconds = 3600 * hours
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{hours:.1f} h" if hours < 100 else f"{hours / 24:,.0f} d"


def moment(seconds: float) -> str:
    """A time since 1970, in UTC; a dash for 0.

    >>> moment(1.7e9)
    '2023-11-14 22:13 UTC'
    """
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds)) if seconds else "–"


def count(many: int, noun: str) -> str:
    """A number and its noun.

    >>> count(1, "epoch"), count(1200, "epoch")
    ('1 epoch', '1,200 epochs')
    """
    return f"{many:,} {noun}{'' if many == 1 else 's'}"


def capitalised(text: str) -> str:
    """`text` as a sentence begins.

    >>> capitalised("MAE on the validation split"), capitalised("loss")
    ('MAE on the validation split', 'Loss')
    """
    return text[:1].upper() + text[1:]


def read_times(looks: int) -> str:
    """How often a test split was read: a figure that was looked at again and again is no longer an honest one."""
    return "read once" if looks == 1 else f"read {looks} times"


def first_few(items: Sequence[str], separator: str = ", ", most: int = NAMED) -> str:
    """The first of `items`, and how many more there are.

    >>> first_few(["a", "b", "c", "d", "e"])
    'a, b, c ... and 2 more'
    """
    more = f" ... and {len(items) - most:,} more" if len(items) > most else ""
    return f"{separator.join(items[:most])}{more}"


class WithoutSecrets(logging.Formatter):
    """What is logged, tracebacks, too, without the users and passwords of addresses in it."""

    def format(self, record: logging.LogRecord) -> str:
        """As a Formatter does."""
        return without_secrets(super().format(record))


def one_line(error: BaseException) -> str:
    """The error without line breaks and without a secret of an address in it."""
    return without_secrets(" ".join(f"{type(error).__name__}: {error}".split()))[:500]


def without_secrets(text: str) -> str:
    """`text` without the users and passwords of addresses in it. Quotes and spaces end an address.

    >>> without_secrets("neither postgresql://ada:love@lace@host/db?password=x nor ada:lo/ve@host, at 12:30 @ noon")
    'neither postgresql://host/db?password=*** nor host, at 12:30 @ noon'
    """
    return _NAMED.sub(r"\1=***", _LAST_AT.sub(_without_user, text))


def _without_user(word: re.Match[str]) -> str:
    before, after = word.groups()
    begins = _BEGINNING.search(before)
    if begins is None or _HARMLESS.fullmatch(word[0]):
        return word[0]
    kept = before[: begins.end()] if "//" in begins[0] else _user_left_out(before[: begins.start()])
    # What follows an @ inside a named secret is the rest of that, rather than a host.
    return f"{kept}***" if _NAMED.search(before) else f"{kept}{after}"


def _user_left_out(before: str) -> str:
    kept = _BEFORE_USER.match(before)
    assert kept
    return kept[0]


def slug(name: str) -> str:
    """A name as that of a file.

    >>> slug("Differences in MAE")
    'differences-in-mae'
    """
    return "-".join("".join(sign if sign.isalnum() else " " for sign in name.lower()).split())
