"""Validation: a probe on the frozen embedding."""

import math
from collections.abc import Iterable
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from trainers.data.feeds import Batch, Feed
from trainers.distributed import rank, world_size
from trainers.errors import Diverged
from trainers.history import Row
from trainers.metrics import METRICS
from trainers.model import Network
from trainers.probe import DirectProbe, Probe, fit_ridge


class Embedding(NamedTuple):
    """Features [N, F] and labels [N] of a split, in the store's order, on the CPU."""

    features: Tensor
    labels: Tensor


@torch.no_grad()
def embed(network: Network, batches: Iterable[Batch], device: torch.device) -> Embedding:
    """Embed this worker's batches without augmentation, then gather all workers' rows.

    Raises Diverged where a feature is not finite.
    """
    network.eval()
    own = [
        (torch.as_tensor(batch.rows), network(batch.images.to(device)).features.float().cpu(), batch.labels)
        for batch in batches
    ]
    rows, features, labels = (torch.cat(parts) for parts in zip(*_all_workers(own), strict=True))
    if not features.isfinite().all():
        raise Diverged("the embedding holds numbers that are not finite")
    order = rows.argsort()
    return Embedding(features[order], labels[order])


def evaluate(network: Network, feed: Feed, *, batch_size: int, device: torch.device) -> tuple[Row, Probe]:
    """Metrics of a probe fitted on the training split and judged on the validation split.

    Every worker embeds its share and all return the same: `validation_*` for each metric of
    `trainers.metrics.METRICS` that is defined, in label units, and the probe; where one was fitted, `train_mae` too.
    """
    _share_buffers(network)

    def split(name: Literal["train", "validation"]) -> Embedding:
        share = feed.evaluation(name, batch_size=batch_size, rank=rank(), world_size=world_size())
        return embed(network, share, device)

    validation = split("validation")
    if network.features == "output":
        direct = DirectProbe()
        return judge(direct, validation), direct
    train = split("train")
    ridge = fit_ridge(*train, *validation)
    fitted = ridge.predict(train.features) - train.labels
    return judge(ridge, validation) | {"train_mae": float(fitted.abs().mean())}, ridge


def judge(probe: Probe, validation: Embedding) -> Row:
    """Each metric of a probe's predictions, left out where it is undefined, as r is of equal predictions."""
    truth, predicted = validation.labels.double().numpy(), probe.predict(validation.features).numpy()
    values = {f"validation_{name}": float(metric(truth, predicted)) for name, metric in METRICS.items()}
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
