"""The final evaluation, as MLflow is told of it."""

import statistics
from pathlib import Path

from contrasweep.services.records.answers import Ensembled, Figures
from contrasweep.services.records.final_report import FinalReport, PooledReport
from contrasweep.services.records.trial_record import run_folder
from contrasweep.services.screen.words import optimism
from contrasweep.services.stores.telling import Telling
from contrasweep.services.sweep.serving import served_in
from contrasweep.trainers.objectives import OBJECTIVES
from contrasweep.trainers.served.card import CARD

SALIENCY = "saliency"
POOLED = "predicted-against-true"
_OVERALL = ("predicted-against-true", "learning-curves")
_ENDS = (("", "value"), ("_low", "low"), ("_high", "high"))


def publish(report: FinalReport, storage: Path, folder: Path, telling: Telling) -> None:
    """Tell of the final evaluation, which is in `folder` with figures and model: metrics, artifacts, the model.

    `storage` is the sweep's folder of checkpoints.
    """
    telling.metrics(metrics_of("test", report), report.phase)
    for name, cohort in report.external.items():
        telling.metrics(metrics_of(f"external_{name}", cohort), report.phase)
    if report.out_of_fold:
        telling.metrics(metrics_of("out_of_fold", report.out_of_fold), report.phase)
    salient = [SALIENCY] if (folder / f"figures/{SALIENCY}.png").exists() else []
    everyone = ["out-of-fold"] if report.out_of_fold else []
    others = (*everyone, *salient, *(f"external-{name}" for name in report.external))
    for name in (*_OVERALL, *others):
        telling.artifact((), folder / f"figures/{name}.png", "figures")
    for run in report.predictions:
        number, own = report.trial_of(run), run.own
        telling.artifact((number, own), run_folder(storage, number, own) / "best.pt", "checkpoint")
        for name in ("predicted", "embedding"):
            telling.artifact((number, own), folder / f"figures/{run.slug}-{name}.png", "figures")
    tags = {"trial": str(report.trial), "method": report.method, "test_mae": f"{report.metrics['mae'].value:.6g}"}
    if report.against:
        tags["baseline"] = report.against.title
    if report.validation:
        mean = statistics.fmean(report.validation.values())
        name = OBJECTIVES[report.objective].key
        telling.metrics({name: mean}, report.phase)
        whose = f"trial {report.trial} alone: " if report.ensemble else ""
        on = whose + ", ".join(run.words for run in report.validation)
        doubt = optimism(fresh=report.fresh, configurations=report.configurations)
        tags |= {name: f"{mean:.6g}", "validated_on": f"{on}; {doubt}" if doubt else on}
    if report.ensemble:
        telling.metrics(_metrics_of_ensemble(report.ensemble), report.phase)
        tags |= _tags_of_ensemble(report.ensemble)
    telling.register(folder / "model", tags, served_in(folder / "model") / CARD)


def publish_pooled(report: PooledReport, folder: Path, telling: Telling) -> None:
    """Tell of what the outer folds say together; `folder` has the figure."""
    spreads = {
        f"outer_{name}_{of}": getattr(told, of) for name, told in report.between.items() for of in ("mean", "sd")
    }
    telling.metrics(metrics_of("test", report) | spreads, report.phase)
    telling.artifact((), folder / f"figures/{POOLED}.png", "figures")


def _metrics_of_ensemble(ensemble: Ensembled) -> dict[str, float | None]:
    """MAE on validation, of the best configuration alone and of the difference to it, by their names in MLflow."""
    named = {"validation_mae_ensemble": ensemble.validation.ensemble}
    for split, both in (("test", ensemble.test), ("validation", ensemble.validation)):
        named |= {f"{split}_mae_alone": both.alone, f"{split}_mae_against_alone": both.difference}
    return {f"{name}{end}": getattr(told, value) for name, told in named.items() for end, value in _ENDS}


def _tags_of_ensemble(ensemble: Ensembled) -> dict[str, str]:
    """Whose runs are served."""
    return {
        "trial": ", ".join(map(str, ensemble.methods)),
        "method": ", ".join(dict.fromkeys(ensemble.methods.values())),
        "ensemble": ", ".join(f"{weight:.3g} x {run.words}" for run, weight in ensemble.weights.items()),
    }


def metrics_of(of: str, told: Figures) -> dict[str, float | None]:
    """Figures by the names that they have in MLflow."""
    metrics: dict[str, float | None] = {f"{of}_mae_seed_mean": told.mean, f"{of}_mae_seed_sd": told.sd}
    intervals = told.metrics | {f"mae_{name}": baseline.mae for name, baseline in told.baselines.items()}
    if told.against:
        intervals["mae_against_baseline"] = told.against.difference
    for name, interval in intervals.items():
        metrics |= {f"{of}_{name}{end}": getattr(interval, value) for end, value in _ENDS}
    return metrics | {f"{of}_mae_{name}": value for name, value in told.shot_mae.items()}
