"""`docs/reproduction.md` out of a folder of studies' outcomes."""

from collections.abc import Collection, Sequence
from pathlib import Path

from pydantic import ValidationError

from contrasweep.services.complaints import complaint
from contrasweep.services.studies.export import grid, markdown
from contrasweep.services.studies.outcome import Outcome
from contrasweep.services.studies.study import names
from contrasweep.services.studies.tables import footnotes, further_tables, outcome_table, summary_table, verdict_line
from contrasweep.services.text import count, duration
from contrasweep.trainers.errors import UserError
from contrasweep.trainers.order_told import AGREES, DISAGREES

PAGE = "reproduction.md"


def read_outcomes(folder: Path) -> list[Outcome]:
    """The outcomes in a folder's JSON files, in the order of their names. Raises UserError where there are none, and on
    a file that is none.
    """
    outcomes = []
    for path in sorted(folder.glob("*.json")):
        try:
            outcomes.append(Outcome.model_validate_json(path.read_bytes()))
        except ValidationError as error:
            raise UserError(f"{path}: {complaint(error, Outcome)}") from error
    if not outcomes:
        raise UserError(
            f"{folder} has no outcome of a study; `contrasweep study report NAME --export {folder}` makes one"
        )
    return outcomes


def reproduction(outcomes: Sequence[Outcome]) -> str:
    """The document: all verdicts in one table, then each study."""
    lines = [
        "# Reproduction",
        "",
        "Made by `contrasweep study report --from FOLDER --export docs`; do not edit. Intervals are of 95 %, by a",
        "bootstrap over test subjects, those of Kendall's tau over subjects and seeds.",
        "",
        *_verdicts(outcomes),
        "",
        *grid(summary_table([*outcomes])),
        "",
        *_missing({outcome.study for outcome in outcomes if not outcome.quick}),
    ]
    for outcome in outcomes:
        lines += [f"## {outcome.name}", "", _study(outcome), _provenance(outcome), ""]
    return "\n".join(lines)


def _verdicts(outcomes: Sequence[Outcome]) -> list[str]:
    """How many studies agree and which, and whose order is the other way round, if within chance."""
    orders = {outcome.name: outcome.order for outcome in outcomes if outcome.order}
    agree, disagree = ([name for name, one in orders.items() if one.verdict == said] for said in (AGREES, DISAGREES))
    open_ = {name: one for name, one in orders.items() if name not in (*agree, *disagree)}
    against = [name for name, one in open_.items() if one.tau.value < 0]
    return [
        f"Of the studies {len(orders)} have an order to compare:",
        "",
        f"- {len(agree)} agree: {', '.join(agree) or 'none'};",
        f"- {len(disagree)} disagree: {', '.join(disagree) or 'none'};",
        f"- of {len(open_)} it cannot be told; among these our order is rather the other way round (tau below 0) in "
        f"{', '.join(against) or 'none'}.",
    ]


def _missing(told: Collection[str]) -> list[str]:
    """Which studies are not among those that are told."""
    missing = [name for name in names() if name not in told]
    return [f"Not run yet: {', '.join(missing)}.", ""] if missing else []


def _study(outcome: Outcome) -> str:
    notes = [verdict_line(outcome), *outcome.words, *footnotes(outcome)]
    return markdown(outcome_table(outcome), outcome.title, notes, further_tables(outcome))


def _provenance(outcome: Outcome) -> str:
    took = f"{count(len(outcome.rows), 'row')} in {duration(outcome.seconds / 3600)}"
    return f"Sweep `{outcome.sweep}`, code `{outcome.code}`, {outcome.machine}: {took}."
