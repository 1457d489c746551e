"""A first spec as text: what was decided, the reason behind each line."""

import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from contrasweep.services.spec import decide
from contrasweep.services.spec.decide import Choice, Line, Search
from contrasweep.services.spec.look import Found, Shape
from contrasweep.services.spec.yaml import load_mapping
from contrasweep.services.text import count, duration
from contrasweep.trainers.config import DataConfig, ModelConfig
from contrasweep.trainers.data.participants import Rejected

COMMENTS = 44
"""The column in which they begin."""
MOST_REJECTED, UNTOLD = 0.5, 0.05
"""Shares of scans: above the first something is wrong with the options, up to the second `max_rejected` allows."""

SPEC = """\
# {title}: what to run. Where it runs is settings (CONTRASWEEP_*), so this file means the same everywhere.
# Seen when it was written: {seen}.
# For {machine}.
{about}name: {name}
data:
{source}
{data}
{model}
training:
{training}
search:
{search}
{final}
{budget}
"""


@dataclass(frozen=True)
class Split:
    """A split's fields before and behind those of the validation, and whether it has a validation split already."""

    before: tuple[str, ...]
    behind: tuple[str, ...]
    validates: bool = False

    def line(self, folds: int, people: int) -> Line:
        """With so many folds, where there are any."""
        own = (f"folds: {folds}",) if folds else () if self.validates or not self.behind else ("validation: 0.2",)
        why = f"one part of {people:,} people to validate on would say little" if folds else ""
        return Line(f"split: {{{', '.join((*self.before, *own, *self.behind))}}}", why)


@dataclass(frozen=True)
class Draft:
    """What a recipe or the data decide, as text: comments `about` it, lines of `data`, the model's, lines of
    `training`; and the shape (C, *S) of prepared images.
    """

    about: str
    data: str
    model: str
    training: str
    shape: Shape

    @cached_property
    def network(self) -> ModelConfig:
        """The model that its line says."""
        return ModelConfig.model_validate(load_mapping(self.model, "")["model"])

    @cached_property
    def views(self) -> int:
        """Of each image."""
        return int(load_mapping(self.training, "")["views"])


@dataclass(frozen=True, eq=False)
class Study:
    """All that a first spec says."""

    config: DataConfig
    found: Found
    draft: Draft
    search: Search
    split: Split
    rejected: tuple[Rejected, ...]

    def written(self, path: Path) -> str:
        """The spec that is to be at `path`."""
        return SPEC.format(
            title=path.name,
            seen=self._seen,
            machine=self.found.seen.machine,
            about=self.draft.about,
            name=_slug(path.stem),
            source=_lines(_source(self.config, path.parent), 2),
            data="\n".join(filter(None, (_lines(self._label, 2), self.draft.data, _lines(self._people, 2)))),
            model=self.draft.model,
            training=f"{self.draft.training}\n{_lines(_fields(self._training), 2)}",
            search=_lines(self._search, 2),
            final=written(decide.final(), 0),
            budget=written(Line(f"budget: {{hours: {self.found.seen.hours:g}}}", "--hours; the search ends then"), 0),
        )

    def told(self, recipe: str | None) -> list[str]:
        """For the screen: what was seen, what was decided, and what is in doubt."""
        seen, found, search = self.found.seen, self.found, self.search
        network = self.draft.network
        few = found.unreadable
        return [
            f"seen: {self._seen}",
            f"      {seen.labels.name}: {seen.labels}",
            f"      {seen.machine}",
            f"decided: {network.encoder} x {network.width:g} on {list(self.draft.shape)}, "
            f"{self._training['epochs'].value} epochs in batches of {self._training['batch_size'].value}",
            f"         {search}, {self._cost}",
            f"{len(few)} of {found.looked} scans looked at cannot be read; first: {few[0]}" if few else "",
            self._doubt,
            self._rejected_said,
            self._recipe_said if recipe is None else "",
        ]

    @property
    def _seen(self) -> str:
        seen = self.found.seen
        people = f"{seen.people:,} people"
        scans = f", {seen.scans:,} scans" if seen.scans != seen.people else ""
        several = f"{seen.images} images each, " if seen.images > 1 else ""
        spacing = f" of {' x '.join(f'{edge:.3g}' for edge in seen.spacing_mm)} mm" if seen.spacing_mm else ""
        return f"{people}{scans}, {several}{seen.of.title} {list(seen.shape)}{spacing} ({self.found.looked} looked at)"

    @property
    def _cost(self) -> str:
        return f"about {duration(self.search.hours)} if racing stops nothing"

    @property
    def _doubt(self) -> str:
        """What to do where the least search takes longer than there is."""
        if self.search.fits:
            return ""
        ends = duration(self.found.seen.hours)
        return f"{ends} end it before: give more --hours or a GPU, or make images (data) or model.width smaller"

    @property
    def _rejected_share(self) -> float:
        table = len(self.rejected) / (len(self.rejected) + self.found.seen.scans)
        return table + (1 - table) * len(self.found.unreadable) / self.found.looked

    @property
    def _rejected_said(self) -> str:
        if not self.rejected:
            return ""
        first = self.rejected[0]
        return f"{count(len(self.rejected), 'scan')} left out by the table; first: {first.subject}: {first.reason}"

    @property
    def _recipe_said(self) -> str:
        kind, seen = self.found.seen.of, self.found.seen
        if not kind.recipe or (kind.placed and not seen.placed):
            return ""
        if kind.skull_stripped and not self.found.stripped:
            return f"--recipe {kind.recipe} prepares {kind.title} as published, once skulls are stripped"
        return f"--recipe {kind.recipe} prepares {kind.recipe_for or kind.title} as published"

    @property
    def _label(self) -> list[Line]:
        """The lines of the label and of what tells groups."""
        labels = self.found.seen.labels
        lines = [Line(f"label: {scalar(self.config.label)}", str(labels))]
        if labels.is_age:
            lines.append(Line("# unit: years", "stands behind figures and in the model's card"))
        if labels.censored:
            lines.append(Line("# censored: keep", f"{labels.censored} labels such as 89+ are left out; keep reads 89"))
        group = self.config.group or next(iter(self.found.first.described), None)
        if group is not None:
            sign = "" if self.config.group else "# "
            lines.append(Line(f"{sign}group: {scalar(group)}", "pairs are formed only inside a group"))
        return lines

    @property
    def _people(self) -> list[Line]:
        """The lines of the split, and of how many scans may be missing."""
        share = self._rejected_share
        lines = [self.split.line(self.search.folds, self.found.seen.people)]
        if UNTOLD < share <= MOST_REJECTED:
            lines.append(Line(f"max_rejected: {math.ceil(100 * share + 1) / 100:g}", f"{share:.0%} cannot be used"))
        return lines

    @cached_property
    def _training(self) -> dict[str, Choice]:
        draft, epochs = self.draft, self.search.effort.epochs
        return decide.training(self.found.seen, draft.network, draft.shape, draft.views, epochs)

    @property
    def _search(self) -> list[Line]:
        search, epochs = self.search, self._training["epochs"].value
        low, high = map(_number, decide.LR_RANGE)
        rungs = [max(1, round(share * epochs)) for share in decide.RUNGS]
        parallel = decide.shares(self.found.seen, self.draft.shape)["parallel"]
        finals = f"finalists: {search.effort.finalists}, judged_on: fresh"
        return [
            Line(f"spaces: [{', '.join(search.methods)}]", "methods; contrasweep explain lists them"),
            Line(f"override: {{training.lr: {{low: {low}, high: {high}, log: true}}}}"),
            Line(f"trials: {search.trials}", f"{search.trials // len(search.methods)} of each method: {self._cost}"),
            Line(f"seeds: {list(range(search.seeds))}", "the folds are repeats already" if search.folds else ""),
            *_fields({"parallel": parallel}),
            Line(f"racing: {{rungs: {rungs}, {finals}}}", "stops at these epochs what cannot win"),
        ]


