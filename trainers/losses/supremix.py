"""SupReMix: supervised contrastive regression with mixtures (arXiv 2309.16633, Eq. 1-6)."""

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from scipy import special
from torch import Tensor

from contrasweep.trainers.label_bins import label_bins
from contrasweep.trainers.losses._kernels import Variant
from contrasweep.trainers.losses._masked import MASKED, logsumexp
from contrasweep.trainers.losses._mixtures import negative_logits, positive_sums
from contrasweep.trainers.losses._pairs import label_distance, log_pairs, similarity, unit
from contrasweep.trainers.losses._reductions import reduce_anchors
from contrasweep.trainers.losses._windows import Window
from contrasweep.trainers.losses.base import Loss, Rows, register
from contrasweep.trainers.parameters import Positive, PositiveOrInfinite

_LOG_WEIGHTS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "ratio": lambda d, label_range: ((1 + d) / label_range).log_(),
    "relative": lambda d, label_range: (d / label_range).log1p_(),
    "plain": lambda d, label_range: d.log1p(),
    "none": lambda d, label_range: torch.zeros_like(d),
}

_QUANTILES = 1 << 16
"""Equally likely mixing ratios that stand for Beta(alpha, beta): drawing one is 20 times cheaper than a Beta draw."""


@register("supremix")
class SupReMix(Loss):
    """Supervised contrastive loss with hard negatives and positives mixed from the batch's embeddings:

        l_i = - mean_p log( exp(s_ip) / sum_t w_it exp(s_it) )

    with s = cosine / temperature. p runs over rows of the anchor's label and Mix-pos: mixtures of a lower and
    a higher label, both within `window`, whose label is the anchor's. t runs over all rows but the anchor,
    Mix-pos, and Mix-neg: mixtures of the anchor with each row of another label, the anchor's share drawn from
    Beta(alpha, beta) for each pair. w grows with the label distance d of the pair:

    - `weight`: `ratio` (1 + d) / range, `relative` 1 + d / range, `plain` 1 + d, `none` 1; the range is
      `label_range` in label units, by default the batch's own (1 where the batch has one label).
    - `window`, inclusive: in label units, or with `window_unit="rank"` in ranks of the unique labels; inf has no bound.
    - `bin_size`, in label units: floor(y / bin_size) * bin_size is in place of each label y (Table 17).
    - `mix_neg`, `mix_pos`: leave out either kind of mixture (Table 9).
    - `reduction`: `mean` over positives, then anchors; `eq6` sums over positives and labels, mean in each label.
    - `variant="reference"` is the public code's strict window, plain weight, and mixtures neither renormalised
      nor differentiated, whatever the settings above.

    >>> import torch
    >>> loss = SupReMix(window=15.0)
    >>> loss(torch.eye(4), torch.tensor([20.0, 30.0, 40.0, 50.0])).shape
    torch.Size([])
    """

    features = "encoder"
    ratios: Tensor

    def __init__(
        self,
        *,
        temperature: Positive = 0.5,
        window: PositiveOrInfinite = 5.0,
        window_unit: Literal["label", "rank"] = "label",
        alpha: Positive = 2.0,
        beta: Positive = 8.0,
        weight: Literal["ratio", "relative", "plain", "none"] = "ratio",
        label_range: Positive | None = None,
        bin_size: Positive | None = None,
        mix_neg: bool = True,
        mix_pos: bool = True,
        renormalise: bool = True,
        detach_mixtures: bool = False,
        reduction: Literal["mean", "eq6"] = "mean",
        variant: Variant = "paper",
    ) -> None:
        super().__init__()
        reference = variant == "reference"
        self.temperature = temperature
        self.window = window
        self.window_unit = window_unit
        self.strict = reference
        self.log_weight = _LOG_WEIGHTS["plain" if reference else weight]
        self.label_range = label_range
        self.bin_size = bin_size
        self.mix_neg = mix_neg
        self.mix_pos = mix_pos
        self.renormalise = renormalise and not reference
        self.detach_mixtures = detach_mixtures or reference
        self.reduction = reduction
        levels = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
        self.register_buffer("ratios", torch.from_numpy(special.betaincinv(alpha, beta, levels)), persistent=False)

    def compute(self, rows: Rows) -> Tensor:
        if self.bin_size is not None:
            rows = rows._replace(y=label_bins(rows.y, self.bin_size) * self.bin_size)
        z = unit(rows.z)
        distance = label_distance(rows.y, z.dtype)
        pairs = log_pairs(z, rows.group)
        label_range = self._range(distance)
        logits = similarity(z, self.temperature)
        same = ((distance == 0) & (pairs == 0)).to(z.dtype)

        denominators = [logsumexp(logits, pairs + self.log_weight(distance, label_range))]
        total, positives = (same * logits).sum(1), same.sum(1)
        mixing, squared = self._mixing(z, logits)
        if self.mix_neg:
            ratio = self._draw(z) if rows.mix_ratio is None else rows.mix_ratio.to(z)
            weight = self.log_weight((1 - ratio) * distance, label_range)
            negatives = negative_logits(mixing, squared, ratio, self.temperature)
            denominators.append(logsumexp(negatives, pairs + MASKED * same + weight))
        if self.mix_pos:
            windows = self._windows(rows)
            mixed_total, log_sum = positive_sums(mixing, squared, windows)
            total, positives = total + mixed_total, positives + _count(windows).to(positives)
            denominators.append(log_sum + self.log_weight(distance.new_zeros(()), label_range))

        log_denominator = torch.stack(denominators, 1).logsumexp(1)
        if self.reduction == "eq6":
            values = (positives * log_denominator - total) / (same.sum(1) + 1)
            return reduce_anchors(values, positives > 0, "sum")
        return reduce_anchors(log_denominator - total / positives.clamp_min(1), positives > 0, "mean")

    def _range(self, distance: Tensor) -> Tensor:
        if self.label_range is not None:
            return distance.new_tensor(self.label_range)
        widest = distance.max()
        return torch.where(widest > 0, widest, 1.0)

    def _mixing(self, z: Tensor, logits: Tensor) -> tuple[Tensor, Tensor | None]:
        """Logits of anchors with rows to be mixed, and those rows' squared distances where mixtures are
        renormalised, [N, N]."""
        if self.detach_mixtures:
            logits = (z / self.temperature) @ z.detach().T
        cosines = (logits.detach() if self.detach_mixtures else logits) * self.temperature
        return logits, 2 - 2 * cosines if self.renormalise else None

    def _draw(self, z: Tensor) -> Tensor:
        quantiles = torch.randint(len(self.ratios), (len(z), len(z)), device=z.device)
        return self.ratios.to(z).take(quantiles)

    def _windows(self, rows: Rows) -> list[Window]:
        """One window for each group."""
        everyone = torch.arange(len(rows.y), device=rows.y.device)
        group = torch.zeros_like(everyone) if rows.group is None else rows.group
        return [
            Window.of(rows.y, everyone[group == g], self.window, rank=self.window_unit == "rank", strict=self.strict)
            for g in group.unique()
        ]


def _count(windows: list[Window]) -> Tensor:
    """Number of each row's Mix-pos, [N]."""
    order = torch.cat([window.order for window in windows])
    return torch.cat([window.counts for window in windows])[order.argsort()]
