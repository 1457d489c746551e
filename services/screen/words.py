"""The final figure in words, the same on screen and page."""

from contrasweep.services.records.answers import Against, BaselineFigures, Figures
from contrasweep.services.text import count, ends, number, spread


def runs_words(figures: Figures) -> str:
    """What the figures are of: `mean prediction of 2 seeds, which alone reach 4.90 ± 0.28`."""
    if len(figures.seed_mae) == 1:
        return "one seed"
    seeds, folds = ({*parts} for parts in zip(*figures.seed_mae, strict=True))
    of = f" x {len(folds)} folds" if len(folds) > 1 else ""
    alone = spread(figures.mean, figures.sd)
    return f"mean prediction of {count(len(seeds), 'seed')}{of}, which alone reach {alone}"


def simple_models(figures: Figures) -> list[BaselineFigures]:
    """The baselines, the best first."""
    return sorted(figures.baselines.values(), key=lambda one: one.mae.value)


def verdict(against: Against, label: str) -> str:
    """Whether the model is better than the baseline, and by how much.

    >>> from contrasweep.trainers.interval import Interval
    >>> verdict(Against(baseline="pca_ridge", title="PCA + ridge", difference=Interval(-0.31, -0.6, -0.02)), "years")
    'better than PCA + ridge by 0.3100 [0.02000, 0.6000] years'
    """
    found = against.difference
    if found.high < 0:
        return f"better than {against.title} by {number(-found.value)} {ends(-found.high, -found.low)} {label}"
    if found.value < 0:
        likely = f"{number(-found.value)} {ends(-found.high, -found.low)} {label} better"
        return f"not better than {against.title} beyond chance: {likely}"
    return f"not better than {against.title}: {number(found.value)} {ends(found.low, found.high)} {label} worse"


def optimism(*, fresh: bool, configurations: int) -> str:
    """Why a validation figure is too good, if it is; `configurations` is 0 where nobody knows how many competed.

    >>> optimism(fresh=False, configurations=30)
    'too good: it chose the best of 30 configurations'
    """
    if fresh or configurations == 1:
        return ""
    return f"too good: it chose the best of {count(configurations, 'configuration') if configurations else 'all'}"
