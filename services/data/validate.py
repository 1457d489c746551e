"""`contrasweep validate`: what table and headers say before anything is spent."""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from services.data.doubts import categories, quantities, range_doubts, shown, side_doubts, table_doubts
from services.data.misfits import Headers, misfits
from services.data.prepare import check_cohort_shape, check_rejected
from services.data.training import trained_on
from services.data.weights import check_weights
from services.spec.checks import check_against_data, check_image_shape
from services.spec.cohorts import naming_cohort
from services.spec.roots import confine_subjects
from services.spec.spec import LoadedSpec
from services.text import first_few, number
from trainers.config import DataConfig
from trainers.data.participants import Rejected, Subject, labels_of, outside_training, read_scans, read_subjects
from trainers.data.readers import Form, UnreadableError, read_header
from trainers.data.several import naming
from trainers.data.splits import Splits, families, left_out, make_splits
from trainers.data.training import training_split
from trainers.data.transforms import Pipeline, build_transforms
from trainers.data.volume import load_scan, taken_as
from trainers.errors import UserError

SHOWN = 10
_READERS = 8
"""Headers read at a time: they wait for the disk."""


def check_table(loaded: LoadedSpec, roots: Sequence[Path] = ()) -> list[Subject]:
    """The usable rows of the participants table, checked for all that needs no scan to be opened, as the cohorts' are.

    Raises UserError where the table is unusable, more is rejected than the spec allows, what is left does
    not suit the spec, or, where there are data roots, a scan lies outside `roots`.
    """
    subjects = list_scans(loaded, roots)[0]
    list_cohorts(loaded, roots)
    return subjects


def validate_data(loaded: LoadedSpec, console: Console, weights: Path | None = None) -> None:
    """Read the table and every scan's header; print counts, shapes, label range, what is missing, what `weights` fit.

    Raises UserError as `check_table` does, a scan without a readable header counting as rejected.
    """
    looked = _look(loaded)
    _print(looked, loaded.spec.data, console)
    _check_counts(loaded, looked.subjects, looked.rejected)
    _print_split(looked.subjects, loaded.spec.data, console)
    shape = looked.prepared or prepared_shape(loaded, looked.subjects)
    check_image_shape(loaded, shape)
    if weights:
        check_weights(loaded, weights, shape, console)
    trained = _training_labels(looked.subjects, loaded.spec.data) if loaded.cohorts else []
    for name, cohort in loaded.cohorts.items():
        console.print(f"external  {name}", soft_wrap=True, markup=False)
        with naming_cohort(name):
            _validate_cohort(cohort, shape, trained, console)
    console.print(f"{loaded.path} is valid; sweep id {loaded.sweep_id}", soft_wrap=True, markup=False)


def _validate_cohort(loaded: LoadedSpec, usual: tuple[int, ...], trained: Sequence[float], console: Console) -> None:
    """The same of a cohort, for a study whose images have the `usual` shape and whose training labels are `trained`."""
    looked = _look(loaded)
    _print(looked, loaded.spec.data, console)
    _check_usable(loaded, looked.subjects, looked.rejected)
    check_cohort_shape(looked.prepared or prepared_shape(loaded, looked.subjects), usual)
    for doubt in range_doubts(looked.subjects, trained, loaded.spec.data.label):
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


def _look(loaded: LoadedSpec) -> _Looked:
    data, pipeline = loaded.spec.data, _pipeline(loaded)
    listed, rejected, outside = read_scans(data, loaded.base, pipeline.columns)
    headers, unreadable = _headers(listed, data.affine)
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
    parts = [f"{name} {len(ids)}" for name, ids in splits.parts.items()]
    parts += [f"without a label {len(splits.without_label)}"] if splits.without_label else []
    outside = left_out(subjects, splits)
    parts += [f"in none {len(outside)} ({first_few(outside)})"] if outside else []
    together = families(subjects, data.split)
    parts += [f"families of several people {len(together)}"] if together else []
    console.print(f"split     {', '.join(parts)}", soft_wrap=True, markup=False)
    if told := trained_on(_trained(splits, subjects, data)):
        console.print(f"training  {told}", soft_wrap=True, markup=False)
    for doubt in side_doubts(subjects, splits):
        console.print(f"  warning  {doubt}", soft_wrap=True, markup=False)


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


def _headers(subjects: list[Subject], affine: Form | None) -> tuple[list[tuple[Subject, Headers]], list[Rejected]]:
    """The scans with their images' headers, and those that lack one."""
    read: list[tuple[Subject, Headers]] = []
    unreadable = []
    with ThreadPoolExecutor(_READERS) as pool:
        for subject, found in zip(
            subjects, pool.map(lambda subject: _headers_of(subject, affine), subjects), strict=True
        ):
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
    train = set(splits_of(subjects, data).train)
    return labels_of(subject for subject in subjects if subject.id in train)


def splits_of(subjects: Sequence[Subject], data: DataConfig) -> Splits:
    """The splits, with what `data.train` leaves to train on, if no scan is rejected from here on."""
    return _trained(make_splits(subjects, data.stratified_split), subjects, data)


def _trained(whole: Splits, subjects: Sequence[Subject], data: DataConfig) -> Splits:
    return training_split(whole, subjects, outside_training(subjects), data.train)


def _check_counts(loaded: LoadedSpec, subjects: Sequence[Subject], rejected: Sequence[Rejected]) -> None:
    _check_usable(loaded, subjects, rejected)
    labels, splits = labels_of(subjects), splits_of(subjects, loaded.spec.data)
    check_against_data(loaded, len(splits.train), len(splits.unlabelled), max(labels) - min(labels))


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
