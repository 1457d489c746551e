"""Direct regression, trained end to end: the baseline of both papers."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from contrasweep.trainers import regression
from contrasweep.trainers.losses.base import Loss, Rows, register
from contrasweep.trainers.parameters import Positive, Several
from contrasweep.trainers.probes import Probe
from contrasweep.trainers.regression import Kind, RegressionHead


@register("vanilla")
class Vanilla(Loss):
    """Mean error of predictions: absolute (`l1`), squared (`mse`), `huber` with a bend at `bend` label units, or
    deep expectation over `bins` label bins (`dex`), or soft labels of deviation `soft_sd` over bins of `soft_bin` label
    units (`soft`), all as `trainers.regression.readout` has them.

    In training, z are the encoder's features [N, width] and the loss trains its own RegressionHead. Without a
    `width` they are the head's outputs themselves: predictions [N, 1] in label units, for `dex` and `soft` logits
    [N, bins].
    The range of the bins is that of `train_labels`, or of the batch where there are none.

    >>> import torch
    >>> float(Vanilla()(torch.tensor([[30.0], [44.0]]), torch.tensor([31.0, 41.0])))
    2.0
    """

    features = "encoder"
    reads = "encoder"
    end_to_end = True

    def __init__(
        self,
        *,
        kind: Kind = "l1",
        bend: Positive = 1.0,
        bins: Several = 101,
        soft_bin: Positive = 1.0,
        soft_sd: Positive = 1.0,
        train_labels: Sequence[float] | None = None,
        width: int | None = None,
    ) -> None:
        super().__init__()
        self.train_labels = train_labels
        self.readout = partial(regression.readout, kind, bend=bend, bins=bins, soft_bin=soft_bin, soft_sd=soft_sd)
        self.head: RegressionHead | None = None
        self.columns = width or {"dex": bins, "soft": None}.get(kind, 1)
        if width is not None:
            assert train_labels is not None, "training decides width and train_labels together"
            self.head = RegressionHead(width, self.readout(train_labels))

    def compute(self, rows: Rows) -> Tensor:
        return (self.weights(rows.y).to(rows.z.dtype) * self.errors(rows)).mean()

    def errors(self, rows: Rows) -> Tensor:
        """The error [N] of each row."""
        if self.head is not None:
            return self.head.errors(self.head(self.calibrated(rows)), rows.y)
        labels = rows.y if self.train_labels is None else self.train_labels
        return self.readout(labels).to(rows.z.device).errors(rows.z, rows.y)

    def calibrated(self, rows: Rows) -> Tensor:
        """The features [N, width] that the head reads."""
        return rows.z

    def weights(self, y: Tensor) -> Tensor:
        """What the error of each row with labels y [N] counts, [N]."""
        return torch.ones_like(y)

    def probe(self) -> Probe | None:
        return None if self.head is None else self.head.probe()
