"""Splits by subject, stratified, and written into the store."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from upath import UPath

from trainers.atomic import write_atomically
from trainers.config import Frozen, SplitConfig
from trainers.data.store import VolumeStore, json_digest
from trainers.errors import UserError

_BINS = 10


class Splits(Frozen):
    """Ids of the scans in each split, sorted."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]


class Splittable(Protocol):
    """What a scan must tell to be put into a split."""

    @property
    def id(self) -> str: ...

    @property
    def subject(self) -> str: ...

    @property
    def strata(self) -> Mapping[str, str | float]: ...


def make_splits(scans: Sequence[Splittable], config: SplitConfig) -> Splits:
    """Cut subjects, each with all its scans, into train, validation and test.

    Strata are the values of the `stratify` columns together, of a subject's first scan: tenths by quantile for
    numbers, values for strings. Strata too small to reach every split are merged with their neighbours in sorted order.

    Raises UserError where a split would be empty.
    """
    of_subject: dict[str, list[Splittable]] = {}
    for scan in scans:
        of_subject.setdefault(scan.subject, []).append(scan)
    subjects = list(of_subject.values())
    sizes = split_sizes(len(subjects), config)
    strata = _strata([several[0] for several in subjects], config.stratify or ())
    everyone = list(range(len(subjects)))
    rest, test = _cut(everyone, sizes["test"], strata, config.seed)
    train, validation = _cut(rest, sizes["validation"], strata, config.seed)
    named = {"train": train, "validation": validation, "test": test}
    return Splits(**{name: tuple(sorted(s.id for i in part for s in subjects[i])) for name, part in named.items()})


def store_splits(store: VolumeStore, config: SplitConfig) -> Splits:
    """The splits that the store holds for `config`, made and written on first use."""
    path = store.folder / f"splits-{json_digest(config.model_dump(mode='json'))[:12]}.json"
    if path.is_file():
        return read_splits(path)
    splits = make_splits(store.subjects, config)
    content = {"config": config.model_dump(mode="json"), "splits": splits.model_dump(mode="json")}
    write_atomically(path, json.dumps(content, indent=1).encode())
    return splits


def read_splits(path: UPath) -> Splits:
    """The splits in a store's file. Raises UserError where it holds none."""
    try:
        splits = Splits.model_validate(json.loads(path.read_text())["splits"])
        if len({*splits.train, *splits.validation, *splits.test}) < sum(map(len, splits.model_dump().values())):
            raise ValueError("a scan in two splits")
        return splits
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: is no list of splits; delete it, and contrasweep prepare makes it again") from error


def split_sizes(count: int, config: SplitConfig) -> dict[str, int]:
    """How many of `count` subjects go to train, validation and test. Raises UserError where a split would be empty."""
    sizes = {"test": round(count * config.test), "validation": round(count * config.validation)}
    sizes["train"] = count - sum(sizes.values())
    for name, size in sizes.items():
        if size < 1:
            raise UserError(
                f"data.split: {count} subjects leave the {name} split empty with test {config.test:g} and "
                f"validation {config.validation:g}; at least one subject in each is needed"
            )
    return sizes


def _strata(subjects: Sequence[Splittable], columns: Sequence[str]) -> list[tuple[tuple[int, str], ...]]:
    """One sortable key per subject: for each column its bin, and its value where it is text."""
    keys = [_column_keys([subject.strata[column] for subject in subjects]) for column in columns]
    return list(zip(*keys, strict=True)) if keys else [() for _ in subjects]


def _column_keys(values: list[str | float]) -> list[tuple[int, str]]:
    numbers = [value for value in values if isinstance(value, float)]
    edges = np.unique(np.quantile(numbers, np.linspace(0, 1, _BINS + 1)[1:-1])) if numbers else np.array([])
    return [
        (int(np.searchsorted(edges, value, side="right")), "") if isinstance(value, float) else (-1, value)
        for value in values
    ]


def _cut(
    rows: list[int], held_out: int, strata: list[tuple[tuple[int, str], ...]], seed: int
) -> tuple[list[int], list[int]]:
    """`rows` in two parts, the second of `held_out` rows, with the same share of each stratum in both."""
    from sklearn.model_selection import train_test_split  # a second to import, which readers of a store need not wait

    minimum = -(-len(rows) // min(held_out, len(rows) - held_out))
    merged = _merge([strata[row] for row in rows], minimum)
    kept, out = train_test_split(rows, test_size=held_out, random_state=seed, stratify=merged)
    return sorted(kept), sorted(out)


def _merge(keys: list[tuple[tuple[int, str], ...]], minimum: int) -> list[int]:
    """Strata numbered from 0, neighbours merged until each has `minimum` members (as far as there are any)."""
    sizes = Counter(keys)
    number: dict[tuple[tuple[int, str], ...], int] = {}
    current, filled = 0, 0
    left = len(keys)
    for key in sorted(sizes):
        number[key] = current
        filled += sizes[key]
        left -= sizes[key]
        if filled >= minimum and left >= minimum:
            current, filled = current + 1, 0
    return [number[key] for key in keys]
