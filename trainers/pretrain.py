"""The worker loop of one configuration and one seed: under Ray Train, or alone in a plain process."""

import math
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from contrasweep.trainers.augmentations import Augmenter
from contrasweep.trainers.config import RunConfig
from contrasweep.trainers.covariates import beside
from contrasweep.trainers.data.feeds import Batch, Feed, arriving
from contrasweep.trainers.distributed import first_says, gather_views, rank, world_size
from contrasweep.trainers.errors import Diverged, UserError
from contrasweep.trainers.evaluate import evaluate
from contrasweep.trainers.history import COMPLETE, PRUNED, RUNNING, EpochMetrics, History, Verdict
from contrasweep.trainers.losses import Rows, Samples
from contrasweep.trainers.objectives import OBJECTIVES
from contrasweep.trainers.schedule import learning_rate
from contrasweep.trainers.seeding import fold
from contrasweep.trainers.state import TrainState

OnEpoch = Callable[[EpochMetrics], Verdict]
WIDEST_KERNEL = 7
"""Of all encoders, in voxels."""


def go_on(row: EpochMetrics) -> Verdict:
    """Train to the end."""
    return Verdict.GO


def pretrain(run: RunConfig, feed: Feed, folder: Path, *, device: torch.device, on_epoch: OnEpoch = go_on) -> History:
    """Train one configuration with one seed, or go on from where `folder` says it was interrupted.

    With 0 epochs nothing is trained: the history has one epoch, of the model as it begins, without rate and loss.

    Interrupted anywhere and resumed gives the same bits as never interrupted, on one machine's CPUs: every draw
    is keyed by what it is for. (CUDA has no deterministic kernel for some backward passes.) With
    several workers, each calls this in its own process with torch.distributed initialised; the loss sees the
    global batch.

    Args:
        run: model, training, method and seed.
        feed: batches of the training split and both splits for evaluation; never the test split. Where nobody is
            validated on, `checkpoint` must be `last`.
        folder: receives `latest.pt` (after every epoch, and every `SAVE_EVERY_S` of a long one), `best.pt` (of the
            epoch that counts: see `TrainingConfig.checkpoint`), the files of `RunConfig.keep` and `history.json`.
        device: where this worker computes.
        on_epoch: called on rank 0 with each epoch's metrics; all workers follow its verdict.

    Returns:
        The history: complete, pruned, or still running where `on_epoch` said to pause. A pruned run that is
        called again goes on; one pruned after its last epoch is whole, and stays.

    Raises:
        Diverged: the loss or the embedding became NaN or infinite, or no epoch has an objective.
        UserError: the loss refuses its parameters or the batch.
    """
    make_deterministic(run.training.cpus_per_worker, feed.image_shape)
    augment = Augmenter(run.training.augmentations, feed.image_shape, run.seed)
    state = TrainState.start(run, feed, folder, device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    history, epochs = state.history, run.epochs
    while len(history.epochs) < epochs:
        epoch = len(history.epochs)
        row: EpochMetrics = {"epoch": epoch}
        if run.training.epochs:
            row |= trained_epoch(state, augment, feed, run, folder)
        ends = epoch + 1 == epochs
        if ends or (feed.validates and (epoch + 1) % run.training.evaluate_every == 0):
            metrics, probe = evaluate(state.evaluated, feed, run, device)
            row |= metrics
            if ends if history.last else history.ranked(row) < history.best:
                state.save_best(folder, probe, row)
        if epoch + 1 in run.keep:
            state.save_epoch(folder, row)
        history.epochs.append(row | {"epoch_s": time.monotonic() - state.began})
        if ends and feed.validates and math.isinf(history.ranked(row) if history.last else history.best):
            raise Diverged(f"{OBJECTIVES[history.objective].heading} is undefined in every epoch of seed {run.seed}")
        verdict = agree(on_epoch, history.epochs[-1], device)
        finished = COMPLETE if len(history.epochs) == epochs else RUNNING
        history.state = PRUNED if verdict is Verdict.PRUNE else finished
        state.save_latest(folder)
        if verdict is not Verdict.GO:
            break
    return history


def make_deterministic(threads: int, image_shape: tuple[int, ...]) -> None:
    """The same sums in the same order each time: a fixed number of threads, and no choice of kernels by speed.

    Where a 3-D kernel is wider than the image, oneDNN's gradient reads memory that nothing was written to.
    """
    torch.set_num_threads(threads)
    torch.backends.mkldnn.set_flags(_enabled=len(image_shape) < 4 or min(image_shape[1:]) > WIDEST_KERNEL)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True


def trained_epoch(state: TrainState, augment: Augmenter, feed: Feed, run: RunConfig, folder: Path) -> EpochMetrics:
    """Train an epoch, or the rest of it: its learning rate and mean loss."""
    lr = learning_rate(run.training, len(state.history.epochs))
    state.begin_epoch(lr)
    return {"lr": lr, "loss": train_epoch(state, augment, feed, run, folder)}


def train_epoch(state: TrainState, augment: Augmenter, feed: Feed, run: RunConfig, folder: Path) -> float:
    """One pass over the training split, or the rest of it; the mean loss of its steps, the same on every worker.

    A batch in which no row counts has a loss of exactly 0, and is left out of the mean.
    """
    config, loss, epoch, done = run.training, state.model.loss, len(state.history.epochs), len(state.losses)
    share = feed.epoch(
        epoch,
        seed=run.seed,
        batch_size=config.batch_size,
        rank=rank(),
        world_size=world_size(),
        start=done,
        unlabelled=not loss.needs_labels,
    )
    for step, batch in enumerate(arriving(share, state.device, feed.normalization), done):
        samples, group = augmented(batch, augment, epoch=epoch, views=config.views, device=state.device)
        torch.manual_seed(fold(run.seed, epoch, step, "mix"))
        samples = loss.mix(samples, group, config.views)
        torch.manual_seed(fold(run.seed, epoch, step, rank()))
        with state.autocast():
            z = state.network(samples.images).output
        z = beside(z, samples.covariates) if loss.end_to_end else z
        rows = global_rows(z, samples.y, group, epoch=epoch, views=config.views)
        torch.manual_seed(fold(run.seed, epoch, step, "loss"))
        value = loss(*rows)
        state.step(value)
        loss.remember(rows._replace(z=rows.z.detach().float()))
        state.losses.append(value.detach())
        state.save_in_time(folder)
    loss.end_epoch(epoch)
    told = torch.stack(state.losses)
    state.losses, told = [], told[told != 0]
    if not len(told):
        raise UserError(
            f"method '{run.method.name}': no row of epoch {epoch} had another to attract; "
            f"training.views: 2 gives each one, as do labels that repeat"
        )
    mean = float(told.mean())
    if not math.isfinite(mean):
        raise Diverged(f"the loss is {mean} in epoch {epoch} of seed {run.seed}")
    return mean


def augmented(
    batch: Batch, augment: Augmenter, *, epoch: int, views: int, device: torch.device
) -> tuple[Samples, Tensor | None]:
    """This worker's rows, view by view, and their groups [views * b]."""
    images = augment(batch.images, batch.rows, epoch=epoch, views=views)
    covariates = None if batch.covariates is None else batch.covariates.to(device).repeat(views, 1)
    group = None if batch.groups is None else batch.groups.to(device).repeat(views)
    return Samples(images, batch.labels.to(device).repeat(views), covariates), group


def global_rows(z: Tensor, y: Tensor, group: Tensor | None, *, epoch: int, views: int) -> Rows:
    """The global batch out of every worker's rows [views * b], with gradients to this worker's z."""
    everyone = None if group is None else gather_views(group, views)
    return Rows(gather_views(z, views), gather_views(y, views), epoch, views, everyone, None)


def agree(on_epoch: OnEpoch, row: EpochMetrics, device: torch.device) -> Verdict:
    """Rank 0 asks; every worker hears the same verdict, so that they leave the loop together."""
    return Verdict(first_says(on_epoch(row).value if rank() == 0 else 0, device))
