"""`contrasweep plan`: what a sweep would take, with nothing begun."""

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
from rich.console import Console

from contrasweep.services.cluster.places import Allotment, Node, allot
from contrasweep.services.data.prepare import by_store
from contrasweep.services.data.validate import list_cohorts, list_each, prepared_shapes, searches_of
from contrasweep.services.data.weights import check_all_weights
from contrasweep.services.records.answers import Planned, PlannedData
from contrasweep.services.settings import Settings
from contrasweep.services.spec.checks import check_image_shapes
from contrasweep.services.spec.methods import all_of_grid, training_sizes
from contrasweep.services.spec.spec import GRID, LoadedSpec, Options, SearchConfig, SeedPlan, SweepSpec
from contrasweep.trainers.data.splits import Splits, make_splits
from contrasweep.trainers.rehearsal import SUSTAINED_TFLOPS, lacks_gpu, reckon, rehearse


def make_plan(loaded: LoadedSpec, settings: Settings, nodes: Sequence[Node], weights: Path | None = None) -> Planned:
    """What the sweep would take on `nodes`, and what `weights` fit. Raises UserError on what would block it."""
    spec = loaded.spec
    allotment = allot(spec, nodes)
    listed = list_each(loaded, settings.data_roots)
    shapes = prepared_shapes(loaded, {options: scans for options, (scans, _) in listed.items()})
    check_image_shapes(loaded, shapes)
    start = check_all_weights(loaded, weights, shapes, Console(quiet=True)) if weights else ""
    (shape, *_), ((scans, rejected), *_) = shapes.values(), listed.values()
    whole = make_splits(scans, spec.data.stratified_split)  # all options leave the same scans
    parts = {options: searches_of(whole, listed[options][0], one.spec.data) for options, one in loaded.readings.items()}
    (first, *_), *_ = parts.values()
    folds = len(whole.searches[0].folds)
    cost = _cost(loaded, parts, folds, allotment, shapes)
    store_gb = external_gb = 0.0
    for together in by_store(loaded):
        (options, reading), *_ = together.items()
        volume_gb = np.dtype(reading.spec.data.dtype).itemsize * float(np.prod(shapes[options])) / 1e9
        external = sum(map(len, list_cohorts(reading, settings.data_roots).values()))
        store_gb, external_gb = store_gb + len(scans) * volume_gb, external_gb + external * volume_gb
    seed_epochs = [plan.seed_epochs for plan in spec.plans]
    training = spec.training
    gpus_at_once = allotment.concurrent * training.workers * training.gpus_per_worker
    return Planned(
        id=loaded.sweep_id,
        subjects=len(scans),
        rejected=len(rejected),
        external=external,
        train=len(first.train),
        unlabelled=len(first.unlabelled),
        untrained=len(first.untrained),
        image_shape=shape,
        read=_read(parts, shapes),
        decoded_gb=store_gb,
        feed="resident" if store_gb * 1e9 <= settings.resident_limit_bytes else "stream",
        trials=spec.search.trials,
        methods=_shares(spec),
        seeds=len(spec.search.seeds),
        folds=folds,
        outer=len(whole.outer),
        refits=len(spec.search.seeds) * len(whole.searches) if spec.search.refit else 0,
        ensemble=spec.final.ensemble or 0,
        fresh=spec.search.judged_fresh * len(spec.plan_over(folds).finals.replicates) * len(whole.searches),
        epochs=max(seed_epochs),
        fewest_epochs=min(seed_epochs),
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
        reckoned_tflops=SUSTAINED_TFLOPS if lacks_gpu(training) else 0.0,
        test_hours=cost.test_hours,
        disk_gb=cost.disk_gb + store_gb + external_gb,
        racing=_idle_racing(spec.search),
        start=start,
    )


def _shares(spec: SweepSpec) -> dict[str, int]:
    """How many configurations each of several methods gets, points included; empty where the sampler chooses."""
    search = spec.search
    if not search.fair or len(search.spaces) == 1:
        return {}
    if search.sampler == GRID:
        return Counter(one.method for one in all_of_grid(spec))
    points = Counter(point.method for point in search.points[: search.trials])
    whole, rest = divmod(search.trials - points.total(), len(search.spaces))
    return {method: points[method] + whole + (place < rest) for place, method in enumerate(search.spaces)}


