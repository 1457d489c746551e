"""The losses once more, as plain loops over the equations with mixtures really built: what the tests compare with."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

DISTANCES: dict[str, Callable[[Tensor], float]] = {
    "manhattan": lambda v: float(v.abs().sum()),
    "euclidean": lambda v: float(v.square().sum().sqrt()),
    "chebyshev": lambda v: float(v.abs().max()),
    "cosine": lambda v: float(v.square().sum() / 2),
}
KERNELS: dict[str, Callable[[float, float], float]] = {
    "rbf": lambda d, sigma: math.exp(-(d**2) / (2 * sigma**2)),
    "cauchy": lambda d, sigma: 1 / (1 + (d / sigma) ** 2),
    "triangular": lambda d, sigma: max(0.0, 1 - abs(d) / sigma),
}
WEIGHTS: dict[str, Callable[[float, float], float]] = {
    "ratio": lambda d, label_range: (1 + d) / label_range,
    "relative": lambda d, label_range: 1 + d / label_range,
    "plain": lambda d, label_range: 1 + d,
    "none": lambda d, label_range: 1.0,
}


def unit(v: Tensor) -> Tensor:
    return v.div(v.norm())


def dynlocrep(
    z: Tensor, y: Tensor, rows: int, distance: str, *, lam: float = math.inf, kernel: str = "rbf", sigma: float = 2.0
) -> float:
    """Mean over anchors, with `rows` rows in the neighbourhood, the anchor among them, and temperature 0.1."""
    z = torch.stack([unit(v) for v in z])
    values = []
    for i in range(len(z)):
        others = [k for k in range(len(z)) if k != i]
        d = {k: DISTANCES[distance](z[i] - z[k]) for k in others}
        radius = sorted(d.values())[rows - 2]
        w = {k: KERNELS[kernel](float(y[i] - y[k]), sigma) for k in others}
        s = {k: float(z[i] @ z[k]) / 0.1 for k in others}
        nu = {k: 1.0 if d[k] <= radius else 0.0 if math.isinf(lam) else (radius / d[k]) ** lam for k in others}
        if not sum(w.values()):
            continue
        log_repulsion = math.log(sum(nu[k] * math.exp(s[k] * (1 - w[k])) for k in others))
        values.append(-sum(w[k] * (s[k] - log_repulsion) for k in others) / sum(w.values()))
    return sum(values) / len(values)


def dynlocrep_reference(z: Tensor, y: Tensor, rows: int, sigma: float = 2.0) -> float:
    """The authors' code: row maximum subtracted before the weights, one sum of w for the whole batch."""
    z = torch.stack([unit(v) for v in z])
    s = z @ z.T / 0.1
    s = s - s.max(1, keepdim=True).values
    w = torch.exp(-((y[:, None] - y[None, :]) ** 2) / (2 * sigma**2))
    near = torch.cdist(z, z, p=1).topk(rows, largest=False).indices
    total, weights = 0.0, 0.0
    for i in range(len(z)):
        others = [k for k in range(len(z)) if k != i]
        repulsion = sum(math.exp(s[i, t] * (1 - w[i, t])) for t in near[i].tolist() if t != i)
        total += sum(float(w[i, k] * (s[i, k] - math.log(repulsion))) for k in others)
        weights += sum(float(w[i, k]) for k in others)
    return -total / weights


def weighted_mean(terms: list[tuple[float, float]], weight: float) -> float:
    return sum(w * value for w, value in terms) / weight


def y_aware(z: Tensor, y: Tensor, *, kernel: str = "rbf", sigma: float = 2.0) -> float:
    """Mean over anchors, at temperature 0.1."""
    z = torch.stack([unit(v) for v in z])
    values = []
    for i in range(len(z)):
        others = [k for k in range(len(z)) if k != i]
        s = {k: float(z[i] @ z[k]) / 0.1 for k in others}
        w = {k: KERNELS[kernel](float(y[i] - y[k]), sigma) for k in others}
        log_all = math.log(sum(math.exp(s[t]) for t in others))
        values.append(weighted_mean([(w[k], log_all - s[k]) for k in others], sum(w.values())))
    return sum(values) / len(values)


