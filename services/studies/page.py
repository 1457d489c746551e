"""A study, or several, as one HTML page that needs nothing beside itself."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from matplotlib.figure import Figure

from contrasweep.services.pages.drawing import as_address, inline
from contrasweep.services.pages.tables import Table
from contrasweep.services.pages.templates import pages
from contrasweep.services.records.files import write_asked
from contrasweep.services.records.folder import SweepFolder
from contrasweep.services.studies import figure
from contrasweep.services.studies.outcome import Outcome, Seen
from contrasweep.services.studies.study import title_of
from contrasweep.services.studies.tables import (
    command,
    footnotes,
    found_table,
    further_tables,
    orders,
    outcome_table,
    summary_table,
    verdict,
)
from contrasweep.services.text import moment
from contrasweep.trainers.analyses import Findings
from contrasweep.trainers.atomic import write_atomically

OUTCOME = "outcome.json"
T = TypeVar("T")
_TEMPLATE = "study.html"


@dataclass(frozen=True)
class Report:
    """A study's outcome, and what its analyses found, by their names."""

    outcome: Outcome
    findings: Mapping[str, Findings]

    @classmethod
    def of(cls, seen: Seen) -> "Report":
        """Of what was seen of a study's sweep."""
        return cls(seen.outcome(), seen.findings)

    def kept(self, folder: SweepFolder) -> "Report":
        """This, once the outcome is written beside the sweep's final figure; code and machine are those of the first
        time, which was as the sweep ended.
        """
        path = folder.path / OUTCOME
        outcome = self.outcome.model_copy(update=_first_made(path))
        write_atomically(path, outcome.to_json().encode())
        return replace(self, outcome=outcome)

    @property
    def tables(self) -> dict[str, Table]:
        """Those of the analyses, by their titles."""
        found = _titled({key: one.tables for key, one in self.findings.items()})
        return {title: found_table(title, table) for title, table in found.items()}

    @property
    def figures(self) -> dict[str, Figure]:
        """The study's own, `rows`, and those of the analyses, by their titles."""
        found = _titled({key: one.figures for key, one in self.findings.items()})
        return {"rows": figure.draw(self.outcome), **found}


def _titled(found: Mapping[str, Mapping[str, T]]) -> dict[str, T]:
    """What analyses found by its title; where another has that, with the analysis."""
    titled: dict[str, T] = {}
    for key, one in found.items():
        for title, value in one.items():
            titled[f"{title}, {key}" if title in titled else title] = value
    return titled


def _first_made(path: Path) -> dict[str, str]:
    """With which code, and on which machine, the outcome was made that is there; empty where there is none to read."""
    try:
        first = json.loads(path.read_bytes())
        return {key: str(first[key]) for key in ("code", "machine")}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def write(reports: Sequence[Report], folder: Path) -> Path:
    """Write the page into the folder of reports, named by the one sweep, or `studies.html`; its path."""
    name = f"{reports[0].outcome.sweep}-study" if len(reports) == 1 else "studies"
    path = folder / f"{name}.html"
    write_asked(path, render(reports).encode())
    return path


def render(reports: Sequence[Report]) -> str:
    """The page's text."""
    template = pages().get_template(_TEMPLATE)
    return template.render(
        studies=[_told(one) for one in reports],
        title_of=title_of,
        now=moment(time.time()),
        several=len(reports) > 1,
        summary=summary_table([one.outcome for one in reports]),
    )


def _told(report: Report) -> dict[str, object]:
    outcome = report.outcome
    figures, tables = report.figures, report.tables
    return {
        "outcome": outcome,
        "verdict": verdict(outcome),
        "orders": orders(outcome),
        "command": command(outcome),
        "figure": inline(figures.pop("rows"), _words(outcome)),
        "table": outcome_table(outcome),
        "further": further_tables(outcome),
        "words": [word for one in report.findings.values() for word in one.words],
        "found": [
            (title, as_address(figures[title]) if title in figures else "", tables.get(title))
            for title in dict.fromkeys([*figures, *tables])
        ],
        "notes": footnotes(outcome),
    }


def _words(outcome: Outcome) -> str:
    """The figure for those who do not see it."""
    metric = outcome.metrics[0]
    told = (f"{row.name} {row.ours[metric].value.value:.3g}" for row in outcome.rows if metric in row.ours)
    return f"{title_of(metric)} of each row with its interval, beside what is published: {', '.join(told)}"
