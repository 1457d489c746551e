"""One run of a configuration among its replicates: a seed, and the fold that it is validated on."""

import re
from typing import Annotated, Final, Literal, NamedTuple, TypeAlias

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

REFIT: Final = "refit"
Fold: TypeAlias = int | Literal["refit"] | None
"""What a run is validated on: a fold, counted from 0; REFIT for nobody, once all is chosen; None without folds."""


class Replicate(NamedTuple):
    """What tells a configuration's runs apart: the seed and, where the split has folds, the fold.

    In an ensemble, whose runs are of several configurations, `trial` is the number of each one's.

    >>> str(Replicate(2)), str(Replicate(2, fold=0)), str(Replicate(2, REFIT)), str(Replicate(2, trial=7))
    ('2', 'fold 0 seed 2', 'refit seed 2', 'trial 7 seed 2')
    """

    seed: int
    fold: Fold = None
    trial: int | None = None

    @property
    def words(self) -> str:
        """`seed 2`, `fold 0 seed 2` or `refit seed 2`, after `trial 7` where that is told."""
        trial = "" if self.trial is None else f"trial {self.trial} "
        fold = "" if self.fold is None else "refit " if self.fold == REFIT else f"fold {self.fold} "
        return f"{trial}{fold}seed {self.seed}"

    @property
    def slug(self) -> str:
        """The words with hyphens: in names of files."""
        return self.words.replace(" ", "-")

    @property
    def own(self) -> "Replicate":
        """As it is told apart inside its configuration."""
        return self._replace(trial=None)

    def __str__(self) -> str:
        return self.words.removeprefix("seed ")


def replicate_named(text: str) -> Replicate:
    """The replicate that `str`, `words` or `slug` gave. Raises ValueError on anything else.

    >>> replicate_named("2"), replicate_named("fold-0-seed-2")
    (Replicate(seed=2, fold=None), Replicate(seed=2, fold=0))
    """
    found = re.fullmatch(r"(?:trial[ -](\d+)[ -])?(?:(refit)[ -]|fold[ -](\d+)[ -])?(?:seed[ -])?(\d+)", text)
    if not found:
        raise ValueError(f"'{text}' names no run")
    trial, fold, seed = (None if digits is None else int(digits) for digits in found.group(1, 3, 4))
    assert seed is not None
    return Replicate(seed, REFIT if found[2] else fold, trial)


def _replicate(value: object) -> object:
    return Replicate(value) if isinstance(value, int) else replicate_named(value) if isinstance(value, str) else value


Run = Annotated[
    Replicate,
    BeforeValidator(_replicate),
    PlainSerializer(str, when_used="json"),
    WithJsonSchema({"type": "string"}),
]
"""A replicate as a key of JSON's objects: a seed alone where there are no folds."""