def written(line: Line, indent: int) -> str:
    """A line of YAML with its reason as a comment."""
    text = f"{' ' * indent}{line.text}"
    return f"{text:<{COMMENTS - 2}}  # {line.why}" if line.why else text


def _lines(lines: Sequence[Line], indent: int) -> str:
    return "\n".join(written(line, indent) for line in lines)


def _fields(fields: Mapping[str, Choice]) -> list[Line]:
    return [Line(f"{name}: {_number(choice.value)}", choice.why) for name, choice in fields.items()]


def _number(value: Any) -> str:
    """A value as YAML; small numbers with an exponent.

    >>> _number(1e-3), _number(0.99), _number("cosine")
    ('1.0e-3', '0.99', 'cosine')
    """
    if not isinstance(value, float) or value >= 0.01:
        return f"{value:g}" if isinstance(value, float) else str(value)
    digits, exponent = f"{value:.1e}".split("e")
    return f"{digits}e{int(exponent)}"


def _source(config: DataConfig, folder: Path) -> list[Line]:
    """The lines that say where the scans are."""
    if config.bids is None:
        lines = [Line(f"participants: {scalar(relative(config.listed_in, folder))}", "relative to this file")]
    else:
        lines = [
            Line(f"bids: {scalar(relative(config.bids, folder))}", "relative to this file"),
            Line(f"suffix: {scalar(str(config.suffix))}"),
            Line("# entities: {task: rest}", "where several images of a subject have the suffix"),
        ]
        if config.participants:
            lines.append(Line(f"participants: {scalar(relative(config.participants, folder))}"))
    if config.bids is None or config.id != "participant_id":
        lines.append(Line(f"id: {scalar(config.id)}"))
    if config.session:
        lines.append(Line(f"session: {scalar(config.session)}", "tells a subject's scans apart"))
    if isinstance(config.image, dict):
        lines.append(Line("image:", "relative to the table; channels in this order"))
        lines += [Line(f"  {scalar(name)}: {scalar(one)}") for name, one in config.image.items()]
    elif config.image is not None:
        lines.append(Line(f"image: {scalar(config.image)}", "relative to the table"))
    return lines


def relative(path: str, folder: Path) -> str:
    """A path as it is named from a folder."""
    return Path(os.path.relpath(path, folder)).as_posix()


def scalar(text: str) -> str:
    """`text` as YAML, in quotes where it needs them."""
    plain = re.fullmatch(r"[A-Za-z_./][\w./ -]*\w", text) and load_mapping(f"key: {text}", "")["key"] == text
    return text if plain else json.dumps(text, ensure_ascii=False)


def _slug(stem: str) -> str:
    letters = (letter if letter.isalnum() and letter.isascii() else "-" for letter in stem.lower())
    return "".join(letters).strip("-")[:63] or "study"
