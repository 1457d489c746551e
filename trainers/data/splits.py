"""Splits by subject, stratified or as others published them, and written into the store."""

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from pydantic import Field
from upath import UPath

from contrasweep.trainers.atomic import write_atomically
from contrasweep.trainers.config import (
    FILES,
    AnySplit,
    FoldsBy,
    Frozen,
    SplitByFiles,
    SplitByValues,
    SplitConfig,
    SplitRules,
    SplitValue,
)
from contrasweep.trainers.data.store import VolumeStore, json_digest
from contrasweep.trainers.data.table import number
from contrasweep.trainers.errors import UserError, nearest

_BINS, _SHOWN = 10, 12
_ADDED = ("family", "folds", "outer")
"""Fields that splits had not at first; where they say nothing, a split's file keeps its name."""


class Splits(Frozen):
    """Ids of the scans in each split, sorted.

    With `folds`, the ids of each fold, train and validation are those of fold 0: see `fold_of`. `unlabelled` have no
    label and may be trained on where none is needed; `unlabelled_folds` are those that go with each fold, by subject,
    family or site, and, last, those that go with none. `untrained` are those that `data.train` leaves out of `train`
    and `unlabelled`, and `taught` the labels that scans of `train` are trained on in place of their own.

    With `outer`, the splits of the search in each outer fold, whose test split that is, all else says who is in which
    outer fold: these are the folds, and there is no test split.
    """

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]
    folds: tuple[tuple[str, ...], ...] = ()
    unlabelled: tuple[str, ...] = ()
    unlabelled_folds: tuple[tuple[str, ...], ...] = ()
    untrained: tuple[str, ...] = ()
    taught: dict[str, float] = Field(default_factory=dict)
    outer: tuple["Splits", ...] = ()

    @property
    def searches(self) -> tuple["Splits", ...]:
        """The splits of each search: these, or those in each outer fold."""
        return self.outer or (self,)

    @property
    def parts(self) -> dict[str, tuple[str, ...]]:
        """Labelled ids by the name of their part, each once: the splits that have any, or the folds and the test's."""
        if not self.folds:
            validation = {"validation": self.validation} if self.validation else {}
            return {"train": self.train, **validation, "test": self.test}
        name = "outer fold" if self.outer else "fold"
        folds = {f"{name} {number}": ids for number, ids in enumerate(self.folds)}
        return folds if self.outer else folds | {"test": self.test}

    @property
    def without_label(self) -> tuple[str, ...]:
        """Ids of the scans without a label that any run may train on."""
        return tuple(sorted({*self.unlabelled, *sum(self.unlabelled_folds, ())}))

    @property
    def sides(self) -> dict[str, tuple[str, ...]]:
        """The parts with the scans without a label where they are trained on: those of no fold are in `train`."""
        if not self.folds:
            return self.parts | {"train": self.train + self.unlabelled}
        if not self.unlabelled_folds:
            return self.parts
        *folds, none = self.unlabelled_folds
        with_folds = {name: self.parts[name] + ids for name, ids in zip(self.parts, folds, strict=False)}
        return self.parts | with_folds | ({"train": none} if none else {})


def fold_of(splits: Splits, number: int) -> Splits:
    """The splits of a run that is validated on fold `number`, counted from 0, and trained on the others."""
    return splits.model_copy(
        update={
            "train": _all_but(number, splits.folds),
            "validation": splits.folds[number],
            "unlabelled": _all_but(number, splits.unlabelled_folds),
        }
    )


def all_but_test(splits: Splits) -> Splits:
    """The splits of a run that is trained on all but the test split, and validated on nobody."""
    everyone = sum(splits.folds, ()) if splits.folds else splits.train + splits.validation
    unlabelled = sum(splits.unlabelled_folds, ()) if splits.folds else splits.unlabelled
    return Splits(train=tuple(sorted(everyone)), validation=(), test=splits.test, unlabelled=tuple(sorted(unlabelled)))


