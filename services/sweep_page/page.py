"""The page's text, from its template, its tables and its figures."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from contrasweep.services.pages.drawing import address_of, inline
from contrasweep.services.pages.sample import (
    doubts_of,
    gap_table,
    group_tables,
    person_table,
    retest_table,
    told_table,
)
from contrasweep.services.pages.templates import pages
from contrasweep.services.records.final_report import FinalReport
from contrasweep.services.records.folder import FINISHED, RUNNING, SweepFolder, SweepState
from contrasweep.services.records.leaderboard import competes, fronts, told
from contrasweep.services.records.trial_record import FAILED
from contrasweep.services.screen.tables import doubts, seeds_of
from contrasweep.services.screen.words import compared, optimism, runs_words, simple_models, verdict
from contrasweep.services.settings import Settings
from contrasweep.services.sweep_page import figures, tables
from contrasweep.services.sweep_page.content import Content, read_content
from contrasweep.services.sweep_page.coordinates import parallel_coordinates
from contrasweep.services.sweep_page.cost import saved, spent
from contrasweep.services.sweep_page.importance import FEWEST, importances
from contrasweep.services.sweep_page.nested import nested_summary, read_nested, render_nested
from contrasweep.services.sweep_page.parameters import by_method, searched
from contrasweep.services.sweep_page.summary import summary
from contrasweep.services.text import capitalised, count, moment, number, read_times
from contrasweep.trainers.atomic import write_atomically
from contrasweep.trainers.history import COMPLETE, PRUNED
from contrasweep.trainers.objectives import OBJECTIVES

_TEMPLATE = "sweep.html"
MOST_MAPS = 6


def write(settings: Settings, folder: SweepFolder, state: SweepState | None = None) -> tuple[Path, str]:
    """Write the page of a sweep into the folder of reports, named by its id; its path, and a summary in Markdown.

    `state`, if given, is how the sweep stands.
    """
    path = settings.reports / f"{folder.sweep_id}.html"
    if folder.searches:
        nested = read_nested(settings, folder, state)
        text, words = render_nested(nested), nested_summary(nested)
    else:
        content = read_content(settings, folder, state)
        text, words = render_page(content), summary(content)
    write_atomically(path, text.encode())
    return path, words


def render(settings: Settings, folder: SweepFolder) -> str:
    """The page of a sweep as it stands now."""
    if folder.searches:
        return render_nested(read_nested(settings, folder))
    return render_page(read_content(settings, folder))


def render_page(content: Content) -> str:
    """The page of what was read."""
    return (
        pages()
        .get_template(_TEMPLATE)
        .render(
            content=content,
            now=moment(time.time()),
            counts=_counts(content),
            spent=spent(content),
            saved=saved(content),
            seeds_of=seeds_of,
            optimism=_optimism(content),
            **_tables(content),
            **_figures(content),
            **_final(content),
        )
    )


def _optimism(content: Content) -> str:
    """Why the best validation figure is too good, if it is."""
    fresh = content.best is not None and content.best.is_fresh
    return optimism(fresh=fresh, configurations=sum(map(competes, content.records)))


def _counts(content: Content) -> dict[str, int]:
    states = [record.state for record in content.records]
    return {state: states.count(state) for state in (COMPLETE, PRUNED, FAILED, RUNNING)}


def _tables(content: Content) -> dict[str, Any]:
    return {
        "leaderboard": tables.leaderboard_table(content),
        "doubts": doubts(told(content.records)),
        "methods": tables.methods_table(content),
        "pruned": tables.pruned_table(content),
        "failures": tables.failures_table(content),
        "drivers": tables.drivers_table(content),
    }


def _figures(content: Content) -> dict[str, Any]:
    whole = [record for record in content.records if record.values]
    begun = [record for record in content.records if figures.curves_of(record)]
    found = importances(content)
    shares = [one for one in found if one.shares]
    return {
        "seed_spread": inline(figures.seed_spread(content), _spread_words(content)) if whole else "",
        "pareto": inline(figures.pareto(content), _pareto_words(content)) if content.several and whole else "",
        "curves": inline(figures.learning_curves(content), _curves_words(content)) if begun else "",
        "coordinates": _coordinates(content) if begun else {},
        "importances": found,
        "importance_bars": inline(figures.importance_bars(shares, content.objective), "Bars: each parameter's share")
        if shares
        else "",
        "fewest": FEWEST,
    }


def _coordinates(content: Content) -> dict[str, Markup]:
    drawn: dict[str, Markup] = {}
    for method, records in by_method(content).items():
        if parameters := searched(method, records, content.distributions):
            names = ", ".join(parameter.name for parameter in parameters)
            words = f"Parallel coordinates of {count(len(records), 'configuration')} of {method}: {names}"
            drawn[method] = inline(parallel_coordinates(content, records, parameters), words)
    return drawn


def _final(content: Content) -> dict[str, Any]:
    final, pictures = content.final, {name: address_of(picture) for name, picture in content.pictures.items()}
    unit = content.spec.data.unit_or_label
    maps = [run for run in final.seed_mae if f"{run.slug}-embedding" in pictures] if final else []
    return {
        "final": final,
        "final_table": tables.figures_table("On the test split", final) if final else None,
        "alone": tables.runs_table(final) if final else None,
        "external": _external(content, pictures),
        "out_of_fold": _out_of_fold(final, pictures) if final and final.out_of_fold else None,
        "winner": tables.winner_table(final) if final else None,
        "beside": tables.beside_table(final.ensemble, final.trial) if final and final.ensemble else None,
        "beside_words": compared(f"trial {final.trial} alone", final.ensemble.test.difference, unit)
        if final and final.ensemble
        else "",
        "chosen_by": OBJECTIVES[final.ensemble.by].heading if final and final.ensemble else "",
        "ensemble_seeds": tables.seeds_table(final.ensemble) if final and final.ensemble else None,
        "runs_words": runs_words(final) if final else "",
        "people_tables": _people(content),
        "final_doubts": _doubts(content),
        "verdict": verdict(final.against, unit) if final and final.against else "",
        "simple": simple_models(final) if final else [],
        "tested": tables.table_on_test(content) if content.tested else None,
        "predicted": pictures.get("predicted-against-true", "") if final else "",
        "saliency": pictures.get("saliency", "") if final else "",
        "maps": {run.words: pictures[f"{run.slug}-embedding"] for run in maps[:MOST_MAPS]},
        "more_maps": len(maps[MOST_MAPS:]),
        "finished": content.state.state == FINISHED,
    }


def _doubts(content: Content) -> list[str]:
    """What to doubt of the figures on the test split, the gravest first."""
    final, details = content.final, content.details
    found = doubts_of(details, content.spec.data.label) if details else []
    if final and final.looks > 1:
        found = [f"the test split was {read_times(final.looks)}: the more often, the less unseen it is", *found]
    return found


def _people(content: Content) -> dict[str, Any] | None:
    """For whom and how sure the figures on the test split are, in tables."""
    details, label = content.details, content.spec.data.label
    if details is None:
        return None
    return {
        "figures": person_table(details, "test split", content.spec.data.in_unit),
        "gaps": gap_table(details, label),
        "groups": group_tables(details, label),
        "told": told_table(details),
        "retest": retest_table(details),
    }


def _out_of_fold(final: FinalReport, pictures: Mapping[str, str]) -> dict[str, Any]:
    assert final.out_of_fold
    return {
        "sample": final.out_of_fold.sample,
        "picture": pictures.get("out-of-fold", ""),
        "figures": tables.figures_table("Out of fold", final.out_of_fold),
        "alone": tables.runs_table(final.out_of_fold),
    }


def _external(content: Content, pictures: Mapping[str, str]) -> list[dict[str, Any]]:
    """Of each external cohort: its name, label and sample, what it is drawn as, and its figures."""
    cohorts, labels = content.final.external if content.final else {}, content.spec.data.cohorts
    return [
        {
            "name": name,
            "label": labels[name].label,
            "sample": cohort.sample,
            "mae": cohort.metrics["mae"],
            "picture": pictures.get(f"external-{name}", ""),
            "figures": tables.figures_table(f"On {name}", cohort),
            "alone": tables.runs_table(cohort),
        }
        for name, cohort in cohorts.items()
    ]


def _spread_words(content: Content) -> str:
    shown = [record for record in content.records if record.values][: figures.MOST_ROWS]
    means = ", ".join(f"trial {record.number} {number(record.score)}" for record in shown)
    return f"{_capital(content)} of each run of the best configurations; means: {means}"


def _curves_words(content: Content) -> str:
    names = [f"trial {record.number}" for record in content.records if figures.curves_of(record)][: figures.MOST_CURVES]
    return f"{_capital(content)} by epoch of {', '.join(names)}, for each run and in the mean, above all others in grey"


def _pareto_words(content: Content) -> str:
    on = [str(number) for number, front in fronts(content.records).items() if front == 1]
    return f"Objectives of complete configurations against each other; on the Pareto front: trials {', '.join(on)}"


def _capital(content: Content) -> str:
    return capitalised(content.objective.heading)
