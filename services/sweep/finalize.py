"""The last step of a sweep: the best configuration on the test split and external cohorts, once; its served model."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from services.data.prepare import Prepared
from services.pages.drawing import PICTURE_DPI
from services.records.answers import Figures, fields_of
from services.records.final_report import Evaluation, FinalReport
from services.records.leaderboard import leaderboard
from services.records.looks import Looks
from services.records.trial_record import TrialRecord, is_refitted, read_records, run_folder
from services.spec.replicate import REFIT, Replicate
from services.spec.spec import Options, SeedPlan, SweepSpec
from services.stores.tracker import Tracker
from services.sweep import figures
from services.sweep.calibrate import calibrate
from services.sweep.serving import export_model, versions
from services.sweep.trial import refit_config, run_config
from trainers.config import DataConfig, RunConfig
from trainers.data.locked import load_external, load_test
from trainers.data.store import Rows, VolumeStore, in_parts
from trainers.errors import UserError
from trainers.history import COMPLETE
from trainers.inference import Inference, Predictor
from trainers.metrics import bootstrap, mae, shot_mae
from trainers.objectives import OBJECTIVES
from trainers.served import Calibration, ServedConfig, Trained

_OVERALL = ("predicted-against-true", "learning-curves")
_ENDS = (("", "value"), ("_low", "low"), ("_high", "high"))


@dataclass(frozen=True)
class Winner:
    """The best configuration, with what each of its runs that are evaluated is told, and its checkpoint.

    These are its `validated` runs, or, once it was refitted, those on all but the test split.
    """

    record: TrialRecord
    validated: Mapping[Replicate, tuple[RunConfig, Path]]
    members: Mapping[Replicate, tuple[RunConfig, Path]]

    @property
    def refit_epochs(self) -> int:
        """How many epochs the evaluated runs were trained for, if they were refitted; else 0."""
        return next((run.epochs for replicate, (run, _) in self.members.items() if replicate.fold == REFIT), 0)


def finalize(
    spec: SweepSpec,
    final: Path,
    storage: Path,
    prepared: Mapping[Options, Prepared],
    tracker: Tracker,
    looks: Looks,
    phase: int = 0,
) -> FinalReport:
    """Evaluate the best configuration on the test split and external cohorts; hand model and figures to the tracker.

    `final` is the sweep's `final.json`; figures and model are written beside it. Where it exists it is
    returned, the test split and the cohorts stay closed, and the tracker is told again; but for that of another
    `phase` of the sweep, which is kept as `final-PHASE.json`. `storage` is the sweep's folder of checkpoints; `looks`
    are those at this test split. Raises UserError where no configuration finished a seed.
    """
    winner = choose_winner(spec, spec.plan_over(next(iter(prepared.values())).folds), storage)
    read = prepared[spec.search.reading(winner.record.configuration.choices)]
    before = FinalReport.read(final) if final.exists() else None
    if before is None or before.phase != phase:
        if before is not None:
            before.write(final.with_name(f"final-{before.phase}.json"))
        _evaluate(spec, winner, read, final, phase, looks.add(storage.name, phase, winner.record.number))
    report = FinalReport.read(final)
    _publish(report, winner, final.parent, tracker)
    return report


def choose_winner(spec: SweepSpec, plan: SeedPlan, storage: Path) -> Winner:
    """The first of the leaderboard and its finished runs: where there are several objectives, the best by the first.

    Where it was judged on fresh seeds, its runs are theirs, and not those of the race: validation and test figure are
    then of the same runs, neither of which it was chosen out of many by.

    Raises UserError where no seed finished of a configuration that breaks no bound.
    """
    ranked = leaderboard(read_records(storage, plan))
    record = next((record for record in ranked if record.whole and not record.failure), None)
    if record is None:
        raise UserError(f"sweep {storage.name}: no configuration finished a seed; there is nothing to evaluate")
    if record.infeasible:
        raise UserError(
            f"sweep {storage.name}: no configuration keeps search.constraints; there is nothing to evaluate"
        )
    validated = {
        replicate: (
            run_config(spec, record.configuration, replicate.seed),
            run_folder(storage, record.number, replicate) / "best.pt",
        )
        for replicate in sorted(record.whole)
    }
    if not (spec.search.refit and record.state == COMPLETE and is_refitted(storage, record)):
        return Winner(record, validated, validated)
    refitted = {
        run: (refit_config(spec, record, run.seed), run_folder(storage, record.number, run) / "best.pt")
        for run in (Replicate(seed, REFIT) for seed in record.plan.seeds)
    }
    return Winner(record, validated, refitted)


def _evaluate(spec: SweepSpec, winner: Winner, prepared: Prepared, final: Path, phase: int, looks: int) -> None:
    """Open the test split and the cohorts; write figures and model, then `final`, which says that all is there."""
    store, view = prepared.store, prepared.refit or prepared.first
    device = torch.device("cuda" if spec.training.gpus_per_worker and torch.cuda.is_available() else "cpu")

    def predictors_of(members: Mapping[Replicate, tuple[RunConfig, Path]]) -> dict[Replicate, Predictor]:
        return {run: Predictor.load(*member, store.image_shape, device) for run, member in members.items()}

    predictors = predictors_of(winner.members)
    trained = store.labels[store.rows_of(view.splits.train if winner.refit_epochs else prepared.labelled)]
    test, inferred = _evaluated(store, load_test(store, view.splits), predictors, trained)
    external = {
        name: _evaluated(cohort.store, load_external(cohort.store), predictors, trained)[0]
        for name, cohort in prepared.external.items()
    }
    out_of_fold = _out_of_fold(prepared, predictors_of(winner.validated), trained) if prepared.folds else None
    report = _report(winner, test, external, out_of_fold, phase, looks)
    _draw(report, spec.data, winner.record, inferred, final.parent / "figures")
    known = calibrate(prepared, predictors_of(winner.validated), bool(winner.refit_epochs))
    served = _served(spec, winner, prepared, final.parent.name, known.calibration)
    export_model(final.parent / "model", winner.members, served, prepared.base, view.covariates, known.detectors)
    report.write(final)


def _served(
    spec: SweepSpec, winner: Winner, prepared: Prepared, sweep: str, calibration: Calibration | None
) -> ServedConfig:
    """What the winner's model is told of the study."""
    configuration, store = winner.record.configuration, prepared.store
    trained = (prepared.refit or prepared.first).splits.train if winner.refit_epochs else prepared.labelled
    return ServedConfig(
        sweep=sweep,
        trial=winner.record.number,
        method=configuration.method,
        data=spec.choosing(configuration.choices).data,
        image_shape=store.image_shape,
        trained=Trained.of([store.subjects[row] for row in store.rows_of(trained)], spec.data.label),
        calibration=calibration,
        versions=versions(),
    )


