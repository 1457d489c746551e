"""What is printed of a study that has run."""

from rich.console import Console

from contrasweep.services.screen.tables import print_table
from contrasweep.services.studies.catalogue import print_notes
from contrasweep.services.studies.outcome import Outcome
from contrasweep.services.studies.tables import footnotes, outcome_table, verdict


def print_outcome(console: Console, outcome: Outcome) -> None:
    """Print a study's table, its verdict and footnotes."""
    table, said = outcome_table(outcome), verdict(outcome)
    console.print(f"{outcome.study}: {outcome.title}", soft_wrap=True, markup=False)
    console.print(table.caption, soft_wrap=True, markup=False)
    print_table(console, table)
    for line in (f"{said[:1].upper()}{said[1:]}.", *outcome.words):
        console.print(line, soft_wrap=True, markup=False)
    print_notes(console, footnotes(outcome))
