"""`contrasweep validate` and `plan`: what can be known before anything is spent."""

from collections import Counter

import numpy as np
from rich.console import Console
from rich.table import Table

from services.plan import RESERVED_CPUS, allot, estimate, local_node
from services.settings import Settings
from services.spec import LoadedSpec, check_against_data
from trainers.data.participants import Rejected, Subject, read_subjects
from trainers.data.readers import UnreadableError, read, read_shape
from trainers.data.transforms import build_transforms
from trainers.errors import UserError

SHOWN = 10


def validate_data(loaded: LoadedSpec, console: Console) -> None:
    """Read the table and every scan's header; print counts, shapes, label range and what is missing.

    Raises UserError where more is rejected than the spec allows, or too few subjects are left for a batch.
    """
    subjects, rejected = read_subjects(loaded.spec.data, loaded.base)
    shapes, unreadable = _headers(subjects)
    rejected = [*rejected, *unreadable]
    usable = len(subjects) - len(unreadable)
    labels = np.array([subject.label for subject in subjects])
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_row("subjects", f"{usable} usable, {len(rejected)} rejected")
    table.add_row("shapes", ", ".join(f"{list(shape)} x {count}" for shape, count in shapes.most_common(5)))
    quantities = f"{labels.min():g} to {labels.max():g}, mean {labels.mean():.4g}, sd {labels.std():.4g}"
    table.add_row(loaded.spec.data.label, quantities)
    console.print(table, soft_wrap=True)
    for left_out in rejected[:SHOWN]:
        console.print(f"  rejected {left_out.subject}: {left_out.reason}", soft_wrap=True, markup=False)
    if len(rejected) > SHOWN:
        console.print(f"  ... and {len(rejected) - SHOWN} more")
    _check_counts(loaded, usable, len(rejected), labels)
    console.print(f"{loaded.path} is valid; sweep id {loaded.spec.sweep_id}", soft_wrap=True, markup=False)


def show_plan(loaded: LoadedSpec, settings: Settings, console: Console) -> None:
    """Print what the sweep would take on this machine. Raises UserError on what would block it."""
    spec = loaded.spec
    node = local_node()
    allotment = allot(spec, [node])
    subjects, rejected = read_subjects(spec.data, loaded.base)
    labels = np.array([subject.label for subject in subjects])
    _check_counts(loaded, len(subjects), len(rejected), labels)
    shape = _prepared_shape(loaded, subjects)
    train = _train_size(loaded, len(subjects))
    cost = estimate(spec, allotment, shape, train)
    training, search = spec.training, spec.search
    store_gb = len(subjects) * 4 * float(np.prod(shape)) / 1e9
    feed = "resident" if store_gb * 1e9 <= settings.resident_limit_bytes else "streamed"
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_row("sweep", f"{spec.sweep_id} on this machine ({node.cpus:g} CPUs, {node.gpus:g} GPUs)")
    table.add_row("data", f"{len(subjects)} volumes {list(shape)}, {store_gb:.2g} GB decoded, {feed}; {train} to train on")
    runs = search.trials * len(search.seeds)
    table.add_row("runs", f"{search.trials} configurations x {len(search.seeds)} seeds = {runs} runs of {training.epochs} epochs")
    workers = f"{training.workers} x {training.cpus_per_worker} CPUs, {training.gpus_per_worker:g} GPUs"
    table.add_row("each", f"{workers}; about {cost.epoch_s:.2g} s an epoch with one worker on this CPU")
    table.add_row("at once", f"{allotment.concurrent} configurations; {RESERVED_CPUS} CPU more for drivers and reading")
    table.add_row("time", f"about {cost.hours:.2g} h if racing stops nothing")
    table.add_row("disk", f"about {cost.disk_gb + store_gb:.2g} GB")
    console.print(table, soft_wrap=True)
    if spec.budget.hours and cost.hours > spec.budget.hours:
        console.print(f"the budget of {spec.budget.hours:g} h ends it before that")


def _headers(subjects: list[Subject]) -> tuple[Counter[tuple[int, ...]], list[Rejected]]:
    shapes: Counter[tuple[int, ...]] = Counter()
    unreadable = []
    for subject in subjects:
        try:
            shapes[read_shape(subject.path)] += 1
        except UnreadableError as error:
            unreadable.append(Rejected(subject.id, subject.path, str(error)))
    return shapes, unreadable


def _check_counts(loaded: LoadedSpec, usable: int, rejected: int, labels: np.ndarray) -> None:
    data = loaded.spec.data
    if rejected > data.max_rejected * (usable + rejected):
        raise UserError(
            f"{data.participants}: {rejected} of {usable + rejected} subjects are rejected, more than "
            f"data.max_rejected {data.max_rejected:g} allows"
        )
    check_against_data(loaded, _train_size(loaded, usable), float(np.ptp(labels)))


def _train_size(loaded: LoadedSpec, usable: int) -> int:
    split = loaded.spec.data.split
    return usable - round(usable * split.test) - round(usable * split.validation)


def _prepared_shape(loaded: LoadedSpec, subjects: list[Subject]) -> tuple[int, ...]:
    transform = build_transforms(loaded.spec.data.transforms)
    for subject in subjects:
        try:
            return tuple(transform(read(subject.path)).shape)
        except UnreadableError:
            continue
    raise UserError(f"data.image: none of the {len(subjects)} images can be read")