def _evaluated(
    store: VolumeStore, parts: Iterable[Rows], predictors: Mapping[Replicate, Predictor], trained: NDArray[np.float64]
) -> tuple[Evaluation, dict[Replicate, Inference]]:
    """The figures of what is behind the lock, and what each run said.

    `trained` are the table's labels of the scans that were trained on, whatever `data.train` taught in their place.
    """
    told = [
        (part.rows, {seed: one.infer(part.images, store.cells_of(part.rows)) for seed, one in predictors.items()})
        for part in parts
    ]
    inferred = {seed: _joined([part[seed] for _, part in told]) for seed in predictors}
    return _evaluation(store, np.concatenate([rows for rows, _ in told]), inferred, trained), inferred


def _out_of_fold(
    prepared: Prepared, predictors: Mapping[Replicate, Predictor], trained: NDArray[np.float64]
) -> Evaluation:
    """The figures of everyone in a fold: each seed says one prediction of each, by the run that it was validated in."""
    store, seeds = prepared.store, sorted({run.seed for run in predictors})
    rows, parts = [], []
    for fold, view in prepared.views.items():
        own = {seed: predictors[Replicate(seed, fold)] for seed in seeds}
        for part in in_parts(store, store.rows_of(view.splits.validation)):
            rows.append(part.rows)
            parts.append([one.infer(part.images, store.cells_of(part.rows)) for one in own.values()])
    inferred = {
        Replicate(seed): _joined(of_seed) for seed, of_seed in zip(seeds, zip(*parts, strict=True), strict=True)
    }
    return _evaluation(store, np.concatenate(rows), inferred, trained)


def _joined(parts: Sequence[Inference]) -> Inference:
    return Inference(*(np.concatenate(values) for values in zip(*parts, strict=True)))


def _evaluation(
    store: VolumeStore, rows: NDArray[np.int64], inferred: Mapping[Replicate, Inference], trained: NDArray[np.float64]
) -> Evaluation:
    """The figures of the scans in `rows` of a store."""
    scans, y = [store.subjects[row] for row in rows], store.labels[rows]
    said = {run: inference.predictions for run, inference in inferred.items()}
    shots = shot_mae(y, np.stack(list(said.values())), trained)
    subjects = [scan.subject for scan in scans]
    return evaluation([scan.id for scan in scans], subjects, y, said, float(mae(y, trained.mean())), shots)


def evaluation(
    scans: Sequence[str],
    subjects: Sequence[str],
    y: NDArray[np.float64],
    said: Mapping[Replicate, NDArray[np.float64]],
    baseline_mae: float,
    shots: dict[str, float],
) -> Evaluation:
    """The figures of scans with labels `y` [n], of which each run `said` its predictions [n]."""
    predictions = np.stack(list(said.values()))
    seed_mae = dict(zip(said, mae(y, predictions).tolist(), strict=True))
    return Evaluation(
        metrics=bootstrap(y, predictions, clusters=subjects),
        seed_mae=seed_mae,
        sd=statistics.stdev(seed_mae.values()) if len(seed_mae) > 1 else 0.0,
        ensemble_mae=float(mae(y, predictions.mean(axis=0))),
        baseline_mae=baseline_mae,
        shot_mae=shots,
        scans=tuple(scans),
        subjects=tuple(subjects),
        labels=tuple(y.tolist()),
        predictions={run: tuple(values.tolist()) for run, values in said.items()},
    )


