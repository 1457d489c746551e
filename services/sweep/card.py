"""How well a served model does, as Markdown for its card: the test split, external cohorts, for whom, what to doubt."""

from collections.abc import Iterable, Sequence

from contrasweep.services.pages.sample import doubts_of, sample_tables
from contrasweep.services.pages.tables import Table
from contrasweep.services.records.final_report import FinalReport
from contrasweep.services.screen.words import runs_words, simple_models, verdict
from contrasweep.services.text import interval, read_times
from contrasweep.trainers.config import DataConfig
from contrasweep.trainers.served import SampleEvaluation


def how_well(report: FinalReport, details: SampleEvaluation, data: DataConfig) -> str:
    """What the final evaluation of a sweep on `data` found."""
    return "\n\n".join(
        [
            f"**MAE {interval(report.metrics['mae'])} {data.in_unit}** on {report.sample} of the test split, which "
            f"nothing was trained or chosen by, {read_times(report.looks)}; {runs_words(report)}. Intervals are of "
            "95 %, over subjects.",
            *(["It is " + verdict(report.against, data.in_unit) + "."] if report.against else []),
            "\n".join(_others(report)),
            *(["To doubt:\n\n" + _listed(told)] if (told := doubts_of(details, data.label)) else []),
            *map(_markdown, sample_tables(details, data.label, "test split", data.in_unit)),
        ]
    )


def _others(report: FinalReport) -> list[str]:
    """The baselines on the same scans, and the model on other cohorts."""
    simple = [f"- {one.title}: MAE {interval(one.mae)}" for one in simple_models(report)]
    cohorts = [
        f"- cohort {name}, {of.sample}: MAE {interval(of.metrics['mae'])}" for name, of in report.external.items()
    ]
    return ["Simple models reach there, and it on other cohorts:", "", *simple, *cohorts]


def _listed(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _markdown(table: Table) -> str:
    rows: list[Sequence[str]] = [table.titles, ["---"] * len(table.titles), *(line.cells for line in table.lines)]
    return f"{table.caption}:\n\n" + "\n".join(f"| {' | '.join(map(_cell, row))} |" for row in rows)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
