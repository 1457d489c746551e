"""A linear layer trained by gradient descent on the frozen features: the probe of the SupReMix paper."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from contrasweep.trainers.parameters import BelowOne, Count, NotNegative, Positive, Several, UpToOne
from contrasweep.trainers.probes._standardise import moments
from contrasweep.trainers.probes.base import PROBES
from contrasweep.trainers.probes.head import HeadProbe
from contrasweep.trainers.regression import Kind, RegressionHead, readout


@PROBES.register("linear")
@dataclass(frozen=True)
class Linear:
    """Linear probing: a regression head trained for `epochs` on features that are computed once.

    SGD with momentum on standardised features and labels, the learning rate falling to 0 along a cosine. `lr` is
    divided by the curvature of the mean squared error and the noise of its batches, so that it means the same for
    every embedding and `mse` does not diverge up to an `lr` of 1; the cross-entropy of `dex` is flatter, and fits
    better near 1. The paper gives the 100 epochs alone; the weight decay, of weights and not of the bias, is its
    pre-training's.

    Args:
        kind, bend, bins, soft_bin, soft_sd: the error, as `trainers.regression.readout` has it.
    """

    kind: Kind = "l1"
    epochs: Count = 100
    lr: UpToOne = 0.3
    batch_size: Count = 64
    momentum: BelowOne = 0.9
    weight_decay: NotNegative = 1e-4
    bend: Positive = 1.0
    bins: Several = 101
    soft_bin: Positive = 1.0
    soft_sd: Positive = 1.0

    def fit(self, features: Tensor, labels: Tensor, seed: int = 0) -> HeadProbe:
        """As `Fitter.fit`."""
        mean, scale = moments(features.double())
        standardised = (features.double() - mean) / scale
        scale = scale * _steepness(standardised, self.batch_size * (1 - self.momentum)).clamp_min(1)
        centre, spread = labels.double().mean(), float(moments(labels.double()[:, None])[1])
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            trained = self._train((features.double() - mean) / scale, (labels.double() - centre) / spread, spread)
        weight = trained.weight / scale
        bias = trained.bias - weight @ mean
        if trained.centres is None:
            return HeadProbe(spread * weight, spread * bias + centre)
        return HeadProbe(weight, bias, spread * trained.centres + centre)

    def _train(self, features: Tensor, labels: Tensor, spread: float) -> HeadProbe:
        """The head after the last epoch, on standardised features and labels, whose unit is `spread` of the table's."""
        lengths = {"bend": self.bend, "soft_bin": self.soft_bin, "soft_sd": self.soft_sd}
        own = {name: length / spread for name, length in lengths.items()}
        head = RegressionHead(features.shape[1], readout(self.kind, labels, bins=self.bins, **own)).double()
        weight, bias = head.linear.weight, head.linear.bias
        groups = [{"params": [weight], "weight_decay": self.weight_decay}, {"params": [bias], "weight_decay": 0.0}]
        optimizer = torch.optim.SGD(groups, lr=self.lr, momentum=self.momentum)
        steps = self.epochs * math.ceil(len(labels) / self.batch_size)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        for _ in range(self.epochs):
            for rows in torch.randperm(len(labels)).split(self.batch_size):
                optimizer.zero_grad()
                head.errors(head(features[rows]), labels[rows]).mean().backward()
                optimizer.step()
                schedule.step()
        return head.probe()


def _steepness(standardised: Tensor, rows: float) -> Tensor:
    """Root of the covariance of features [N, F] along its widest direction, and of its noise in a mean over `rows`."""
    curvature = torch.linalg.eigvalsh(standardised.T @ standardised / len(standardised))[-1]
    steepness: Tensor = (curvature + standardised.square().sum(1).mean() / rows).sqrt()
    return steepness
