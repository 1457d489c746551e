"""What an inspection finds, one line each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Severity = Literal["leak", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("leak", "warning", "note")
"""The gravest first."""
NAMED = 3


@dataclass(frozen=True)
class Problem:
    """One finding, complete in one line. A leak is in several splits, a note may well be meant."""

    severity: Severity
    text: str


def first_few(items: Sequence[str], separator: str = ", ", most: int = NAMED) -> str:
    """The first of `items`, and how many more there are.

    >>> first_few(["a", "b", "c", "d", "e"])
    'a, b, c ... and 2 more'
    """
    more = f" ... and {len(items) - most} more" if len(items) > most else ""
    return f"{separator.join(items[:most])}{more}"


def counted(count: int, noun: str) -> str:
    """A number and its noun.

    >>> counted(1, "leak"), counted(0, "leak")
    ('1 leak', '0 leaks')
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
