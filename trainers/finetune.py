"""A seed from its start to the model that is judged: pretraining, then fine-tuning where that is the probe."""

from pathlib import Path

import torch

from contrasweep.trainers.config import RunConfig, finetuning
from contrasweep.trainers.data.feeds import Feed
from contrasweep.trainers.history import COMPLETE, EpochMetrics, History, of_stage
from contrasweep.trainers.pretrain import OnEpoch, go_on, pretrain

FIRST_STAGE = "pretraining"


def train_seed(
    run: RunConfig,
    feed: Feed,
    folder: Path,
    *,
    device: torch.device,
    on_epoch: OnEpoch = go_on,
    on_earlier_epoch: OnEpoch = go_on,
) -> History:
    """Train one configuration with one seed; see `trainers.pretrain.pretrain`.

    Where the probe is `finetune`, that is two stages, each resumed exactly: the first in a folder of its own,
    the second from its best epoch. `on_earlier_epoch` is called with the first stage's metrics, named
    `pretraining_*`; only the second is judged, and the returned history is the second's. As a probe it learns the
    table's labels, whatever the first was taught.
    """
    if finetuning(run.probe) is None:
        return pretrain(run, feed, folder, device=device, on_epoch=on_epoch)
    first = folder / FIRST_STAGE
    watched = told_as(FIRST_STAGE, on_earlier_epoch)
    history = pretrain(run.pretraining(), feed, first, device=device, on_epoch=watched)
    if history.state != COMPLETE:
        return History(run.seed, objective=run.objectives[0])
    tuned = run.finetuning().beginning_with(first / "best.pt")
    return pretrain(tuned, feed.by_table(), folder, device=device, on_epoch=on_epoch)


def earlier_epochs(folder: Path) -> list[EpochMetrics]:
    """The metrics of a seed run's first stage, as `on_earlier_epoch` hears them; none where it had but one."""
    history = History.read(folder / FIRST_STAGE)
    return [of_stage(FIRST_STAGE, row) for row in history.epochs] if history else []


def told_as(stage: str, on_epoch: OnEpoch) -> OnEpoch:
    """`on_epoch` for an earlier stage, whose metrics it is told as `of_stage` names them."""
    return lambda row: on_epoch(of_stage(stage, row))
