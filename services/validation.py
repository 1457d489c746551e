"""`contrasweep validate` and `plan`: what can be known before anything is spent."""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from services.answers import Planned
from services.plan import Node, allot, estimate
from services.prepare import check_rejected
from services.pretrained import check_weights
from services.roots import confine_subjects
from services.settings import Settings
from services.spec import LoadedSpec
from services.spec_checks import check_against_data, check_image_shape
from trainers.config import DataConfig
from trainers.data.participants import Rejected, Subject, read_subjects
from trainers.data.readers import UnreadableError, read_header
from trainers.data.splits import make_splits
from trainers.data.transforms import Pipeline, build_transforms
from trainers.data.volume import load_scan
from trainers.errors import UserError

SHOWN = 10
_READERS = 8
"""Headers read at a time: they wait for the disk."""


def check_table(loaded: LoadedSpec, roots: Sequence[Path] = ()) -> list[Subject]:
    """The usable rows of the participants table, checked for all that needs no scan to be opened.

    Raises UserError where the table is unusable, more is rejected than the spec allows, what is left does
    not suit the spec, or, where there are data roots, a scan lies outside `roots`.
    """
    return _listed(loaded, roots)[0]


def validate_data(loaded: LoadedSpec, console: Console, weights: Path | None = None) -> None:
    """Read the table and every scan's header; print counts, shapes, label range, what is missing, what `weights` fit.

    Raises UserError as `check_table` does, a scan without a readable header counting as rejected.
    """
    listed, rejected = read_subjects(loaded.spec.data, loaded.base, _pipeline(loaded).columns)
    shapes, unreadable = _headers(listed)
    rejected = [*rejected, *unreadable]
    left_out = {one.subject for one in unreadable}
    subjects = [subject for subject in listed if subject.id not in left_out]
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_row("subjects", f"{len(subjects)} usable, {len(rejected)} rejected")
    if subjects:
        labels = np.array([subject.label for subject in subjects])
        quantities = f"{labels.min():g} to {labels.max():g}, mean {labels.mean():.4g}, sd {labels.std():.4g}"
        table.add_row("shapes", ", ".join(f"{list(shape)} x {count}" for shape, count in shapes.most_common(5)))
        table.add_row(loaded.spec.data.label, quantities)
    console.print(table, soft_wrap=True)
    for one in rejected[:SHOWN]:
        console.print(f"  rejected {one.subject}: {one.reason}", soft_wrap=True, markup=False)
    if len(rejected) > SHOWN:
        console.print(f"  ... and {len(rejected) - SHOWN} more")
    _check_counts(loaded, subjects, rejected)
    shape = prepared_shape(loaded, subjects)
    check_image_shape(loaded, shape)
    if weights:
        check_weights(loaded, weights, shape, console)
    console.print(f"{loaded.path} is valid; sweep id {loaded.spec.sweep_id}", soft_wrap=True, markup=False)


def make_plan(loaded: LoadedSpec, settings: Settings, nodes: Sequence[Node], weights: Path | None = None) -> Planned:
    """What the sweep would take on `nodes`, and what `weights` fit. Raises UserError on what would block it."""
    spec = loaded.spec
    allotment = allot(spec, nodes)
    listed, rejected = _listed(loaded, settings.data_roots)
    shape = prepared_shape(loaded, listed)
    check_image_shape(loaded, shape)
    start = check_weights(loaded, weights, shape, Console(quiet=True)) if weights else ""
    train = _train_size(listed, spec.data)
    cost = estimate(spec, allotment, shape, train)
    store_gb = len(listed) * np.dtype(spec.data.dtype).itemsize * float(np.prod(shape)) / 1e9
    training = spec.training
    gpus_at_once = allotment.concurrent * training.workers * training.gpus_per_worker
    return Planned(
        id=spec.sweep_id,
        subjects=len(listed),
        rejected=len(rejected),
        train=train,
        image_shape=shape,
        decoded_gb=store_gb,
        feed="resident" if store_gb * 1e9 <= settings.resident_limit_bytes else "stream",
        trials=spec.search.trials,
        seeds=len(spec.search.seeds),
        epochs=spec.epochs,
        concurrent=allotment.concurrent,
        workers=training.workers,
        cpus_per_worker=training.cpus_per_worker,
        gpus_per_worker=training.gpus_per_worker,
        nodes=len(nodes),
        cpus=sum(node.cpus for node in nodes),
        gpus=sum(node.gpus for node in nodes),
        epoch_s=cost.epoch_s,
        hours=cost.hours,
        budget_hours=spec.budget.hours,
        gpu_hours=cost.hours * gpus_at_once,
        disk_gb=cost.disk_gb + store_gb,
        start=start,
    )


def _listed(loaded: LoadedSpec, roots: Sequence[Path]) -> tuple[list[Subject], list[Rejected]]:
    subjects, rejected = read_subjects(loaded.spec.data, loaded.base, _pipeline(loaded).columns)
    _check_counts(loaded, subjects, rejected)
    if roots:
        confine_subjects(subjects, roots)
    return subjects, rejected


def _headers(subjects: list[Subject]) -> tuple[Counter[tuple[int, ...]], list[Rejected]]:
    shapes: Counter[tuple[int, ...]] = Counter()
    unreadable = []
    with ThreadPoolExecutor(_READERS) as pool:
        for subject, found in zip(subjects, pool.map(_shape, subjects), strict=True):
            if isinstance(found, str):
                unreadable.append(Rejected(subject.id, subject.path, found))
            else:
                shapes[found] += 1
    return shapes, unreadable


def _shape(subject: Subject) -> tuple[int, ...] | str:
    """Of a scan's header, or why there is none."""
    try:
        return read_header(subject.path).shape
    except UnreadableError as error:
        return str(error)


def _train_size(subjects: Sequence[Subject], data: DataConfig) -> int:
    """How many scans there are to train on, if none is rejected from here on."""
    return len(make_splits(subjects, data.split.model_copy(update={"stratify": data.strata})).train)


def _check_counts(loaded: LoadedSpec, subjects: Sequence[Subject], rejected: Sequence[Rejected]) -> None:
    data = loaded.spec.data
    check_rejected(rejected, len(subjects) + len(rejected), data)
    if not subjects:
        raise UserError(f"data.participants: no subject of {data.table} can be used")
    labels = [subject.label for subject in subjects]
    check_against_data(loaded, _train_size(subjects, data), max(labels) - min(labels))


def prepared_shape(loaded: LoadedSpec, subjects: list[Subject]) -> tuple[int, ...]:
    """The shape (C, *S) after transforms of the first scan that can be used. Raises UserError where none can."""
    pipeline, reasons = _pipeline(loaded), []
    for subject in subjects:
        try:
            return load_scan(subject, pipeline, loaded.spec.data.dtype).values.shape
        except UnreadableError as error:
            reasons.append(f"{subject.path}: {error}")
    raise UserError(f"data.image: none of the {len(subjects)} images can be used; first: {reasons[0]}")


def _pipeline(loaded: LoadedSpec) -> Pipeline:
    return build_transforms(loaded.spec.data.transforms, loaded.base)
