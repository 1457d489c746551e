"""`contrasweep validate` and `plan`: what can be known before anything is spent."""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from services.plan import RESERVED_CPUS, Node, allot, estimate
from services.prepare import check_rejected
from services.pretrained import check_weights
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


def check_table(loaded: LoadedSpec) -> list[Subject]:
    """The usable rows of the participants table, checked for all that needs no scan to be opened.

    Raises UserError where the table is unusable, more is rejected than the spec allows, or what is left does
    not suit the spec.
    """
    subjects, rejected = read_subjects(loaded.spec.data, loaded.base, _pipeline(loaded).columns)
    _check_counts(loaded, subjects, rejected)
    return subjects


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
    shape = _prepared_shape(loaded, subjects)
    check_image_shape(loaded, shape)
    if weights:
        check_weights(loaded, weights, shape, console)
    console.print(f"{loaded.path} is valid; sweep id {loaded.spec.sweep_id}", soft_wrap=True, markup=False)


def show_plan(
    loaded: LoadedSpec, settings: Settings, nodes: Sequence[Node], console: Console, weights: Path | None = None
) -> None:
    """Print what the sweep would take on `nodes`, and what `weights` fit. Raises UserError on what would block it."""
    spec = loaded.spec
    allotment = allot(spec, nodes)
    subjects = check_table(loaded)
    shape = _prepared_shape(loaded, subjects)
    check_image_shape(loaded, shape)
    if weights:
        check_weights(loaded, weights, shape, console)
    train = _train_size(subjects, spec.data)
    cost = estimate(spec, allotment, shape, train)
    training, search = spec.training, spec.search
    store_gb = len(subjects) * np.dtype(spec.data.dtype).itemsize * float(np.prod(shape)) / 1e9
    feed = "resident" if store_gb * 1e9 <= settings.resident_limit_bytes else "streamed"
    runs = search.trials * len(search.seeds)
    workers = f"{training.workers} x {training.cpus_per_worker} CPUs, {training.gpus_per_worker:g} GPUs"
    rows = {
        "sweep": f"{spec.sweep_id} on {len(nodes)} node(s) with {_sum(nodes)}",
        "data": f"{len(subjects)} volumes {list(shape)}, {store_gb:.2g} GB decoded, {feed}; {train} to train on",
        "runs": f"{search.trials} configurations x {len(search.seeds)} seeds = {runs} runs of {spec.epochs} epochs",
        "each": f"{workers}; about {cost.epoch_s:.2g} s an epoch with one worker on this CPU",
        "at once": f"{allotment.concurrent} configurations; {RESERVED_CPUS} CPU more for drivers and reading",
        "time": f"about {cost.hours:.2g} h if racing stops nothing",
        "disk": f"about {cost.disk_gb + store_gb:.2g} GB",
    }
    for title, text in rows.items():
        console.print(f"{title:8} {text}", soft_wrap=True, markup=False)
    if spec.budget.hours and cost.hours > spec.budget.hours:
        console.print(f"the budget of {spec.budget.hours:g} h ends it before that")


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


def _prepared_shape(loaded: LoadedSpec, subjects: list[Subject]) -> tuple[int, ...]:
    pipeline, reasons = _pipeline(loaded), []
    for subject in subjects:
        try:
            return load_scan(subject, pipeline, loaded.spec.data.dtype).values.shape
        except UnreadableError as error:
            reasons.append(f"{subject.path}: {error}")
    raise UserError(f"data.image: none of the {len(subjects)} images can be used; first: {reasons[0]}")


def _pipeline(loaded: LoadedSpec) -> Pipeline:
    return build_transforms(loaded.spec.data.transforms, loaded.base)


def _sum(nodes: Sequence[Node]) -> str:
    return f"{sum(node.cpus for node in nodes):g} CPUs, {sum(node.gpus for node in nodes):g} GPUs"
