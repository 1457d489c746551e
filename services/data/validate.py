"""`contrasweep validate`: what table and headers say before anything is spent."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from contrasweep.services.data.doubts import categories, quantities, range_doubts, shown, side_doubts, table_doubts
from contrasweep.services.data.misfits import Headers, misfits
from contrasweep.services.data.prepare import by_store, check_cohort_shape, check_rejected, check_same_scans
from contrasweep.services.data.training import trained_on
from contrasweep.services.data.weights import check_all_weights
from contrasweep.services.spec.checks import check_against_data, check_image_shapes
from contrasweep.services.spec.cohorts import naming_cohort
from contrasweep.services.spec.readings import naming_options, place
from contrasweep.services.spec.roots import confine_subjects
from contrasweep.services.spec.spec import LoadedSpec, Options
from contrasweep.services.text import first_few, number
from contrasweep.trainers.config import DataConfig
from contrasweep.trainers.data.participants import (
    Rejected,
    Subject,
    labels_of,
    outside_training,
    read_scans,
    read_subjects,
)
from contrasweep.trainers.data.readers import Form, UnreadableError, read_header
from contrasweep.trainers.data.several import naming
from contrasweep.trainers.data.splits import Splits, families, fold_of, left_out, make_splits
from contrasweep.trainers.data.training import training_split
from contrasweep.trainers.data.transforms import Pipeline, build_transforms
from contrasweep.trainers.data.volume import load_scan, taken_as
from contrasweep.trainers.errors import UserError
from contrasweep.trainers.objectives import told_apart

Known = dict[str, dict[str, Headers | str]]
"""Headers that were read, or why not, by the scans' ids and, before that, their cohort; "" is the study."""
SHOWN = 10
_READERS = 8
"""Headers read at a time: they wait for the disk."""


def check_table(loaded: LoadedSpec, roots: Sequence[Path] = ()) -> list[Subject]:
    """The usable rows of the participants table, checked for all that needs no scan to be opened, as the cohorts' are.

    Raises UserError where the table is unusable, more is rejected than the spec allows, what is left does
    not suit the spec, or, where there are data roots, a scan lies outside `roots`.
    """
    (subjects, _), *_ = list_each(loaded, roots).values()
    for together in by_store(loaded):
        (options, reading), *_ = together.items()
        with naming_options(options, loaded.path):
            list_cohorts(reading, roots)
    return subjects


def validate_data(loaded: LoadedSpec, console: Console, weights: Path | None = None) -> None:
    """Read the table and every scan's header; print counts, shapes, label range, what is missing, what `weights` fit.

    Raises UserError as `check_table` does, a scan without a readable header counting as rejected.
    """
    known: Known = defaultdict(dict)  # each header is read once, whatever the options
    found: dict[Options, tuple[_Looked, tuple[int, ...]]] = {}
    for together in by_store(loaded):
        found |= _validate_store(together, known, console)
    check_same_scans({options: [scan.id for scan in looked.subjects] for options, (looked, _) in found.items()})
    shapes = {options: shape for options, (_, shape) in found.items()}
    check_image_shapes(loaded, shapes)
    if weights:
        check_all_weights(loaded, weights, shapes, console)
    for together in by_store(loaded):
        (options, reading), *_ = together.items()
        with naming_options(options, loaded.path):
            _validate_cohorts(reading, *found[options], known, console)
    console.print(f"{loaded.path} is valid; sweep id {loaded.sweep_id}", soft_wrap=True, markup=False)


