"""The last step of a sweep: the best configuration, or the ensemble, on the test split and external cohorts, once; the
served model.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from contrasweep.services.data.prepare import Prepared
from contrasweep.services.pages.drawing import PICTURE_DPI
from contrasweep.services.records.answers import fields_of
from contrasweep.services.records.details import details_of, write_details
from contrasweep.services.records.final_report import Evaluation, FinalReport, beside, is_report
from contrasweep.services.records.leaderboard import competes, leaderboard
from contrasweep.services.records.looks import Looks
from contrasweep.services.records.readings import EMBEDDINGS, READINGS
from contrasweep.services.records.tested import TESTED, write_tested
from contrasweep.services.records.trial_record import TrialRecord, is_refitted, read_records, run_folder
from contrasweep.services.spec.replicate import REFIT, Replicate
from contrasweep.services.spec.spec import Options, SeedPlan, SweepSpec
from contrasweep.services.stores.tracker import Tracker
from contrasweep.services.sweep import figures
from contrasweep.services.sweep.baselines import Baselines
from contrasweep.services.sweep.calibrate import calibrate
from contrasweep.services.sweep.card import how_well
from contrasweep.services.sweep.contenders import Listener, Members, complete, contenders, members_of
from contrasweep.services.sweep.ensemble import Ensemble, choose_ensemble
from contrasweep.services.sweep.jury import Jury, out_of_fold, predictors_of
from contrasweep.services.sweep.publish import SALIENCY, publish
from contrasweep.services.sweep.readings import read_configurations
from contrasweep.services.sweep.saliency import draw_saliency
from contrasweep.services.sweep.serving import export_model, file_of, served_in, versions
from contrasweep.services.sweep.trial import refit_config
from contrasweep.services.text import count
from contrasweep.trainers.config import DataConfig
from contrasweep.trainers.data.locked import load_external, load_test
from contrasweep.trainers.errors import UserError
from contrasweep.trainers.history import COMPLETE
from contrasweep.trainers.inference import Inference
from contrasweep.trainers.served import Calibration, ServedConfig, Trained
from contrasweep.trainers.weighted import weighted_mean


class Stamp(NamedTuple):
    """When the locks were opened: how often the sweep had been extended, and how often its test split was read."""

    phase: int
    looks: int


@dataclass(frozen=True)
class Winner:
    """The best configuration out of `configurations` that competed, and its runs that are evaluated.

    These are its `validated` runs, or, once it was refitted, those on all but the test split, or those of `ensemble`.
    """

    record: TrialRecord
    configurations: int
    validated: Members
    members: Members
    ensemble: Ensemble | None = None

    @property
    def numbered(self) -> Members:
        """The evaluated runs, each with its configuration's number."""
        if self.ensemble:
            return self.members
        return {run._replace(trial=self.record.number): member for run, member in self.members.items()}

    @property
    def weights(self) -> dict[Replicate, float]:
        """Of the evaluated runs in their mean; empty where all count alike."""
        return self.ensemble.of_runs if self.ensemble else {}

    @property
    def methods(self) -> dict[int, str]:
        """Of the configurations whose runs are evaluated, by number."""
        return self.ensemble.methods if self.ensemble else {self.record.number: self.record.configuration.method}

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
    are those at this test split. Raises UserError where no configuration finished a seed, and Damaged where weights
    that are evaluated do not read as they were written; nothing is written, then.
    """
    winner = choose_winner(spec, spec.plan_over(next(iter(prepared.values())).folds), storage)
    before = FinalReport.read(final) if is_report(final) else None
    if before is None or before.phase != phase:
        if before is not None:
            before.write(final.with_name(f"final-{before.phase}.json"))
            _keep_beside(final, before.phase)
        stamp = Stamp(phase, looks.add(storage.name, phase, winner.record.number))
        _evaluate(spec, winner, prepared, storage, final, stamp)
    report = FinalReport.read(final)
    publish(report, storage, final.parent, tracker)
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
    many = sum(map(competes, ranked))
    validated = {run.own: member for run, member in members_of(spec, record, storage).items()}
    if not (spec.search.refit and record.state == COMPLETE and is_refitted(storage, record)):
        return Winner(record, many, validated, validated)
    refitted = {
        run: (refit_config(spec, record, run.seed), run_folder(storage, record.number, run) / "best.pt")
        for run in (Replicate(seed, REFIT) for seed in record.plan.seeds)
    }
    return Winner(record, many, validated, refitted)


def _keep_beside(final: Path, phase: int) -> None:
    """Keep what an earlier phase wrote beside its report under another name, too, unless it is kept already."""
    for name in (TESTED, READINGS, EMBEDDINGS):
        written = final.with_name(name)
        kept = written.with_stem(f"{written.stem}-{phase}")
        if written.exists() and not kept.exists():
            written.replace(kept)


def _evaluate(
    spec: SweepSpec, best: Winner, prepared: Mapping[Options, Prepared], storage: Path, final: Path, stamp: Stamp
) -> None:
    """Choose the ensemble, if there is to be one, then open the test split and the cohorts; write figures and model,
    then `final`, which says that all is there.
    """
    read = prepared[spec.search.reading(best.record.configuration.choices)]
    store, view = read.store, read.refit or read.first
    device = torch.device("cuda" if spec.training.gpus_per_worker and torch.cuda.is_available() else "cpu")
    winner = _with_ensemble(best, choose_ensemble(spec, best.record, storage, read, device))
    own, evaluated = best.numbered, winner.numbered
    plan = spec.plan_over(read.folds)
    others = contenders(spec, plan, storage, prepared)
    candidates = {**others.pop(str(store.folder), {}), **own}
    listener = Listener(device)
    jury = Jury(
        predictors_of(winner.members, store, device),
        winner.weights,
        Baselines.fit(store, _usable(winner, read)),
        store.labels[store.rows_of(view.splits.train if winner.refit_epochs else read.labelled)],
    )
    unheard = {run: member for run, member in candidates.items() if run not in evaluated}
    test, inferred = jury.evaluate(store, listener.heard(store, load_test(store, view.splits), unheard))
    for run, inference in zip(evaluated, inferred.values(), strict=True):
        listener.add(run, store, store.rows_of(test.scans), inference.predictions)
    _hear(listener, others, prepared)
    external = {
        name: jury.evaluate(cohort.store, load_external(cohort.store))[0] for name, cohort in read.external.items()
    }
    validated = predictors_of(winner.validated, store, device) if winner.refit_epochs else jury.predictors
    everyone = out_of_fold(read, validated, winner.weights, jury.trained) if read.folds else None
    of_best = {run: listener.predictions(run) for run in own}
    alone = weighted_mean(of_best, winner.weights if own.keys() == evaluated.keys() else {})
    report = _report(winner, test, alone, external, everyone, stamp)
    _draw(report, spec.data, winner.record, inferred, final.parent / "figures")
    known = calibrate(read, validated, winner.weights, everyone, bool(winner.refit_epochs))
    served = _served(spec, winner, read, final.parent.name, known.calibration)
    rows = store.rows_of(test.scans)
    features = {run.slug: inference.features for run, inference in inferred.items()}
    details = details_of(test, [store.subjects[row] for row in rows], known.calibration, features)
    told = how_well(report, details, spec.data)
    export_model(final.parent / "model", winner.members, served, read.base, view.covariates, known.detectors, told)
    if salient := draw_saliency(served_in(final.parent / "model"), store, rows, spec.data.label, device):
        save_figures({SALIENCY: salient}, final.parent / "figures")
    write_details(final, details)
    write_tested(final.with_name(TESTED), listener.said())
    if spec.read:
        configurations = [(prepared[options], runs) for options, runs in complete(spec, plan, storage)]
        read_configurations(spec.read, configurations, listener, final)
    report.write(final)


def _served(
    spec: SweepSpec, winner: Winner, prepared: Prepared, sweep: str, calibration: Calibration | None
) -> ServedConfig:
    """What the served model is told of the study."""
    store = prepared.store
    trained = (prepared.refit or prepared.first).splits.train if winner.refit_epochs else prepared.labelled
    return ServedConfig(
        sweep=sweep,
        trials=winner.methods,
        weights={file_of(run): weight for run, weight in winner.weights.items()},
        data=spec.choosing(winner.record.configuration.choices).data,
        image_shape=store.image_shape,
        trained=Trained.of([store.subjects[row] for row in store.rows_of(trained)], spec.data.label),
        calibration=calibration,
        versions=versions(),
    )


def _with_ensemble(best: Winner, ensemble: Ensemble | None) -> Winner:
    """The best configuration with the ensemble's runs in place of its own, if there is one."""
    if ensemble is None:
        return best
    return replace(best, validated=ensemble.members, members=ensemble.members, ensemble=ensemble)


