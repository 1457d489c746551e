"""The final figure, and what a budget cut off, in words, the same on screen and page."""

from contrasweep.services.records.answers import Against, BaselineFigures, Beside, Ensembled, Figures
from contrasweep.services.spec.spec import SweepSpec
from contrasweep.services.text import count, interval, spread
from contrasweep.trainers.interval import Interval
from contrasweep.trainers.objectives import OBJECTIVES


def undelivered_words(sweep_id: str) -> str:
    """What to do where MLflow lacks some of a sweep, or of its search in an outer fold."""
    return f"some of it is not delivered; when MLflow answers: contrasweep sync {sweep_id.partition('.')[0]}"


def runs_words(figures: Figures) -> str:
    """What the figures are of: `mean prediction of 2 seeds, which alone reach 4.90 ± 0.28`."""
    seeds, folds, trials = ({*parts} for parts in zip(*figures.seed_mae, strict=True))
    if figures.weights and trials == {None}:
        return "each predicted by its outer fold's model"
    if len(figures.seed_mae) == 1:
        return "one seed"
    of = f" x {len(folds)} folds" if len(folds) > 1 else ""
    alone = f"which alone reach {spread(figures.mean, figures.sd)}"
    if figures.weights:
        many = len({run._replace(fold=None) for run in figures.weights})
        whose = count(len(trials), "configuration")
        return f"weighted mean prediction of {count(many, 'seed')}{of} of {whose}, {alone}"
    return f"mean prediction of {count(len(seeds), 'seed')}{of}, {alone}"


def ensemble_words(ensemble: Ensembled, trial: int, label: str) -> list[str]:
    """Whose runs it has, and how it compares with the best configuration, `trial`, on the test split and validation."""
    shares = ", ".join(f"{weight:.2g} x {run.words}" for run, weight in ensemble.weights.items())
    chosen = (
        f"ensemble chosen by {OBJECTIVES[ensemble.by].heading} out of {count(ensemble.candidates, 'seed')}: {shares}"
    )
    if {ensemble.test.difference, ensemble.validation.difference} == {Interval(0, 0, 0)}:
        return [f"{chosen}, which is trial {trial} alone"]
    return [
        chosen,
        f"on the test split {_side_by_side(ensemble.test, trial, label)}",
        f"on validation {_side_by_side(ensemble.validation, trial, label)}; too good: the ensemble was chosen on these "
        "people",
    ]


def _side_by_side(beside: Beside, trial: int, label: str) -> str:
    both = f"MAE {interval(beside.ensemble)}, trial {trial} alone {interval(beside.alone)}"
    return f"{both}: {compared('it', beside.difference, label)}"


def simple_models(figures: Figures) -> list[BaselineFigures]:
    """The baselines, the best first."""
    return sorted(figures.baselines.values(), key=lambda one: one.mae.value)


def verdict(against: Against, label: str) -> str:
    """Whether the model is better than the baseline, and by how much.

    >>> from contrasweep.trainers.interval import Interval
    >>> verdict(Against(baseline="pca_ridge", title="PCA + ridge", difference=Interval(-0.31, -0.6, -0.02)), "years")
    'better than PCA + ridge by 0.3100 [0.0200, 0.6000] years'
    """
    return compared(against.title, against.difference, label)


def compared(title: str, found: Interval, label: str) -> str:
    """Whether an error is less than that of `title`, which it differs from by `found`, below 0 where it is.

    >>> compared("trial 3 alone", Interval(0.1, -0.2, 0.4), "years")
    'not better than trial 3 alone: 0.1000 [-0.2000, 0.4000] years worse'
    >>> compared("trial 3 alone", Interval(0.0, 0.0, 0.0), "years")
    'the same as trial 3 alone'
    """
    if found.low == found.high == 0:
        return f"the same as {title}"
    less = interval(Interval(-found.value, -found.high, -found.low))
    if found.high < 0:
        return f"better than {title} by {less} {label}"
    if found.value < 0:
        return f"not better than {title} beyond chance: {less} {label} better"
    return f"not better than {title}: {interval(found)} {label} worse"


def optimism(*, fresh: bool, configurations: int) -> str:
    """Why a validation figure is too good, if it is; `configurations` is 0 where nobody knows how many competed.

    >>> optimism(fresh=False, configurations=30)
    'too good: it chose the best of 30 configurations'
    """
    if fresh or configurations == 1:
        return ""
    return f"too good: it chose the best of {count(configurations, 'configuration') if configurations else 'all'}"


def cut_words(sweep_id: str, spec: SweepSpec, unfinished: int, *, evaluated: bool) -> str:
    """That the budget left so many configurations unfinished, and how a sweep, or the search in an outer fold, goes on.

    A budget twice as large is named, which is to be edited.
    """
    hours, (whole, is_part, _) = spec.budget.hours or 0.0, sweep_id.partition(".")
    outer = 0 if is_part else spec.data.split.outer
    many = spec.search.trials * (outer if isinstance(outer, int) and outer else 1)
    nothing = "" if evaluated else ", and nothing to evaluate"
    go_on = "" if is_part else f"; go on with: contrasweep extend {whole} --hours {2 * hours:g}"
    cut = f"{unfinished} of {count(max(many, unfinished), 'configuration')} unfinished"
    return f"the budget of {hours:g} h ended it with {cut}{nothing}{go_on}"