def _validate_store(
    together: Mapping[Options, LoadedSpec], known: Known, console: Console
) -> dict[Options, tuple["_Looked", tuple[int, ...]]]:
    """What table and headers tell of readings that have one store, and the shape that its images have."""
    (first, reading), *_ = together.items()
    with naming_options(first, reading.path):
        looked = _look(reading, known[""])
    for options, reading in together.items():
        with naming_options(options, reading.path):
            if options:
                console.print(place(options), soft_wrap=True, markup=False)
            if options == first:
                _print(looked, reading.spec.data, console)
            _check_counts(reading, looked.subjects, looked.rejected)
            _print_split(looked.subjects, reading.spec.data, console)
            shape = looked.prepared or prepared_shape(reading, looked.subjects)
    return dict.fromkeys(together, (looked, shape))


def _validate_cohorts(
    loaded: LoadedSpec, study: "_Looked", usual: tuple[int, ...], known: Known, console: Console
) -> None:
    """The same of the cohorts of a study whose images have the `usual` shape."""
    trained = _training_labels(study.subjects, loaded.spec.data) if loaded.cohorts else []
    for name, cohort in loaded.cohorts.items():
        console.print(f"external  {name}", soft_wrap=True, markup=False)
        with naming_cohort(name):
            looked = _look(cohort, known[name])
            _print(looked, cohort.spec.data, console)
            _check_usable(cohort, looked.subjects, looked.rejected)
            check_cohort_shape(looked.prepared or prepared_shape(cohort, looked.subjects), usual)
            for doubt in range_doubts(looked.subjects, trained, cohort.spec.data.label):
                console.print(f"  warning  {doubt}", soft_wrap=True, markup=False)


@dataclass(frozen=True)
class _Looked:
    """What table and headers tell: `outside` counts the scans that `data.where` leaves out, `prepared` is the shape
    that most scans are prepared to, if one is known. `shapes` counts scans by the shapes of their images.
    """

    subjects: list[Subject]
    rejected: list[Rejected]
    outside: int
    shapes: Counter[tuple[tuple[int, ...], ...]]
    prepared: tuple[int, ...] | None


def _look(loaded: LoadedSpec, known: dict[str, Headers | str]) -> _Looked:
    """What table and headers tell; headers that are `known`, by the scans' ids, are not read again."""
    data, pipeline = loaded.spec.data, _pipeline(loaded)
    listed, rejected, outside = read_scans(data, loaded.base, pipeline.columns)
    headers, unreadable = _headers(listed, data.affine, known)
    prepared, odd = misfits(loaded, pipeline, headers)
    left_out = {one.subject for one in odd}
    subjects = [subject for subject, _ in headers if subject.id not in left_out]
    shapes = Counter(tuple(header.shape for header in told) for _, told in headers)
    return _Looked(subjects, [*rejected, *unreadable, *odd], outside, shapes, prepared)


def _print(looked: _Looked, data: DataConfig, console: Console) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    elsewhere = f", {looked.outside} left out by data.where" if looked.outside else ""
    table.add_row("subjects", f"{len(looked.subjects)} usable, {len(looked.rejected)} rejected{elsewhere}")
    if looked.subjects:
        table.add_row("shapes", ", ".join(f"{_told(shapes)} x {n}" for shapes, n in looked.shapes.most_common(5)))
        if looked.prepared and data.image_names != ("",):
            table.add_row("together", f"{list(looked.prepared)} of {', '.join(data.image_names)}, in this order")
        steps = {name for step in data.transforms for name in step}
        if taken := taken_as(looked.subjects[0].path, looked.shapes.most_common(1)[0][0][0], steps):
            table.add_row("taken as", taken)
        table.add_row(data.label, _spread(labels_of(looked.subjects)))
        for column, values in quantities(looked.subjects).items():
            table.add_row(column, _spread(values))
        for column, sizes in categories(looked.subjects, data.group).items():
            table.add_row(column, shown(sizes))
    console.print(table, soft_wrap=True)
    for one in looked.rejected[:SHOWN]:
        console.print(f"  rejected {one.subject}: {one.reason}", soft_wrap=True, markup=False)
    if len(looked.rejected) > SHOWN:
        console.print(f"  ... and {len(looked.rejected) - SHOWN} more")
    for doubt in table_doubts(looked.subjects, data.label, data.group):
        console.print(f"  warning  {doubt}", soft_wrap=True, markup=False)


