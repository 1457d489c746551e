"""The page of a sweep with outer folds: what they say together, and the leaderboard of each."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from contrasweep.services.pages.drawing import address_of
from contrasweep.services.pages.tables import Line, Table
from contrasweep.services.pages.templates import pages
from contrasweep.services.records.answers import Sweep
from contrasweep.services.records.drivers import Driver, read_drivers
from contrasweep.services.records.final_report import PooledReport, is_report, read_report
from contrasweep.services.records.folder import SweepFolder, SweepState
from contrasweep.services.screen.tables import OUTER_DOUBT, outer_table
from contrasweep.services.screen.words import runs_words, simple_models, verdict
from contrasweep.services.settings import Settings
from contrasweep.services.spec.spec import SweepSpec
from contrasweep.services.sweep_page.content import Content, read_content
from contrasweep.services.sweep_page.tables import figures_table, leaderboard_table, runs_table, title_of
from contrasweep.services.text import interval, moment, number, parameter, spread
from contrasweep.trainers.objectives import Objective

_TEMPLATE = "nested.html"


@dataclass(frozen=True)
class Nested:
    """A sweep with outer folds as it stands; `searches` are those that have begun, `picture` a PNG of all predictions.

    `reason` is without the machine's own folders.
    """

    sweep: Sweep
    spec: SweepSpec
    reason: str
    searches: Sequence[Content]
    drivers: Sequence[Driver]
    final: PooledReport | None
    picture: bytes


def read_nested(settings: Settings, folder: SweepFolder, state: SweepState | None = None) -> Nested:
    """Read what the sweep of `folder` has left; `state`, if given, is how it stands."""
    searches = [read_content(settings, part) for part in folder.searches]
    report = read_report(folder.final) if is_report(folder.final) else None
    final = report if isinstance(report, PooledReport) else None
    picture = folder.path / "figures/predicted-against-true.png"
    stands = (state or folder.read_state()).told()
    told = {"searches": tuple(one.state.told() for one in searches), "final": final.told() if final else None}
    return Nested(
        sweep=stands.model_copy(update=told),
        spec=folder.load().spec,
        reason=searches[0].told(stands.reason),
        searches=searches,
        drivers=read_drivers(folder),
        final=final,
        picture=picture.read_bytes() if picture.exists() else b"",
    )


def render_nested(nested: Nested) -> str:
    """The page of what was read."""
    final = nested.final
    return (
        pages()
        .get_template(_TEMPLATE)
        .render(
            nested=nested,
            final=final,
            now=moment(time.time()),
            outer=outer_table(nested.sweep),
            pooled=figures_table("Everyone, pooled", final) if final else None,
            alone=runs_table(final) if final else None,
            between=_between_table(final) if final else None,
            winners=_winners_table(final, nested.spec.plan.objective) if final else None,
            runs_words=runs_words(final) if final else "",
            verdict=verdict(final.against, nested.spec.data.unit_or_label) if final and final.against else "",
            simple=simple_models(final) if final else [],
            doubt=OUTER_DOUBT if final and not all(fold.fresh for fold in final.outer) else "",
            predicted=address_of(nested.picture) if nested.picture else "",
            leaderboards={one.sweep_id: leaderboard_table(one) for one in nested.searches},
        )
    )


def nested_summary(nested: Nested) -> str:
    """The sweep in a few lines of Markdown."""
    sweep, final = nested.sweep, nested.final
    lines = [f"**{sweep.state}** · {len(nested.searches)} of {sweep.outer} outer folds begun"]
    if final:
        lines += [
            f"**Test MAE {interval(final.metrics['mae'])}** over {final.sample}, each by the search that never saw it; "
            + ", ".join(f"{one.title} {number(one.mae.value)}" for one in simple_models(final))
        ]
        lines += [verdict(final.against, nested.spec.data.unit_or_label)] if final.against else []
        lines += [f"{fold.id}: {fold.method}, test MAE {number(fold.metrics['mae'])}" for fold in final.outer]
    return "\n".join(f"{line}  " for line in lines)


def _between_table(final: PooledReport) -> Table:
    lines = [Line((title_of(name), spread(told.mean, told.sd))) for name, told in final.between.items()]
    titles = ("figure", "mean ± sd over outer folds")
    return Table("Between outer folds", titles, tuple(lines), figures=frozenset({1}))


def _winners_table(final: PooledReport, objective: Objective) -> Table:
    lines = [
        Line(
            (
                fold.id,
                str(fold.trial),
                fold.method,
                number(fold.objective),
                number(fold.metrics["mae"]),
                str(fold.looks),
                " · ".join(f"{name} {parameter(value)}" for name, value in fold.params.items()),
            )
        )
        for fold in final.outer
    ]
    titles = ("outer fold", "trial", "method", objective.heading, "test MAE", "read", "parameters")
    return Table("Who won in each outer fold", titles, tuple(lines), figures=frozenset({1, 3, 4, 5}))