def _all_but(number: int, folds: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(sorted(name for place, ids in enumerate(folds) if place != number for name in ids))


class Splittable(Protocol):
    """What a scan must tell to be put into a split."""

    @property
    def id(self) -> str: ...

    @property
    def subject(self) -> str: ...

    @property
    def label(self) -> float | None: ...

    @property
    def strata(self) -> Mapping[str, str | float]: ...

    @property
    def split_cells(self) -> Mapping[str, str]: ...


Unit = list[Splittable]
"""Scans that stay together: those of a subject, or of a family. At least one."""


def make_splits(scans: Iterable[Splittable], config: AnySplit) -> Splits:
    """Put subjects or families, each with all its scans, into train, validation and test; in whatever order they come.

    Strata are the values of the `stratify` columns together, of a subject's first scan by id: tenths by quantile for
    numbers, values for strings. Strata too small to reach every split are merged with their neighbours in sorted order.

    Raises UserError where a split would be empty, where no scan has a value that `config` names, or a subject or family
    is on two sides.
    """
    scans = sorted(scans, key=lambda scan: scan.id)
    sides = {} if isinstance(config, SplitConfig) else _sides(scans, config)
    return _splits_of(scans, config, sides) if config.outer is None else _in_outer_folds(scans, config, sides)


def _in_outer_folds(scans: Sequence[Splittable], config: AnySplit, sides: Mapping[str, str]) -> Splits:
    """Who is in which outer fold, with the splits of the search in each: see `Splits`."""
    assert config.outer is not None
    units = _units([scan for scan in scans if scan.label is not None and sides.get(scan.id, "train")], config)
    folds = _folds(units, config.outer, _Cutter.of(units, config), config, "outer")
    as_folds = config.model_copy(update={"folds": config.outer, "outer": None})
    cut = _with_unlabelled(_of_folds(folds, []), scans, as_folds, sides)
    own = [ids + free for ids, free in zip(cut.folds, cut.unlabelled_folds, strict=False)]
    known = {name for ids in (*own, *cut.unlabelled_folds) for name in ids}
    outer = []
    for place, tested in enumerate(own):
        side = {name: sides.get(name, "train") for name in known} | dict.fromkeys(tested, "test")
        try:
            outer.append(_splits_of(scans, config, {scan.id: side.get(scan.id, "") for scan in scans}))
        except UserError as error:
            raise UserError(f"data.split.outer: with outer fold {place} as the test split: {error}") from error
    return cut.model_copy(update={"outer": tuple(outer)})


def _splits_of(scans: Sequence[Splittable], config: AnySplit, sides: Mapping[str, str]) -> Splits:
    splits = _labelled_splits([scan for scan in scans if scan.label is not None], config, sides)
    return _with_unlabelled(splits, scans, config, sides) if any(scan.label is None for scan in scans) else splits


def _labelled_splits(scans: Sequence[Splittable], config: AnySplit, sides: Mapping[str, str]) -> Splits:
    if isinstance(config, SplitConfig) and not sides:
        return _by_fractions(_units(scans, config), config)
    named = _named(scans, config, sides)
    rest, test, cutter = named["train"], named["test"], _Cutter.of(named["train"], config)
    if config.folds is not None:
        return _of_folds(_folds(rest, config.folds, cutter, config, "folds"), test)
    if "validation" in named:
        return _splits(rest, named["validation"], test)
    assert isinstance(config.validation, float)
    if config.validation == 0:
        return _splits(rest, [], test)
    return _splits(*cutter.cut(rest, _held_out(len(rest), config.validation, "validation")), test)


def left_out(scans: Iterable[Splittable], splits: Splits) -> list[str]:
    """Ids of the scans that are in no split, in the order in which they come."""
    used = {name for ids in splits.sides.values() for name in ids}
    return [scan.id for scan in scans if scan.id not in used]


def families(scans: Iterable[Splittable], config: SplitRules) -> dict[str, set[str]]:
    """The subjects of each family with more than one."""
    members: defaultdict[str, set[str]] = defaultdict(set)
    for scan in scans:
        if config.family is not None and scan.split_cells[config.family]:
            members[scan.split_cells[config.family]].add(scan.subject)
    return {family: subjects for family, subjects in members.items() if len(subjects) > 1}


def store_splits(store: VolumeStore, config: AnySplit) -> Splits:
    """The splits that the store holds for `config`, made and written on first use."""
    told = config.model_dump(mode="json")
    told = {key: value for key, value in told.items() if key not in _ADDED or value is not None}
    path = store.folder / f"splits-{json_digest(told)[:12]}.json"
    if path.is_file():
        return read_splits(path)
    splits = make_splits(store.subjects, config)
    content = {"config": told, "splits": splits.model_dump(mode="json", exclude_defaults=True)}
    write_atomically(path, json.dumps(content, indent=1).encode())
    return splits


def read_splits(path: UPath) -> Splits:
    """The splits in a store's file. Raises UserError where it holds none."""
    try:
        splits = Splits.model_validate(json.loads(path.read_text())["splits"])
        for one in (splits, *splits.outer):
            _check(one)
        return splits
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: is no list of splits; delete it, and contrasweep prepare makes it again") from error


def _check(splits: Splits) -> None:
    """Raise ValueError where these cannot be the splits of one search."""
    one_run = splits.train + splits.validation + splits.test + splits.unlabelled
    if any(_repeats(ids) for ids in (one_run, sum(splits.folds, ()), sum(splits.unlabelled_folds, ()))):
        raise ValueError("a scan in two splits")
    if splits.folds and fold_of(splits, 0) != splits:
        raise ValueError("another fold than the first")


def _repeats(ids: Sequence[str]) -> bool:
    return len(set(ids)) < len(ids)


def split_sizes(count: int, config: SplitConfig) -> dict[str, int]:
    """How many of `count` subjects go to train, validation and test. Raises UserError where a split would be empty."""
    sizes = {"test": round(count * config.test), "validation": round(count * config.validation)}
    sizes["train"] = count - sum(sizes.values())
    for name, size in sizes.items():
        if size < 1 and not (name == "validation" and config.validation == 0):
            raise UserError(
                f"data.split: {count} subjects leave the {name} split empty with test {config.test:g} and "
                f"validation {config.validation:g}; at least one subject in each is needed"
            )
    return sizes


def _held_out(count: int, fraction: float, name: str) -> int:
    """How many of `count` are held out. Raises UserError where that is none or all."""
    size = round(count * fraction)
    if not 0 < size < count:
        raise UserError(
            f"data.split.{name}: {fraction:g} of {count} subjects to train on are {size}; "
            "at least one must be held out, and one left"
        )
    return size


def _named(scans: Sequence[Splittable], config: AnySplit, sides: Mapping[str, str]) -> dict[str, list[Unit]]:
    """The units of the test split and of each that `config` names. Raises UserError where there are none."""
    given: Collection[str] = ()
    if not isinstance(config, SplitConfig):
        given = config.files.named if isinstance(config, SplitByFiles) else config.values
    named: dict[str, list[Unit]] = {name: [] for name in ("train", *given, "test")}
    for unit in _units([scan for scan in scans if sides[scan.id]], config):
        named[_only({sides[scan.id] for scan in unit}, unit, config, "data.split")].append(unit)
    for name, units in named.items():
        if not units:
            raise UserError(f"data.split: no scan is left for the {name} split")
    return named


def _sides(scans: Sequence[Splittable], config: SplitByValues | SplitByFiles) -> dict[str, str]:
    """The split of each scan, by its id; empty where it is left out. Raises UserError on a value that none has."""
    if isinstance(config, SplitByFiles):
        return {scan.id: scan.split_cells[FILES] for scan in scans}
    (_, column), *_ = config.columns
    cells = {scan.id: scan.split_cells[column] for scan in scans}
    side_of = _side_of(config, column, {cell for cell in cells.values() if cell})
    rest = "" if "train" in config.values else "train"
    return {name: side_of.get(_key(cell), rest) if cell else "" for name, cell in cells.items()}


def _side_of(config: SplitByValues, column: str, cells: set[str]) -> dict[SplitValue, str]:
    """The split of each value that is named. Raises UserError on one that no scan has, or where none is for test."""
    there = {_key(cell) for cell in cells}
    if not config.test and config.outer is None:
        raise UserError(f"data.split.test: is missing; column '{column}' has {_some(cells)}")
    for side, values in config.values.items():
        for value in values:
            if _key(value) not in there:
                close = nearest(str(value), cells).partition("allowed: ")[0]
                raise UserError(
                    f"data.split.{side}: no scan has '{value}' in column '{column}'; {close}allowed: {_some(cells)}"
                )
    return {_key(value): side for side, values in config.values.items() for value in values}


def _some(cells: Collection[str]) -> str:
    """Values of a column, sorted; the first of them where they are many."""
    more = f" ... and {len(cells) - _SHOWN:,} more" if len(cells) > _SHOWN else ""
    return ", ".join(sorted(cells)[:_SHOWN]) + more


def _key(value: SplitValue) -> SplitValue:
    """A cell or a value of the spec, so that equal numbers are equal however they are written."""
    found = number(str(value))
    return str(value) if found is None else found


def _units(scans: Sequence[Splittable], config: SplitRules) -> list[Unit]:
    """Scans by family and subject, in the order of their first. Raises UserError on a subject of two families."""
    of_subject: dict[str, Unit] = {}
    for scan in scans:
        of_subject.setdefault(scan.subject, []).append(scan)
    if config.family is None:
        return list(of_subject.values())
    of_family: dict[tuple[str, str], Unit] = {}
    for subject, own in of_subject.items():
        told = {scan.split_cells[config.family] for scan in own} - {""}
        family = _only(told, own, config, "data.split.family") if told else ""
        of_family.setdefault((family, "" if family else subject), []).extend(own)
    return list(of_family.values())


def _only(values: set[str], unit: Unit, config: SplitRules, field: str) -> str:
    """The one of `values`. Raises UserError, naming whose scans they are, where they are several."""
    if len(values) == 1:
        return next(iter(values))
    subjects = {scan.subject for scan in unit}
    family = next((cell for scan in unit if config.family and (cell := scan.split_cells[config.family])), "")
    who = f"subject '{unit[0].subject}'" if len(subjects) == 1 else f"family '{family}'"
    raise UserError(f"{field}: {who} has scans in {' and '.join(sorted(values))}; one of them is allowed")


def _with_unlabelled(splits: Splits, scans: Sequence[Splittable], config: AnySplit, sides: Mapping[str, str]) -> Splits:
    """The splits with the scans without a label, but for those that go with one that is validated or tested on.

    With folds, those of a subject or a family go with one, by its labelled scans and its sites, or are left out.
    """
    fold = {name: place for place, ids in enumerate(splits.folds) for name in ids}
    held_out = set(splits.test) | (set() if splits.folds else set(splits.validation))
    site = config.folds.by if isinstance(config.folds, FoldsBy) else None
    of_site = {_key(scan.split_cells[site]): fold[scan.id] for scan in scans if scan.id in fold} if site else {}
    found: list[list[str]] = [[] for _ in range(len(splits.folds) + 1)]
    for unit in _units(scans, config):
        if any(scan.id in held_out or sides.get(scan.id, "train") in ("validation", "test") for scan in unit):
            continue
        places = {fold[scan.id] for scan in unit if scan.id in fold}
        places |= {of_site[key] for scan in unit if site and (key := _key(scan.split_cells[site])) in of_site}
        if len(places) < 2:
            found[places.pop() if places else -1] += [
                scan.id for scan in unit if scan.label is None and sides.get(scan.id, "train") == "train"
            ]
    unlabelled = tuple(tuple(sorted(ids)) for ids in found)
    if splits.folds:
        return fold_of(splits.model_copy(update={"unlabelled_folds": unlabelled}), 0)
    return splits.model_copy(update={"unlabelled": unlabelled[0]})


def _by_fractions(units: list[Unit], config: SplitConfig) -> Splits:
    cutter = _Cutter.of(units, config)
    if config.folds is not None:
        rest, test = cutter.cut(units, _held_out(len(units), config.test, "test"))
        return _of_folds(_folds(rest, config.folds, cutter, config, "folds"), test)
    sizes = split_sizes(len(units), config)
    rest, test = cutter.cut(units, sizes["test"])
    return _splits(*(cutter.cut(rest, sizes["validation"]) if config.validation else (rest, [])), test)


def _of_folds(folds: Sequence[list[Unit]], test: list[Unit]) -> Splits:
    return fold_of(Splits(train=(), validation=(), test=_ids(test), folds=tuple(map(_ids, folds))), 0)


def _folds(
    units: list[Unit], folds: int | FoldsBy, cutter: "_Cutter", config: SplitRules, field: str
) -> list[list[Unit]]:
    """Units in folds, as `field` of `config` says. Raises UserError where that gives fewer than two."""
    if isinstance(folds, FoldsBy):
        return _by_site(units, folds.by, config, f"data.split.{field}.by")
    if len(units) < folds:
        where = "outside the test split" if field == "folds" else "there"
        raise UserError(f"data.split.{field}: {folds} is not allowed: {len(units)} subjects are {where}")
    return cutter.folds(units, folds)


def _by_site(units: list[Unit], column: str, config: SplitRules, field: str) -> list[list[Unit]]:
    """Units by their value of a column, in the order of the values; scans without one are left out."""
    found: defaultdict[SplitValue, list[Unit]] = defaultdict(list)
    for unit in units:
        told = [scan for scan in unit if scan.split_cells[column]]
        if told:
            site = _only({scan.split_cells[column] for scan in told}, told, config, field)
            found[_key(site)].append(told)
    if len(found) < 2:
        has = ", ".join(map(str, found)) or "none"
        besides = " besides the test split" if field == "data.split.folds.by" else ""
        raise UserError(f"{field}: column '{column}' has {has}{besides}; two are needed")
    return [found[site] for site in sorted(found, key=lambda site: (isinstance(site, str), site))]


def _splits(train: list[Unit], validation: list[Unit], test: list[Unit]) -> Splits:
    return Splits(train=_ids(train), validation=_ids(validation), test=_ids(test))


def _ids(units: Iterable[Unit]) -> tuple[str, ...]:
    return tuple(sorted(scan.id for unit in units for scan in unit))


Stratum = tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class _Cutter:
    """Cuts units at random, with the same share of each stratum in all parts; `strata` are by a unit's first scan."""

    strata: Mapping[str, Stratum]
    seed: int

    @classmethod
    def of(cls, units: Sequence[Unit], config: SplitRules) -> "_Cutter":
        """One that cuts `units`, or some of them."""
        strata = _strata([unit[0] for unit in units], config.stratify or ())
        return cls(dict(zip((unit[0].id for unit in units), strata, strict=True)), config.seed)

    def cut(self, units: list[Unit], held_out: int) -> tuple[list[Unit], list[Unit]]:
        """`units` in two parts, the second of `held_out`."""
        from sklearn.model_selection import (
            train_test_split,  # a second to import, which readers of a store need not wait
        )

        minimum = -(-len(units) // min(held_out, len(units) - held_out))
        kept, out = train_test_split(
            range(len(units)), test_size=held_out, random_state=self.seed, stratify=self._merged(units, minimum)
        )
        return [units[place] for place in sorted(kept)], [units[place] for place in sorted(out)]

    def folds(self, units: list[Unit], count: int) -> list[list[Unit]]:
        """`units` in `count` parts of nearly one size; there are at least so many units."""
        from sklearn.model_selection import StratifiedKFold

        folds = StratifiedKFold(count, shuffle=True, random_state=self.seed)
        merged = self._merged(units, count)
        return [[units[place] for place in out] for _, out in folds.split(merged, merged)]

    def _merged(self, units: Sequence[Unit], minimum: int) -> list[int]:
        return _merge([self.strata[unit[0].id] for unit in units], minimum)


def _strata(subjects: Sequence[Splittable], columns: Sequence[str]) -> list[Stratum]:
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


def _merge(keys: list[Stratum], minimum: int) -> list[int]:
    """Strata numbered from 0, neighbours merged until each has `minimum` members (as far as there are any)."""
    sizes = Counter(keys)
    number: dict[Stratum, int] = {}
    current, filled = 0, 0
    left = len(keys)
    for key in sorted(sizes):
        number[key] = current
        filled += sizes[key]
        left -= sizes[key]
        if filled >= minimum and left >= minimum:
            current, filled = current + 1, 0
    return [number[key] for key in keys]
