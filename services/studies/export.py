"""A study's tables for a paper, as Markdown, LaTeX with booktabs, and CSV with all digits; figures as SVG and PDF."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from contrasweep.services.pages.tables import Table
from contrasweep.services.records.files import write_asked
from contrasweep.services.studies.outcome import Outcome
from contrasweep.services.studies.tables import footnotes, further_tables, outcome_table, verdict_line
from contrasweep.services.text import slug
from contrasweep.trainers.objectives import DEFAULT as MAE

_SPECIAL = {
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "–": "--",
    "±": r"$\pm$",
    "²": r"$^2$",
}
FORMATS = ("svg", "pdf")
_COLUMNS = (
    *("study", "row", "method", "state", "metric", "value", "low", "high", "sd", "seeds", "n"),
    *("published", "published_sd", "published_dataset", "published_n"),
)


def write_exports(folder: Path, outcome: Outcome, figures: Mapping[str, Figure]) -> list[Path]:
    """Write all into `folder`, each file whole or not at all; their paths."""
    table, further = outcome_table(outcome), further_tables(outcome)
    notes = [verdict_line(outcome), *footnotes(outcome)]
    written = {
        f"{outcome.name}.md": markdown(table, outcome.title, notes, further),
        f"{outcome.name}.tex": "\n".join(
            latex(one, outcome.title, notes if one is table else [], f"{outcome.name}{'-' * bool(place)}{place or ''}")
            for place, one in enumerate((table, *further))
        ),
        f"{outcome.name}.csv": as_csv(outcome),
        f"{outcome.name}.json": outcome.to_json(),
    }
    for name, text in written.items():
        write_asked(folder / name, text.encode())
    drawn = list(write_figures(folder, {f"{outcome.name}-{name}": figure for name, figure in figures.items()}))
    return [*(folder / name for name in written), *drawn]


def write_figures(folder: Path, figures: Mapping[str, Figure]) -> Iterator[Path]:
    """Write figures by their names; their paths."""
    for name, figure in figures.items():
        for form in FORMATS:
            file = io.BytesIO()
            metadata = {"Date": None} if form == "svg" else {"CreationDate": None}
            figure.savefig(file, format=form, metadata=metadata)
            path = folder / f"{slug(name)}.{form}"
            write_asked(path, file.getvalue())
            yield path


def markdown(table: Table, title: str, notes: Sequence[str], further: Sequence[Table] = ()) -> str:
    """The table with its title above, and its caption, further tables and notes below."""
    more = [line for one in further for line in ("", *grid(one), "", f"{one.caption}.")]
    below = [f"{table.caption}.", *more, "", *(f"- {note}" for note in notes)]
    return "\n".join([f"**{title}**", "", *grid(table), "", *below]) + "\n"


def grid(table: Table) -> list[str]:
    """The lines of a table in Markdown."""
    rule = ["---:" if place in table.figures else "---" for place in range(len(table.titles))]
    lines = [table.titles, rule, *(line.cells for line in table.lines)]
    return ["| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines]


def latex(table: Table, title: str, notes: Sequence[str], label: str) -> str:
    """A table environment that needs booktabs and threeparttable."""
    columns = "".join("r" if place in table.figures else "l" for place in range(len(table.titles)))
    rows = [" & ".join(map(escaped, line)) + r" \\" for line in (table.titles, *(one.cells for one in table.lines))]
    items = [rf"\item {escaped(note)}" for note in (f"{table.caption}.", *notes)]
    return "\n".join(
        [
            r"% \usepackage{booktabs,threeparttable}",
            r"\begin{table}",
            r"\centering",
            r"\begin{threeparttable}",
            rf"\caption{{{escaped(title)}}}",
            rf"\label{{tab:{label}}}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            rows[0],
            r"\midrule",
            *rows[1:],
            r"\bottomrule",
            r"\end{tabular}",
            r"\begin{tablenotes}",
            *items,
            r"\end{tablenotes}",
            r"\end{threeparttable}",
            r"\end{table}",
            "",
        ]
    )


def as_csv(outcome: Outcome) -> str:
    """A line for each row and metric, and each baseline, with all digits."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for row in outcome.rows:
        for metric in outcome.metrics:
            ours, theirs = row.ours.get(metric), row.published.get(metric)
            n = outcome.parts.get(metric.partition(".")[0], outcome.n)
            own = [ours.value.value, ours.value.low, ours.value.high, ours.sd] if ours else [None] * 4
            said = [theirs.value, theirs.sd, theirs.dataset, theirs.n] if theirs else [None] * 4
            writer.writerow([outcome.name, row.name, row.method, row.state, metric, *own, row.seeds, n, *said])
    for name, mae in outcome.baselines.items():
        figures = [mae.value, mae.low, mae.high, None]
        writer.writerow([outcome.name, name, "", "baseline", MAE, *figures, None, outcome.n, *[None] * 4])
    return file.getvalue()


def escaped(text: str) -> str:
    """Text as LaTeX shows it.

    >>> escaped("95 % of a_b")
    '95 \\\\% of a\\\\_b'
    """
    return "".join(_SPECIAL.get(sign, sign) for sign in text)