def _spread(values: Sequence[float]) -> str:
    low, high, mean, sd = map(number, (min(values), max(values), float(np.mean(values)), float(np.std(values))))
    return f"{low} to {high}, mean {mean}, sd {sd}"


def _told(shapes: Sequence[tuple[int, ...]]) -> str:
    return " + ".join(str(list(shape)) for shape in shapes)


def _print_split(subjects: Sequence[Subject], data: DataConfig, console: Console) -> None:
    splits = make_splits(subjects, data.stratified_split)
    parts = _sizes(splits)
    parts += [f"without a label {len(splits.without_label)}"] if splits.without_label else []
    outside = left_out(subjects, splits)
    parts += [f"in none {len(outside)} ({first_few(outside)})"] if outside else []
    together = families(subjects, data.split)
    parts += [f"families of several people {len(together)}"] if together else []
    console.print(f"split     {', '.join(parts)}", soft_wrap=True, markup=False)
    for fold, search in enumerate(splits.outer):
        console.print(f"outer     fold {fold}: {', '.join(_sizes(search))}", soft_wrap=True, markup=False)
    if told := trained_on(_trained(splits.searches[0], subjects, data)):
        console.print(f"training  {told}", soft_wrap=True, markup=False)
    for doubt in side_doubts(subjects, splits):
        console.print(f"  warning  {doubt}", soft_wrap=True, markup=False)


def _sizes(splits: Splits) -> list[str]:
    return [f"{name} {len(ids)}" for name, ids in splits.parts.items()]


def list_each(loaded: LoadedSpec, roots: Sequence[Path]) -> dict[Options, tuple[list[Subject], list[Rejected]]]:
    """What `list_scans` gives of each of the spec's `readings`; raises as `check_table` does."""
    found = {}
    for together in by_store(loaded):
        (first, reading), *others = together.items()
        with naming_options(first, loaded.path):
            found[first] = list_scans(reading, roots)
        for options, reading in others:
            found[options] = found[first]
            with naming_options(options, loaded.path):
                _check_counts(reading, *found[first])
    check_same_scans({options: [scan.id for scan in scans] for options, (scans, _) in found.items()})
    return {options: found[options] for options in loaded.readings}


def prepared_shapes(loaded: LoadedSpec, listed: Mapping[Options, list[Subject]]) -> dict[Options, tuple[int, ...]]:
    """`prepared_shape` of each of the spec's `readings`, of which `listed` has the scans."""
    shapes: dict[Options, tuple[int, ...]] = {}
    for together in by_store(loaded):
        (options, reading), *_ = together.items()
        with naming_options(options, loaded.path):
            shapes |= dict.fromkeys(together, prepared_shape(reading, listed[options]))
    return shapes


def list_scans(loaded: LoadedSpec, roots: Sequence[Path]) -> tuple[list[Subject], list[Rejected]]:
    """The usable rows of the table, and the rejected; raises as `check_table` does."""
    subjects, rejected = read_subjects(loaded.spec.data, loaded.base, _pipeline(loaded).columns)
    _check_counts(loaded, subjects, rejected)
    if roots:
        confine_subjects(subjects, roots)
    return subjects, rejected


def list_cohorts(loaded: LoadedSpec, roots: Sequence[Path]) -> dict[str, list[Subject]]:
    """The usable rows of each external cohort's table, by its name; raises as `check_table` does."""
    listed = {}
    for name, cohort in loaded.cohorts.items():
        with naming_cohort(name):
            listed[name], rejected = read_subjects(cohort.spec.data, cohort.base, _pipeline(cohort).columns)
            _check_usable(cohort, listed[name], rejected)
            if roots:
                confine_subjects(listed[name], roots)
    return listed


