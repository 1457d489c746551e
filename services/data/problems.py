"""What an inspection finds, one line each."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["leak", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("leak", "warning", "note")
"""The gravest first."""


@dataclass(frozen=True)
class Problem:
    """One finding, complete in one line. A leak is in several splits, a note may well be meant."""

    severity: Severity
    text: str
