"""AdaCon: supervised contrast with margins that grow with the label distance (Dai et al. 2021)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from contrasweep.trainers.config import FeatureSpace, ModelConfig
from contrasweep.trainers.label_bins import label_bins
from contrasweep.trainers.losses._pairs import label_distance
from contrasweep.trainers.losses.base import Rows, register
from contrasweep.trainers.losses.supcon import SupCon
from contrasweep.trainers.network import JointNetwork, Network, projection_head
from contrasweep.trainers.parameters import NotNegative, Positive, Reduction
from contrasweep.trainers.probes import Probe
from contrasweep.trainers.regression import RegressionHead, readout


@register("adacon")
class AdaCon(SupCon):
    """`supcon` with margins: rows of other labels repel, the more the more of the labels lie in between:

        l_i = - mean_p log( exp(s_ip) / sum_{t != i} exp(s_it + m_it / temperature) )
        m_it = margin * |F(y_i) - F(y_t)|

    with s = cosine / temperature and p over the rows of the anchor's label. F is the empirical distribution of
    `train_labels` (of the batch's own without them), half of the samples at a label counting as below it; so the
    default margin, 2, spans the range of the cosine. With `bin_size`, in label units, a bin's labels are all one:
    floor(y / bin_size).

    This is what the authors' public code computes, where 1 / temperature is a scale of 150 and labels, ejection
    fractions, are told apart in steps of 0.05 %.

    `regression` is what the mean squared error, in label units, of a regression branch counts beside it: a
    RegressionHead that reads the encoder's features is trained along, and is the probe. 0 has none, and pretrains
    alone; 4/3 is Dai et al.'s, who add 0.75 of the contrast to the error (of the first view, where here it is of all).
    Then z are, in training, projections with the encoder's features [N, encoder_width] behind them, which the head
    reads, and without an `encoder_width` with its predictions [N, 1].

    >>> import torch
    >>> loss = AdaCon()
    >>> loss(torch.eye(4), torch.tensor([20.0, 30.0, 20.0, 30.0]), views=2).shape
    torch.Size([])
    """

    min_views = 2
    labels: Tensor | None

    def __init__(
        self,
        *,
        temperature: Positive = 1 / 150,
        margin: NotNegative = 2.0,
        bin_size: Positive | None = None,
        regression: NotNegative = 0.0,
        reduction: Reduction = "mean",
        train_labels: Sequence[float] | None = None,
        encoder_width: int | None = None,
    ) -> None:
        super().__init__(temperature=temperature, bin_size=bin_size, reduction=reduction)
        self.margin, self.regression = margin, regression
        labels = None if train_labels is None else label_bins(torch.tensor(train_labels, dtype=torch.float64), bin_size)
        self.register_buffer("labels", labels, persistent=False)
        self.end_to_end = regression > 0
        self.behind = encoder_width or 1
        self.head: RegressionHead | None = None
        if self.end_to_end and encoder_width is not None:
            assert train_labels is not None, "training decides encoder_width and train_labels together"
            self.head = RegressionHead(encoder_width, readout("mse", train_labels))

    def space(self, model: ModelConfig) -> FeatureSpace:
        """See `Loss.space`."""
        return "encoder" if self.end_to_end else super().space(model)

    def network(self, encoder: nn.Module, model: ModelConfig) -> Network:
        """See `Loss.network`; a regression branch reads the encoder, whatever a probe would read."""
        if not self.end_to_end:
            return super().network(encoder, model)
        return JointNetwork(encoder, projection_head(encoder, model))

    def compute(self, rows: Rows) -> Tensor:
        if not self.end_to_end:
            return super().compute(rows)
        projections, read = rows.z[:, : -self.behind], rows.z[:, -self.behind :]
        predictions = read.squeeze(1) if self.head is None else self.head.predict(self.head(read))
        error = F.mse_loss(predictions, rows.y.to(predictions.dtype))
        return super().compute(rows._replace(z=projections)) + self.regression * error

    def probe(self) -> Probe | None:
        return None if self.head is None else self.head.probe()

    def log_repulsion(self, rows: Rows, pairs: Tensor) -> Tensor:
        y = self.classes(rows)
        y = y if y.is_floating_point() else y.double()
        levels = distribution(y, y if self.labels is None else self.labels.to(y))
        margins = self.margin * label_distance(levels, pairs.dtype)
        return pairs + margins / self.temperature


def distribution(y: Tensor, labels: Tensor) -> Tensor:
    """F(y) of labels [n]: the share of them below y [N], and half of the share at y.

    >>> import torch
    >>> distribution(torch.tensor([1.0, 2.0, 5.0]), torch.tensor([2.0, 1.0, 2.0, 2.0]))
    tensor([0.1250, 0.6250, 1.0000], dtype=torch.float64)
    """
    ordered = labels.sort().values
    below, upto = (torch.searchsorted(ordered, y, right=right) for right in (False, True))
    return (below + upto).double() / (2 * len(ordered))