def _hear(listener: Listener, others: Mapping[str, Members], prepared: Mapping[Options, Prepared]) -> None:
    """Have runs predict the test split of the store that they read, by its folder."""
    read = {str(one.store.folder): one for one in prepared.values()}
    for folder, runs in others.items():
        store, splits = read[folder].store, read[folder].first.splits
        for _ in listener.heard(store, load_test(store, splits), runs):
            pass


def _usable(winner: Winner, prepared: Prepared) -> set[str]:
    """Ids of whom the winner's runs could use: trained on, or chosen by on validation."""
    if winner.refit_epochs:
        assert prepared.refit
        return {*prepared.refit.splits.train}
    return {name for view in prepared.views.values() for name in (*view.splits.train, *view.splits.validation)}


def _report(
    winner: Winner,
    test: Evaluation,
    alone: NDArray[np.float64],
    external: dict[str, Evaluation],
    out_of_fold: Evaluation | None,
    stamp: Stamp,
) -> FinalReport:
    """What is known by now; the best configuration's own runs predict `alone` [n] of the test split."""
    record, ensemble = winner.record, winner.ensemble
    return FinalReport(
        refit_epochs=winner.refit_epochs,
        phase=stamp.phase,
        looks=stamp.looks,
        **fields_of(Evaluation, test),
        trial=record.number,
        method=record.configuration.method,
        params=record.configuration.params,
        training=record.configuration.training,
        choices=record.configuration.choices,
        start=record.configuration.start,
        validation=record.scores,
        objective=record.plan.objective.name,
        fresh=record.is_fresh,
        configurations=winner.configurations,
        external=external,
        out_of_fold=out_of_fold,
        ensemble=ensemble.told(beside(test.labels, test.mean_prediction, alone, test.subjects)) if ensemble else None,
    )


