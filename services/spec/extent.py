"""How far a sweep goes, and further: more trials, seeds, finalists and spaces of the same sweep."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import ceil
from typing import Any

from pydantic import ValidationError

from contrasweep.services.complaints import complaint
from contrasweep.services.spec.spec import (
    FIRST_FRESH,
    FRESH_ARE_KEPT,
    BudgetConfig,
    LoadedSpec,
    SearchConfig,
    Seed,
)
from contrasweep.trainers.config import Frozen
from contrasweep.trainers.errors import UserError, nearest
from contrasweep.trainers.parameters import Count, Positive
from contrasweep.trainers.registry import declared


class More(Frozen):
    """What a sweep is extended to; what is null stays.

    `all`: every complete configuration runs the new seeds. `add_spaces`: methods that join `search.spaces`; without
    `trials` these then grow by their share. `hours`: the budget, in all, of a sweep that its budget ended.
    """

    trials: Count | None = None
    seeds: tuple[Seed, ...] | None = None
    finalists: Count | None = None
    all: bool = False
    add_spaces: tuple[str, ...] = ()
    hours: Positive | None = None


def more_of(given: Mapping[str, Any]) -> More:
    """What somebody asks for. Raises UserError, in one line, on a value that is not allowed."""
    try:
        return More.model_validate(given)
    except ValidationError as error:
        raise UserError(f"extend: {complaint(error, More)}") from error


def extended(loaded: LoadedSpec, more: More) -> LoadedSpec:
    """The spec of a sweep that goes as far as `more` says.

    Raises UserError where nothing is said, or less than the sweep has already, finalists without racing, hours without
    a budget, a seed that is kept for finalists, or a space that is none.
    """
    search = loaded.spec.search
    if more == More():
        options = "--trials, --seeds, --finalists, --add-space, --hours or --all"
        raise UserError(f"extend {loaded.sweep_id}: {options} says to what")
    if more.finalists is not None and search.racing is None:
        raise UserError(f"--finalists: sweep {loaded.sweep_id} has no racing, every configuration runs all its seeds")
    if more.hours is not None and loaded.spec.budget.hours is None:
        raise UserError(f"--hours: sweep {loaded.sweep_id} has no budget that could end it")
    spaces, finalists = _added(search, more.add_spaces), search.racing.finalists if search.racing else 0
    for option, wanted, least, now in (
        ("--trials", more.trials, search.trials + bool(spaces), search.trials),
        ("--finalists", more.finalists, finalists, finalists),
        ("--hours", more.hours, loaded.spec.budget.hours or 0, loaded.spec.budget.hours or 0),
    ):
        if wanted is not None and wanted < least:
            raise UserError(f"{option}: {wanted:g} is not allowed: sweep {loaded.sweep_id} has {now:g} already")
    for seed in more.seeds or ():
        if search.judges_fresh and seed >= FIRST_FRESH:
            raise UserError(f"--seeds: {seed} is not allowed: {FRESH_ARE_KEPT}")
    changes = {
        "trials": more.trials or search.trials + ceil(search.trials * len(spaces) / len(search.spaces)),
        "seeds": search.seeds + tuple(seed for seed in more.seeds or () if seed not in search.seeds),
        "new_seeds": "all" if more.all else "finalists",
        "spaces": search.spaces + spaces,
    }
    if search.racing and more.finalists:
        changes["racing"] = search.racing.model_copy(update={"finalists": more.finalists})
    spec = loaded.spec.searching(**changes)
    budget = BudgetConfig(hours=more.hours) if more.hours else spec.budget
    return replace(loaded, spec=spec.model_copy(update={"budget": budget}))


def _added(search: SearchConfig, spaces: Sequence[str]) -> tuple[str, ...]:
    """Those of `spaces` that a search has not got. Raises UserError on one that is no method."""
    known = declared("contrasweep.trainers.losses")
    for space in spaces:
        if space not in known:
            raise UserError(f"--add-space: unknown method '{space[:40]}'; {nearest(space[:40], known)}")
    return tuple(space for space in dict.fromkeys(spaces) if space not in search.spaces)


def seeds_in(text: str) -> tuple[int, ...]:
    """The seeds that `0..4` or `0,1,7` names. Raises UserError on anything else.

    >>> seeds_in("0..2,7")
    (0, 1, 2, 7)
    """
    seeds: list[int] = []
    for part in text.split(","):
        ends = re.fullmatch(r"\s*(\d{1,10})(?:\.\.(\d{1,10}))?\s*", part)
        first, last = (int(ends[1]), int(ends[2] or ends[1])) if ends else (1, 0)
        if not first <= last < min(2**32, first + 10_000):
            raise UserError(f"--seeds: '{text}' is not allowed: such as 0..4 or 0,1,7")
        seeds += [seed for seed in range(first, last + 1) if seed not in seeds]
    return tuple(seeds)
