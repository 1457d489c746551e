"""Validation: a probe on the frozen embedding."""

import math
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from trainers import probes
from trainers.config import RunConfig
from trainers.covariates import beside
from trainers.data.feeds import Batch, Feed, arriving
from trainers.distributed import rank, world_size
from trainers.errors import Diverged
from trainers.history import EpochMetrics
from trainers.metrics import METRICS, shot_mae
from trainers.model import Model
from trainers.network import Network
from trainers.probes import Probe


class Embedding(NamedTuple):
    """Features [N, F], the covariates behind them, and labels [N] of a split, in the store's order, on the CPU."""

    features: Tensor
    labels: Tensor


@torch.no_grad()
def embed(network: Network, batches: Iterable[Batch]) -> Embedding:
    """Embed this worker's batches, which are on the network's device, then gather all workers' rows.

    Raises Diverged where a feature is not finite.
    """
    network.eval()
    own = [
        (
            torch.as_tensor(batch.rows),
            beside(network(batch.images).features.float().cpu(), batch.covariates),
            batch.labels,
        )
        for batch in batches
    ]
    rows, features, labels = (torch.cat(parts) for parts in zip(*_all_workers(own), strict=True))
    if not features.isfinite().all():
        raise Diverged("the embedding holds numbers that are not finite")
    order = rows.argsort()
    return Embedding(features[order], labels[order])


def evaluate(model: Model, feed: Feed, run: RunConfig, device: torch.device) -> tuple[EpochMetrics, Probe]:
    """Metrics on the validation split of the model's own regression head, or of a probe fitted on the training split.

    Every worker embeds its share and all return the same: `validation_*` for each metric of
    `trainers.metrics.METRICS` that is defined, in label units, `validation_mae_many`, `_medium` and `_few` for labels
    that are frequent or rare in training, and the probe; where one was fitted, `train_mae` too. Labels are the table's,
    whatever the method was taught.
    """
    _share_buffers(model.network)

    def split(name: Literal["train", "validation"]) -> Embedding:
        share = feed.evaluation(name, batch_size=run.training.batch_size, rank=rank(), world_size=world_size())
        return embed(model.network, arriving(share, device, feed.normalization))

    validation = split("validation") if feed.validates else None
    trained = model.loss.probe()
    if trained:
        return judge(trained, validation, feed.table_labels), trained
    train = split("train")
    ((name, params),) = run.probe.items()
    held_out = validation or Embedding(train.features[:0], train.labels[:0])
    fitted = probes.build(name, **params).fit(*train, *held_out, seed=run.seed)
    errors = fitted.predict(train.features) - train.labels
    return judge(fitted, validation, feed.table_labels) | {"train_mae": float(errors.abs().mean())}, fitted


def judge(probe: Probe, validation: Embedding | None, train_labels: Sequence[float]) -> EpochMetrics:
    """Each metric of a probe's predictions, left out where it is undefined, as r is of equal predictions.

    Raises Diverged where a prediction is not finite.
    """
    if validation is None:
        return {}
    truth, predicted = validation.labels.double().numpy(), probe.predict(validation.features).numpy()
    if not np.isfinite(predicted).all():
        raise Diverged("the probe's predictions hold numbers that are not finite")
    values = {f"validation_{name}": float(metric(truth, predicted)) for name, metric in METRICS.items()}
    values |= {f"validation_mae_{name}": value for name, value in shot_mae(truth, predicted, train_labels).items()}
    return {name: value for name, value in values.items() if math.isfinite(value)}


def _share_buffers(network: Network) -> None:
    """Give every worker the first one's buffers, which are the ones a checkpoint keeps.

    BatchNorm on a CPU counts each worker's own rows, so that its running statistics drift apart.
    """
    if world_size() > 1:
        for buffer in network.buffers():
            torch.distributed.broadcast(buffer, src=0)


def _all_workers(own: list[tuple[Tensor, Tensor, Tensor]]) -> list[tuple[Tensor, Tensor, Tensor]]:
    if world_size() == 1:
        return own
    shares: list[list[tuple[Tensor, Tensor, Tensor]] | None] = [None] * world_size()
    torch.distributed.all_gather_object(shares, own)
    return [part for share in shares for part in share or []]