def _report(
    winner: Winner,
    test: Evaluation,
    external: dict[str, Evaluation],
    out_of_fold: Evaluation | None,
    phase: int,
    looks: int,
) -> FinalReport:
    record = winner.record
    return FinalReport(
        refit_epochs=winner.refit_epochs,
        phase=phase,
        looks=looks,
        **fields_of(Evaluation, test),
        trial=record.number,
        method=record.configuration.method,
        params=record.configuration.params,
        training=record.configuration.training,
        choices=record.configuration.choices,
        validation=record.scores,
        objective=record.plan.objective.name,
        fresh=record.is_fresh,
        external=external,
        out_of_fold=out_of_fold,
    )


def _draw(
    report: FinalReport, data: DataConfig, record: TrialRecord, inferred: Mapping[Replicate, Inference], folder: Path
) -> None:
    chosen, label = f"{report.method}, trial {report.trial}", data.label
    title = f"{chosen}, {report.n_subjects} test subjects"
    y = np.array(report.labels)
    drawn = {
        "predicted-against-true": draw_evaluation(report, label, title),
        "learning-curves": figures.learning_curves(
            {run.words: record.histories[run].epochs for run in record.whole},
            metric=record.plan.objective.key,
            label=record.plan.objective.heading,
            title=title,
        ),
    }
    for run, (features, predictions) in inferred.items():
        one = f"{title}, {run.words}"
        drawn[f"{run.slug}-predicted"] = figures.predicted_against_true(y, predictions[None], label=label, title=one)
        drawn[f"{run.slug}-embedding"] = figures.embedding_map(features, y, label=label, title=one)
    if report.out_of_fold:
        drawn["out-of-fold"] = draw_evaluation(
            report.out_of_fold, label, f"{chosen}, out of fold, {report.out_of_fold.sample}"
        )
    for name, cohort in report.external.items():
        drawn[f"external-{name}"] = draw_evaluation(
            cohort, data.cohorts[name].label, f"{chosen}, {name}, {cohort.sample}"
        )
    save_figures(drawn, folder)


def draw_evaluation(evaluation: Evaluation, label: str, title: str) -> Figure:
    """Predictions against labels."""
    y, predictions = np.array(evaluation.labels), np.array(list(evaluation.predictions.values()))
    return figures.predicted_against_true(y, predictions, label=label, title=title)


def save_figures(drawn: Mapping[str, Figure], folder: Path) -> None:
    """Write figures as PNG files, by their names."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in drawn.items():
        figure.savefig(folder / f"{name}.png", dpi=PICTURE_DPI)


def _publish(report: FinalReport, winner: Winner, folder: Path, tracker: Tracker) -> None:
    tracker.metrics(metrics_of("test", report))
    for name, cohort in report.external.items():
        tracker.metrics(metrics_of(f"external_{name}", cohort))
    if report.out_of_fold:
        tracker.metrics(metrics_of("out_of_fold", report.out_of_fold))
    others = (*(["out-of-fold"] if report.out_of_fold else []), *(f"external-{name}" for name in report.external))
    for name in (*_OVERALL, *others):
        tracker.artifact((), folder / f"figures/{name}.png", "figures")
    for replicate, (_, best) in winner.members.items():
        key = (report.trial, replicate)
        tracker.artifact(key, best, "checkpoint")
        for name in ("predicted", "embedding"):
            tracker.artifact(key, folder / f"figures/{replicate.slug}-{name}.png", "figures")
    tags = {"trial": str(report.trial), "method": report.method, "test_mae": f"{report.metrics['mae'].value:.6g}"}
    if report.validation:
        mean = statistics.fmean(report.validation.values())
        name = OBJECTIVES[report.objective].key
        tracker.metrics({name: mean})
        tags |= {name: f"{mean:.6g}", "validated_on": ", ".join(run.words for run in report.validation)}
    tracker.register(folder / "model", tags)


def metrics_of(of: str, told: Figures) -> dict[str, float | None]:
    """Figures by the names that they have in MLflow."""
    metrics: dict[str, float | None] = {
        f"{of}_mae_sd": told.sd,
        f"{of}_mae_ensemble": told.ensemble_mae,
        f"{of}_mae_baseline": told.baseline_mae,
    }
    for name, interval in told.metrics.items():
        metrics |= {f"{of}_{name}{end}": getattr(interval, value) for end, value in _ENDS}
    return metrics | {f"{of}_mae_{name}": value for name, value in told.shot_mae.items()}
