"""The sweep in a few lines of Markdown, for the description of its run in MLflow."""

import re

from contrasweep.services.records.leaderboard import competes
from contrasweep.services.screen.tables import seeds_of
from contrasweep.services.screen.words import ensemble_words, optimism, runs_words, simple_models, verdict
from contrasweep.services.sweep_page.content import Content
from contrasweep.services.sweep_page.cost import saved
from contrasweep.services.sweep_page.tables import leaderboard_table, runs_of
from contrasweep.services.text import count, duration, interval, number, read_times

SHOWN = 5


def summary(content: Content) -> str:
    """The headline, and the first few of the leaderboard."""
    return "\n".join([*_headline(content), "", *_leaderboard(content)])


def _headline(content: Content) -> list[str]:
    label, final, best = _literal(content.spec.data.unit_or_label), content.final, content.best
    lines = [f"**{content.state.state}** · {count(len(content.records), 'configuration')} begun"]
    if cut := saved(content).runs:
        lines[0] += f" · {count(cut, 'seed run')} saved by racing, about {duration(saved(content).hours)}"
    if final:
        mae = final.metrics["mae"]
        lines += [
            f"**Test MAE {interval(mae)}** {label} over {final.sample}, {runs_words(final)}; "
            f"test split {read_times(final.looks)}",
            ", ".join(f"{one.title} {number(one.mae.value)}" for one in simple_models(final)),
        ]
    if final and final.against:
        lines += [verdict(final.against, label)]
    if final and final.ensemble:
        lines += ensemble_words(final.ensemble, final.trial, label)
    if final and final.out_of_fold:
        lines += [f"Out-of-fold MAE {interval(final.out_of_fold.metrics['mae'])} over {final.out_of_fold.sample}"]
    for name, cohort in final.external.items() if final else ():
        lines += [f"{_literal(name)} MAE {interval(cohort.metrics['mae'])} over {cohort.sample}"]
    if best:
        objective, fresh = content.objective, f", over {seeds_of(best.values, True)}" if best.is_fresh else ""
        if doubt := optimism(fresh=best.is_fresh, configurations=sum(map(competes, content.records))):
            fresh = f", {doubt}"
        unit = f" {label}" if objective.power == 1 else ""
        lines += [f"Best {objective.heading} {number(best.score)}{unit}: trial {best.number}{fresh}"]
    lines += ["Everything else is in the artifact `report.html`."]
    return [f"{line}  " for line in lines]


def _leaderboard(content: Content) -> list[str]:
    table, titles = (
        leaderboard_table(content),
        ["trial", "method", content.objective.heading, runs_of(content), "state"],
    )
    columns = [table.titles.index(title) for title in titles]
    rows = [[_literal(line.cells[column]) for column in columns] for line in table.lines[:SHOWN]]
    written = (f"| {' | '.join(cells)} |" for cells in (titles, ["---"] * len(titles), *rows))
    return list(written) if rows else []


def _literal(text: str) -> str:
    """`text` with what Markdown would take for its own escaped."""
    return re.sub(r"([\\`*_\[\]<>|#~])", r"\\\1", " ".join(text.split()))