def _headers(
    subjects: list[Subject], affine: Form | None, known: dict[str, Headers | str]
) -> tuple[list[tuple[Subject, Headers]], list[Rejected]]:
    """The scans with their images' headers, and those that lack one."""
    read: list[tuple[Subject, Headers]] = []
    unreadable = []
    with ThreadPoolExecutor(_READERS) as pool:
        for subject, found in zip(
            subjects,
            pool.map(lambda subject: known.get(subject.id) or _headers_of(subject, affine), subjects),
            strict=True,
        ):
            known[subject.id] = found
            if isinstance(found, str):
                unreadable.append(Rejected.of(subject, found))
            else:
                read.append((subject, found))
    return read, unreadable


def _headers_of(subject: Subject, affine: Form | None) -> Headers | str:
    """The headers of a scan's images, or why there is none of one."""
    read = []
    try:
        for name, path in subject.images:
            with naming(name):
                read.append(read_header(path, affine))
    except UnreadableError as error:
        return str(error)
    return tuple(read)


def _training_labels(subjects: Sequence[Subject], data: DataConfig) -> list[float]:
    first = make_splits(subjects, data.stratified_split).searches[0]
    train = set(_trained(first, subjects, data).train)
    return labels_of(subject for subject in subjects if subject.id in train)


def searches_of(whole: Splits, subjects: Sequence[Subject], data: DataConfig) -> list[Splits]:
    """The splits of each search in its first run, with what `data.train` leaves to train on.

    They are those of `whole`, which was made of `subjects`: right if no scan is rejected from here on.
    """
    return [_trained(splits, subjects, data) for splits in whole.searches]


def _trained(whole: Splits, subjects: Sequence[Subject], data: DataConfig) -> Splits:
    return training_split(whole, subjects, outside_training(subjects), data.train)


def _check_counts(loaded: LoadedSpec, subjects: Sequence[Subject], rejected: Sequence[Rejected]) -> None:
    _check_usable(loaded, subjects, rejected)
    labels = labels_of(subjects)
    whole = make_splits(subjects, loaded.spec.data.stratified_split)
    for splits in searches_of(whole, subjects, loaded.spec.data):
        check_against_data(loaded, len(splits.train), len(splits.unlabelled), max(labels) - min(labels))
        if "site" in loaded.spec.search.objective:
            _check_groups(loaded, subjects, splits)


def _check_groups(loaded: LoadedSpec, subjects: Sequence[Subject], splits: Splits) -> None:
    group_of = {subject.id: subject.group for subject in subjects}
    for view in [fold_of(splits, fold) for fold in range(len(splits.folds))] or [splits]:
        try:
            told_apart(group_of[scan] for scan in view.validation)
        except UserError as error:
            raise UserError(f"{loaded.path}: {error}") from error


def _check_usable(loaded: LoadedSpec, subjects: Sequence[Subject], rejected: Sequence[Rejected]) -> None:
    data = loaded.spec.data
    check_rejected(rejected, len(subjects) + len(rejected), data)
    if not subjects:
        raise UserError(f"data.participants: no subject of {data.listed_in} can be used")


def prepared_shape(loaded: LoadedSpec, subjects: list[Subject]) -> tuple[int, ...]:
    """The shape (C, *S) after transforms of the first scan that can be used. Raises UserError where none can."""
    data, pipeline, reasons = loaded.spec.data, _pipeline(loaded), []
    for subject in subjects:
        try:
            return load_scan(subject, pipeline, data.dtype, data.affine).values.shape
        except UnreadableError as error:
            one = Rejected.of(subject, str(error))
            reasons.append(f"{one.path or one.subject}: {one.reason}")
    raise UserError(f"data.image: none of the {len(subjects)} images can be used; first: {reasons[0]}")


def _pipeline(loaded: LoadedSpec) -> Pipeline:
    return build_transforms(loaded.spec.data.transforms, loaded.base)
