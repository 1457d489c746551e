"""How far a sweep goes, and further: more trials, seeds and finalists of the same sweep."""

import re
from dataclasses import replace

from services.spec.spec import LoadedSpec, Seed
from trainers.config import Frozen
from trainers.errors import UserError
from trainers.parameters import Count


class More(Frozen):
    """What a sweep is extended to; what is null stays. `all`: every complete configuration runs the new seeds."""

    trials: Count | None = None
    seeds: tuple[Seed, ...] | None = None
    finalists: Count | None = None
    all: bool = False


def extended(loaded: LoadedSpec, more: More) -> LoadedSpec:
    """The spec of a sweep that goes as far as `more` says.

    Raises UserError where nothing is said, or less than the sweep has already, or finalists without racing.
    """
    search = loaded.spec.search
    if more == More():
        raise UserError(f"extend {loaded.sweep_id}: --trials, --seeds, --finalists or --all says to what")
    if more.finalists is not None and search.racing is None:
        raise UserError(f"--finalists: sweep {loaded.sweep_id} has no racing, every configuration runs all its seeds")
    for option, wanted, now in (
        ("--trials", more.trials, search.trials),
        ("--finalists", more.finalists, search.racing.finalists if search.racing else 0),
    ):
        if wanted is not None and wanted < now:
            raise UserError(f"{option}: {wanted} is not allowed: sweep {loaded.sweep_id} has {now} already")
    changes = {
        "trials": more.trials or search.trials,
        "seeds": search.seeds + tuple(seed for seed in more.seeds or () if seed not in search.seeds),
        "new_seeds": "all" if more.all else "finalists",
    }
    if search.racing and more.finalists:
        changes["racing"] = search.racing.model_copy(update={"finalists": more.finalists})
    return replace(loaded, spec=loaded.spec.searching(**changes))


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
