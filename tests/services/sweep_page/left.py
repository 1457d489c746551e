"""A sweep's folder and what its configurations left, as if it had run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contrasweep.services.records.answers import Against, BaselineFigures, Beside, Ensembled, fields_of
from contrasweep.services.records.details import write_details
from contrasweep.services.records.final_report import Evaluation, FinalReport
from contrasweep.services.records.folder import SweepFolder, SweepState
from contrasweep.services.records.tested import TESTED, Said, write_tested
from contrasweep.services.settings import Settings
from contrasweep.services.spec.replicate import Replicate
from contrasweep.services.spec.spec import LoadedSpec, SweepSpec
from contrasweep.services.sweep_page.content import Content, read_content
from contrasweep.trainers.config import CohortConfig
from contrasweep.trainers.interval import Interval
from contrasweep.trainers.served import Calibration, SampleEvaluation, evaluate_sample
from tests.services.past import EPOCHS, leave, spec

SPACES = ("dynlocrep", "supremix")
SEEDS = (0, 1, 2)


class Left:
    """A sweep in a home of its own; `sweep` is its folder in the storage path."""

    def __init__(self, home: Path, study: SweepSpec, state: str = "finished", reason: str = "") -> None:
        self.settings = Settings(home=home)
        self.folder = SweepFolder.create(self.settings, LoadedSpec(study, home / "study.yaml", home))
        self.sweep = Path(self.settings.storage_path) / study.sweep_id
        self.folder.write_state(
            SweepState(
                id=self.folder.sweep_id, state=state, reason=reason, spent_s=600, started=1.7e9, volumes="f" * 64
            )
        )

    def content(self) -> Content:
        """What the page is drawn from."""
        return read_content(self.settings, self.folder)

    def finish(self, labels: Sequence[float] = (20, 40, 60, 80), number: int = 0) -> None:
        """The final figure of a configuration, and its pictures."""
        (self.folder.path / "figures").mkdir()
        for name in ("predicted-against-true", "learning-curves", *(f"seed-{seed}-embedding" for seed in SEEDS)):
            (self.folder.path / f"figures/{name}.png").write_bytes(picture())
        report = final_report(labels, number)
        cohort = Evaluation(**fields_of(Evaluation, report))
        external = dict.fromkeys(self.folder.load().spec.data.cohorts, cohort)
        for name in external:
            (self.folder.path / f"figures/external-{name}.png").write_bytes(picture())
        report.model_copy(update={"external": external}).write(self.folder.final)


def study(label: str = "age", **search: Any) -> SweepSpec:
    """A spec of two methods and three seeds, with racing unless `search` says otherwise."""
    asked: dict[str, Any] = {"seeds": list(SEEDS), "racing": {"rungs": [2]}, "trials": 4, **search}
    made = spec(spaces=SPACES, **asked)
    return made.model_copy(update={"data": made.data.model_copy(update={"label": label})})


def with_cohort(home: Path, name: str = "adni") -> Left:
    """One complete configuration, and the final figure, with that of an external cohort."""
    said = CohortConfig(name=name, participants="adni/people.tsv", image="{id}.nii.gz", label="AGE")
    spec = study()
    left = Left(home, spec.model_copy(update={"data": spec.data.model_copy(update={"external": (said,)})}))
    leave(left.sweep, 0, curves(5.0), params={"temperature": 0.1})
    left.finish()
    return left


def finished(home: Path, label: str = "age") -> Left:
    """Two complete configurations, one pruned, one failed, and the final figure."""
    left = Left(home, study(label))
    _leave_four(left)
    left.finish()
    return left


def everything(home: Path) -> Left:
    """The same with all that a page may have: an ensemble, a cohort, groups, sessions, saliency and all on the test."""
    made, cohort = study(), CohortConfig(name="adni", participants="adni/people.tsv", image="{id}.nii.gz", label="AGE")
    told = {"external": (cohort,), "unit": "years", "licence": "CC BY 4.0"}
    left = Left(home, made.model_copy(update={"data": made.data.model_copy(update=told)}))
    _leave_four(left)
    ages = np.linspace(20, 80, 60)
    left.finish(ages.tolist())
    external = FinalReport.read(left.folder.final).external
    changes = {"external": external, "out_of_fold": external["adni"], "looks": 2}
    report = ensemble_report(ages.tolist()).model_copy(update=changes)
    report.write(left.folder.final)
    write_details(left.folder.final, _details(ages))
    said = [Said(trial, Replicate(0), report.scans, ages, ages + trial) for trial in (0, 1)]
    write_tested(left.folder.path / TESTED, said)
    for name in ("saliency", "out-of-fold", *(f"{run.slug}-embedding" for run in report.weights)):
        (left.folder.path / f"figures/{name}.png").write_bytes(picture())
    return left


def _details(ages: NDArray[np.float64]) -> SampleEvaluation:
    """Of scans of which the first 24 are of 12 people, and whose predictions and features tell the site."""
    rng, rows = np.random.default_rng(0), range(len(ages))
    sites = np.arange(len(ages)) % 3
    said = 50 + 0.5 * (ages - 50) + 3 * sites + rng.normal(0, 3, len(ages))
    subjects = [f"s{row // 2 if row < 24 else row}" for row in rows]
    return evaluate_sample(
        ages,
        said,
        subjects,
        sessions=["ab"[row % 2] for row in rows],
        columns={"sex": ["FM"[row % 2] for row in rows], "site": ["ABC"[site] for site in sites]},
        features={"seed-0": sites[:, None] + rng.normal(0, 0.3, (len(ages), 2))},
        calibration=Calibration.fit(said - 3 * sites, ages, subjects),
        repeats=200,
    )


def _leave_four(left: Left) -> None:
    leave(left.sweep, 0, curves(5.0), params={"temperature": 0.1, "sigma": 2.0, "variant": "paper"})
    leave(left.sweep, 1, curves(6.0), params={"temperature": 0.5, "sigma": 3.0, "variant": "paper"})
    cut = {0: [9.0, 8.5, 8.4, 8.3], 1: [9.0, 8.6]}
    leave(left.sweep, 2, cut, method="supremix", params={"alpha": 2.0}, state="pruned", reason="3 behind the best")
    leave(left.sweep, 3, {}, method="supremix", params={"alpha": 3.0}, failure="Diverged: the loss is nan")


def curves(best: float) -> dict[int, list[float]]:
    """EPOCHS validation MAEs of each seed, down to `best` for the first, and a little more for the others."""
    return {seed: [best + 0.1 * seed + EPOCHS - epoch for epoch in range(1, EPOCHS + 1)] for seed in SEEDS}


def final_report(labels: Sequence[float], number: int) -> FinalReport:
    """A final report of four scans or any."""
    scans = tuple(f"sub-{place}" for place in range(len(labels)))
    return FinalReport(
        trial=number,
        method="dynlocrep",
        params={"temperature": 0.1},
        training={},
        metrics={"mae": Interval(4.93, 4.02, 5.88), "r2": Interval(float("nan"), float("nan"), float("nan"))},
        seed_mae=dict.fromkeys(SEEDS, 4.93),
        mean=5.1,
        sd=0.21,
        baselines={
            "predict_mean": BaselineFigures(title="predict-the-mean", mae=Interval(18.9, 17.0, 21.0)),
            "pca_ridge": BaselineFigures(title="PCA + ridge", mae=Interval(5.2, 4.4, 6.1), note="some of the voxels"),
        },
        against=Against(baseline="pca_ridge", title="PCA + ridge", difference=Interval(-0.27, -0.7, 0.1)),
        shot_mae={"many": 4.0, "few": 6.0},
        scans=scans,
        subjects=scans,
        labels=tuple(labels),
        predictions=dict.fromkeys(SEEDS, tuple(labels)),
    )


def ensemble_report(labels: Sequence[float]) -> FinalReport:
    """The same of an ensemble of two seeds of trial 0, the best, and one of trial 2."""
    runs = (Replicate(1, trial=0), Replicate(0, trial=2), Replicate(0, trial=0))
    weights = dict(zip(runs, (0.5, 0.3, 0.2), strict=True))
    beside = Beside(
        ensemble=Interval(4.93, 4.02, 5.88), alone=Interval(5.3, 4.4, 6.2), difference=Interval(-0.37, -0.8, 0.06)
    )
    chosen = Beside(
        ensemble=Interval(4.5, 4.0, 5.0), alone=Interval(5.1, 4.6, 5.6), difference=Interval(-0.6, -1, -0.2)
    )
    told = Ensembled(
        weights=weights,
        methods={0: "dynlocrep", 2: "supremix"},
        candidates=7,
        by="mae",
        validation=chosen,
        test=beside,
    )
    changes = {
        "weights": weights,
        "seed_mae": dict.fromkeys(runs, 5.1),
        "predictions": dict.fromkeys(runs, tuple(labels)),
        "ensemble": told,
    }
    return final_report(labels, 0).model_copy(update=changes)


def picture() -> bytes:
    """A small PNG."""
    import io

    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(np.full((8, 8), 128, np.uint8)).save(file, "PNG")
    return file.getvalue()
