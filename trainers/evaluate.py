"""Validation: a probe on the frozen embedding."""

import math
import time
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from contrasweep.trainers import probes
from contrasweep.trainers.config import RunConfig
from contrasweep.trainers.costs import COSTS
from contrasweep.trainers.covariates import beside
from contrasweep.trainers.data.feeds import Batch, Feed, arriving
from contrasweep.trainers.distributed import rank, world_size
from contrasweep.trainers.errors import Diverged
from contrasweep.trainers.history import EpochMetrics
from contrasweep.trainers.metrics import METRICS, shot_mae
from contrasweep.trainers.model import Model
from contrasweep.trainers.network import Network
from contrasweep.trainers.objectives import OBJECTIVES, Judged
from contrasweep.trainers.probes import Probe


class Embedding(NamedTuple):
    """Features [N, F], the covariates behind them, and labels [N] of a split, in the store's order, on the CPU."""

    features: Tensor
    labels: Tensor


def embed(network: Network, batches: Iterable[Batch]) -> Embedding:
    """Embed this worker's batches, which are on the network's device, then gather all workers' rows.

    Raises Diverged where a feature is not finite.
    """
    return embed_timed(network, batches)[0]


@torch.no_grad()
def embed_timed(network: Network, batches: Iterable[Batch]) -> tuple[Embedding, float]:
    """As `embed`, and how many seconds the network took for a scan, without the time that batches took to arrive."""
    network.eval()
    own = [_embedded(network, batch) for batch in batches]
    rows, features, labels, seconds = (torch.cat(parts) for parts in zip(*_all_workers(own), strict=True))
    if not features.isfinite().all():
        raise Diverged("the embedding holds numbers that are not finite")
    order = rows.argsort()
    return Embedding(features[order], labels[order]), float(seconds.sum()) / len(rows)


def _embedded(network: Network, batch: Batch) -> tuple[Tensor, ...]:
    """Rows, features with covariates, labels, and the seconds [1] that this took."""
    started = time.perf_counter()
    features = network(batch.images).features.float().cpu()  # on the CPU: a GPU has finished by then
    seconds = torch.tensor([time.perf_counter() - started], dtype=torch.float64)
    return torch.as_tensor(batch.rows), beside(features, batch.covariates), batch.labels, seconds


def evaluate(model: Model, feed: Feed, run: RunConfig, device: torch.device) -> tuple[EpochMetrics, Probe]:
    """Metrics on the validation split of the model's own regression head, or of a probe fitted on the training split.

    Every worker embeds its share and all return the same: `validation_*` for each metric of
    `trainers.metrics.METRICS` that is defined, in label units, `validation_mae_many`, `_medium` and `_few` for labels
    that are frequent or rare in training, the run's objectives and costs beyond these, and the probe; where one was
    fitted, `train_mae` too. Labels are the table's, whatever the method was taught.
    """
    _share_buffers(model.network)

    def split(name: Literal["train", "validation"]) -> tuple[Embedding, float]:
        share = feed.evaluation(name, batch_size=run.training.batch_size, rank=rank(), world_size=world_size())
        return embed_timed(model.network, arriving(share, device, feed.normalization))

    validation, seconds_per_scan = split("validation") if feed.validates else (None, math.nan)

    def row(probe: Probe) -> EpochMetrics:
        if validation is None:
            return {}
        known = judge(probe, validation, feed.table_labels) | further(run.objectives, probe, validation, feed)
        return known | costs(run.costs, model.network, seconds_per_scan, device)

    trained = model.loss.probe()
    if trained:
        return row(trained), trained
    train, _ = split("train")
    ((name, params),) = run.probe.items()
    fitted = probes.build(name, **params).fit(*train, seed=run.seed)
    errors = fitted.predict(train.features) - train.labels
    return row(fitted) | {"train_mae": float(errors.abs().mean())}, fitted


def judge(probe: Probe, validation: Embedding, train_labels: Sequence[float]) -> EpochMetrics:
    """Each metric of a probe's predictions, left out where it is undefined, as r is of equal predictions.

    Raises Diverged where a prediction is not finite.
    """
    truth, predicted = validation.labels.double().numpy(), probe.predict(validation.features).numpy()
    if not np.isfinite(predicted).all():
        raise Diverged("the probe's predictions hold numbers that are not finite")
    values = {f"validation_{name}": float(metric(truth, predicted)) for name, metric in METRICS.items()}
    values |= {f"validation_mae_{name}": value for name, value in shot_mae(truth, predicted, train_labels).items()}
    return {name: value for name, value in values.items() if math.isfinite(value)}


def further(objectives: Sequence[str], probe: Probe, validation: Embedding, feed: Feed) -> EpochMetrics:
    """Those of `objectives` that `judge` does not measure; all of them need the feed's groups."""
    wanted = {one.key: one.measure for name in objectives if (one := OBJECTIVES[name]).measure is not None}
    if not wanted:
        return {}
    assert feed.validation_groups is not None
    images = validation.features.shape[1] - (len(feed.covariates) if feed.covariates else 0)
    judged = Judged(
        labels=validation.labels.double().numpy(),
        predictions=probe.predict(validation.features).numpy(),
        groups=feed.validation_groups,
        features=validation.features[:, :images].numpy(),
    )
    return {key: measure(judged) for key, measure in wanted.items() if measure is not None}


def costs(names: Sequence[str], network: Network, seconds_per_scan: float, device: torch.device) -> EpochMetrics:
    """Those of `trainers.costs.COSTS` in `names` that are known when a model is evaluated.

    Memory is the most that was allocated on this worker's GPU since the run began.
    """
    known = {
        "seconds_per_scan": seconds_per_scan,
        "parameters": float(sum(parameter.numel() for parameter in network.encoder.parameters())),
    }
    if device.type == "cuda":
        known["gpu_memory_gb"] = torch.cuda.max_memory_allocated(device) / 1e9
    return {COSTS[name].key: known[name] for name in names if name in known}


def _share_buffers(network: Network) -> None:
    """Give every worker the first one's buffers, which are the ones a checkpoint keeps.

    BatchNorm on a CPU counts each worker's own rows, so that its running statistics drift apart.
    """
    if world_size() > 1:
        for buffer in network.buffers():
            torch.distributed.broadcast(buffer, src=0)


def _all_workers(own: list[tuple[Tensor, ...]]) -> list[tuple[Tensor, ...]]:
    if world_size() == 1:
        return own
    shares: list[list[tuple[Tensor, ...]] | None] = [None] * world_size()
    torch.distributed.all_gather_object(shares, own)
    return [part for share in shares for part in share or []]
