"""What the page is about: everything that a sweep has left so far, read once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import optuna
from optuna.distributions import BaseDistribution
from sqlalchemy.exc import SQLAlchemyError

from contrasweep.services.records.details import read_details
from contrasweep.services.records.drivers import Driver, read_drivers
from contrasweep.services.records.final_report import FinalReport, is_report
from contrasweep.services.records.folder import SweepFolder, SweepState
from contrasweep.services.records.leaderboard import best, leaderboard
from contrasweep.services.records.tested import TESTED, OnTest, read_tested
from contrasweep.services.records.trial_record import TrialRecord, read_records, run_folder
from contrasweep.services.settings import Settings
from contrasweep.services.spec.replicate import Replicate
from contrasweep.services.spec.roots import without_folders
from contrasweep.services.spec.spec import SeedPlan, SweepSpec
from contrasweep.services.stores.optuna import open_storage
from contrasweep.trainers.errors import UserError
from contrasweep.trainers.history import START, EpochMetrics, History
from contrasweep.trainers.objectives import Objective
from contrasweep.trainers.served import SampleEvaluation


@dataclass(frozen=True)
class Content:
    """A sweep as it stands.

    Attributes:
        plan: what a configuration is to run where nothing is chosen.
        records: configurations that have begun, the best first.
        rows: metrics by epoch of each (configuration, run), those of pretraining first.
        distributions: what Optuna drew parameters from, by their names in the study; none where it is out of reach.
        drivers: the processes that drove the sweep, the first one first.
        details: for whom and how sure the figures on the test split are; None before it, and of earlier versions.
        tested: complete configurations on the test split; empty before it was opened, and of earlier versions.
        pictures: figures of the final evaluation, PNG files by name; none before it, or where they are gone.
        told: takes the machine's own folders out of a reason.
    """

    sweep_id: str
    spec: SweepSpec
    state: SweepState
    plan: SeedPlan
    records: Sequence[TrialRecord]
    rows: Mapping[tuple[int, Replicate], Sequence[EpochMetrics]]
    distributions: Mapping[str, BaseDistribution]
    drivers: Sequence[Driver]
    final: FinalReport | None
    details: SampleEvaluation | None
    tested: Sequence[OnTest]
    pictures: Mapping[str, bytes]
    told: Callable[[str], str]

    @property
    def objective(self) -> Objective:
        """What configurations are compared by, before all else."""
        return self.spec.plan.objective

    @property
    def several(self) -> bool:
        """Whether there are further objectives."""
        return len(self.spec.search.objective) > 1

    @property
    def best(self) -> TrialRecord | None:
        """The best configuration that made all its runs and breaks no bound."""
        return best(self.records)


def read_content(settings: Settings, folder: SweepFolder, state: SweepState | None = None) -> Content:
    """Read what the sweep of `folder` has left; `state`, if given, is how it stands."""
    spec, state = folder.load().spec, state or folder.read_state()
    plan = spec.plan_over(state.folds)
    sweep = Path(settings.storage_path) / folder.sweep_id
    records, tested = leaderboard(read_records(sweep, plan)), folder.final.with_name(TESTED)
    return Content(
        sweep_id=folder.sweep_id,
        spec=spec,
        state=state,
        plan=plan,
        records=records,
        rows={(r.number, run): _rows(sweep, r.number, run, h) for r in records for run, h in r.histories.items()},
        distributions=_distributions(settings, folder.sweep_id),
        drivers=read_drivers(folder),
        final=FinalReport.read(folder.final) if is_report(folder.final) else None,
        details=read_details(folder.final),
        tested=read_tested(tested) if tested.exists() else (),
        told=partial(without_folders, folders=(settings.home, Path(settings.storage_path), *settings.data_roots)),
        pictures={path.stem: path.read_bytes() for path in sorted(folder.path.glob("figures/*.png"))},
    )


def _rows(sweep: Path, number: int, run: Replicate, judged: History) -> list[EpochMetrics]:
    earlier = sorted(path.parent for path in run_folder(sweep, number, run).glob("*/history.json"))
    stages = [history for stage in earlier if stage.name != START and (history := History.read(stage))]
    return [row for history in (*stages, judged) for row in history.epochs]


def _distributions(settings: Settings, sweep_id: str) -> dict[str, BaseDistribution]:
    try:
        study = optuna.load_study(study_name=sweep_id, storage=open_storage(settings))
        trials = study.get_trials(deepcopy=False)
    except (UserError, KeyError, SQLAlchemyError, optuna.exceptions.OptunaError):
        return {}
    return {name: distribution for trial in trials for name, distribution in trial.distributions.items()}
