"""What is printed of a study that has run."""

from collections.abc import Sequence

from rich.console import Console

from contrasweep.services.screen.tables import print_table
from contrasweep.services.studies.catalogue import print_notes
from contrasweep.services.studies.outcome import Outcome
from contrasweep.services.studies.tables import footnotes, further_tables, outcome_table, summary_table, verdict_line


def print_outcomes(console: Console, outcomes: Sequence[Outcome]) -> None:
    """Print studies one after the other, and of several their verdicts in the end."""
    for outcome in outcomes:
        _print_outcome(console, outcome)
    if len(outcomes) > 1:
        print_table(console, summary_table(outcomes))


def _print_outcome(console: Console, outcome: Outcome) -> None:
    """A study's table, its verdict and footnotes."""
    table = outcome_table(outcome)
    console.print(f"{outcome.name}: {outcome.title}", soft_wrap=True, markup=False)
    console.print(table.caption, soft_wrap=True, markup=False)
    print_table(console, table)
    for further in further_tables(outcome):
        console.print(further.caption, soft_wrap=True, markup=False)
        print_table(console, further)
    for line in (verdict_line(outcome), *outcome.words):
        console.print(line, soft_wrap=True, markup=False)
    print_notes(console, footnotes(outcome))