def _idle_racing(search: SearchConfig) -> str:
    """Why racing can stop nothing; empty where it can, or is not wanted."""
    if search.racing is None or search.parallel < search.trials:
        return ""
    return f"stops nothing: search.parallel {search.parallel} lets all {search.trials} begin before one has ended"


@dataclass(frozen=True)
class Estimate:
    """What a search will cost, or, multiplied, several, if racing stops nothing.

    Attributes:
        epoch_s: seconds of one epoch with one worker, measured here, or reckoned for a GPU.
        hours: wall time.
        disk_gb: checkpoints of all runs, in 10^9 bytes.
        test_hours: wall time of the end, when all runs predict the test split, and are read, one after the other.
    """

    epoch_s: float
    hours: float
    disk_gb: float
    test_hours: float

    def __mul__(self, searches: int) -> "Estimate":
        return Estimate(self.epoch_s, self.hours * searches, self.disk_gb * searches, self.test_hours * searches)


def estimate(
    spec: SweepSpec,
    plan: SeedPlan,
    allotment: Allotment,
    shape: tuple[int, ...],
    train_sizes: Sequence[int],
    tested: float = 0,
) -> Estimate:
    """Train for real on noise of the right shape, here and with one worker, and multiply: what one search costs. On
    GPUs that this machine has not it is reckoned.

    `train_sizes` are of the methods and outer folds, and what options make of `plan` of them: all are taken to come
    equally often. `tested` is how many scans each run predicts in the end.
    """
    training = spec.sized({"batch_size": spec.largest_batch}).training
    measure = reckon if lacks_gpu(training) else rehearse
    measured = measure(spec.model, training, shape)
    epoch_s = measured.step_s * statistics.fmean(size // training.batch_size for size in train_sizes)
    runs = spec.search.trials * len(plan.replicates) + (len(plan.seeds) if spec.search.refit else 0)
    runs += spec.search.judged_fresh * len(plan.finals.replicates)
    seed_epochs = statistics.fmean(one.seed_epochs for one in spec.plans)
    hours = epoch_s / training.workers * seed_epochs * runs / allotment.concurrent / 3600
    test_hours = measured.scan_s * tested * runs / 3600
    kept = len(spec.read.epochs) * measured.weights_bytes if spec.read else 0
    return Estimate(epoch_s, hours, runs * (measured.checkpoint_bytes + kept) / 1e9, test_hours)


def _cost(
    loaded: LoadedSpec,
    parts: Mapping[Options, Sequence[Splits]],
    folds: int,
    allotment: Allotment,
    shapes: Mapping[Options, tuple[int, ...]],
) -> Estimate:
    """What the sweep costs, all its searches, where all that configurations may read comes equally often."""
    costs = []
    for options, reading in loaded.readings.items():
        spec = reading.spec
        sizes = [
            size
            for splits in parts[options]
            for size in training_sizes(spec.search.spaces, len(splits.train), len(splits.unlabelled)).values()
        ]
        tested = statistics.fmean(_predicted(spec, splits) for splits in parts[options])
        cost = estimate(spec, spec.plan_over(folds), allotment, shapes[options], sizes, tested)
        costs.append(cost * len(parts[options]))
    return Estimate(*map(statistics.fmean, zip(*map(astuple, costs), strict=True)))


def _predicted(spec: SweepSpec, splits: Splits) -> int:
    """Scans that each run embeds in the end; an ensemble is chosen by validation, and `read` is of all splits."""
    weights = 1 + len(spec.read.epochs) if spec.read else 0
    read = weights * (len(splits.train) + len(splits.validation) + len(splits.test))
    return read + len(splits.test) + (len(splits.validation) if spec.final.ensemble else 0)


def _read(
    parts: Mapping[Options, Sequence[Splits]], shapes: Mapping[Options, tuple[int, ...]]
) -> dict[str, PlannedData]:
    """What configurations read, by their options; nothing where all read the same."""
    return {
        ", ".join(map(".".join, options)): PlannedData(
            image_shape=shapes[options], train=len(splits.train), untrained=len(splits.untrained)
        )
        for options, (splits, *_) in parts.items()
        if options
    }