def threshold(z: Tensor, y: Tensor, *, kernel: str = "rbf", sigma: float = 2.0) -> float:
    """Mean over the anchors with a term, at temperature 0.1; terms without a farther row are dropped."""
    z = torch.stack([unit(v) for v in z])
    values = []
    for i in range(len(z)):
        others = [k for k in range(len(z)) if k != i]
        s = {k: float(z[i] @ z[k]) / 0.1 for k in others}
        w = {k: KERNELS[kernel](float(y[i] - y[k]), sigma) for k in others}
        terms = []
        for k in others:
            farther = [t for t in others if abs(y[i] - y[t]) > abs(y[i] - y[k])]
            if farther and w[k] > 0:
                terms.append((w[k], math.log(sum(math.exp(s[t]) for t in farther)) - s[k]))
        if terms:
            values.append(weighted_mean(terms, sum(w.values())))
    return sum(values) / len(values) if values else 0.0


def threshold_reference(z: Tensor, y: Tensor, sigma: float = 2.0) -> float:
    """The public code: the exponentials of an anchor's rows summed over every (t, k) with w_tk < w_ti."""
    z = torch.stack([unit(v) for v in z])
    n = len(z)
    s = (z @ z.T / 0.1).tolist()
    w = [[KERNELS["rbf"](float(a - b), sigma) for b in y] for a in y]
    values = []
    for i in range(n):
        others = [k for k in range(n) if k != i]
        shared = math.log(sum(math.exp(s[i][t]) for t in others for k in range(n) if w[t][k] < w[t][i]))
        values.append(weighted_mean([(w[i][k], shared - s[i][k]) for k in others], sum(w[i][k] for k in others)))
    return sum(values) / n


def rank_n_contrast(z: Tensor, y: Tensor, temperature: float = 2.0) -> Tensor:
    """Mean over ordered pairs."""
    values = []
    for i in range(len(z)):
        others = [k for k in range(len(z)) if k != i]
        s = {k: -(z[i] - z[k]).norm() / temperature for k in others}
        for j in others:
            at_least_as_far = [s[k] for k in others if abs(y[i] - y[k]) >= abs(y[i] - y[j])]
            values.append(torch.stack(at_least_as_far).logsumexp(0) - s[j])
    return torch.stack(values).mean()


def supremix(
    z: Tensor,
    y: Tensor,
    ratio: Tensor,
    window: float,
    *,
    temperature: float = 0.5,
    weight: str = "ratio",
    renormalise: bool = True,
    rank: bool = False,
    strict: bool = False,
    mix_neg: bool = True,
    mix_pos: bool = True,
    detach: bool = False,
) -> Tensor:
    """Mean over positives, then anchors; every mixture is built."""
    z = torch.stack([unit(v) for v in z])
    mixable = z.detach() if detach else z
    place = torch.unique(y, return_inverse=True)[1].double() if rank else y
    label_range = float(y.max() - y.min())

    def inside(gap: float) -> bool:
        return 0 < gap < window if strict else 0 < gap <= window

    def term(i: int, v: Tensor, d: float) -> Tensor:
        return WEIGHTS[weight](d, label_range) * torch.exp(z[i] @ v / temperature)

    def mixture(v: Tensor) -> Tensor:
        return unit(v) if renormalise else v

    values = []
    for i in range(len(z)):
        others = [k for k in range(len(z)) if k != i]
        terms = [term(i, z[k], abs(float(y[i] - y[k]))) for k in others]
        positives = [z[k] for k in others if y[k] == y[i]]
        for k in others if mix_neg else []:
            if y[k] != y[i]:
                m = float(ratio[i, k])
                mixed = mixture(m * mixable[i] + (1 - m) * mixable[k])
                terms.append(term(i, mixed, (1 - m) * abs(float(y[i] - y[k]))))
        for j in others if mix_pos else []:
            for k in others:
                if inside(float(place[i] - place[j])) and inside(float(place[k] - place[i])):
                    m = float((y[k] - y[i]) / (y[k] - y[j]))
                    positives.append(mixture(m * mixable[j] + (1 - m) * mixable[k]))
                    terms.append(term(i, positives[-1], 0.0))
        if positives:
            log_denominator = torch.stack(terms).sum().log()
            values.append(-torch.stack([z[i] @ p / temperature - log_denominator for p in positives]).mean())
    return torch.stack(values).mean()