def _draw(
    report: FinalReport, data: DataConfig, record: TrialRecord, inferred: Mapping[Replicate, Inference], folder: Path
) -> None:
    best, label = f"{report.method}, trial {report.trial}", data.label
    chosen = f"ensemble of {count(len(report.ensemble.weights), 'seed')}" if report.ensemble else best
    title = f"{chosen}, {report.n_subjects} test subjects"
    y = np.array(report.labels)
    drawn = {
        "predicted-against-true": draw_evaluation(report, data, title),
        "learning-curves": figures.learning_curves(
            {run.words: record.histories[run].epochs for run in record.whole},
            metric=record.plan.objective.key,
            label=record.plan.objective.heading,
            title=best,
        ),
    }
    for run, (features, predictions) in inferred.items():
        one = f"{title}, {run.words}"
        drawn[f"{run.slug}-predicted"] = figures.predicted_against_true(y, predictions[None], label=label, title=one)
        drawn[f"{run.slug}-embedding"] = figures.embedding_map(features, y, label=label, title=one)
    if report.out_of_fold:
        drawn["out-of-fold"] = draw_evaluation(
            report.out_of_fold, data, f"{chosen}, out of fold, {report.out_of_fold.sample}"
        )
    for name, cohort in report.external.items():
        drawn[f"external-{name}"] = draw_evaluation(cohort, data.cohorts[name], f"{chosen}, {name}, {cohort.sample}")
    save_figures(drawn, folder)


def draw_evaluation(evaluation: Evaluation, data: DataConfig, title: str) -> Figure:
    """Predictions against the labels of `data`."""
    y, predictions = np.array(evaluation.labels), np.array(list(evaluation.predictions.values()))
    weights, unit = list(evaluation.weights.values()) or None, data.unit or ""
    return figures.predicted_against_true(y, predictions, weights=weights, label=data.label, unit=unit, title=title)


def save_figures(drawn: Mapping[str, Figure], folder: Path) -> None:
    """Write figures as PNG files, by their names."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in drawn.items():
        figure.savefig(folder / f"{name}.png", dpi=PICTURE_DPI)
