"""What a configuration left in the storage path: the one place that knows the folders."""

import json
import math
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, median, stdev
from typing import Final, Literal

from contrasweep.search_spaces import Configuration, Value
from contrasweep.services.records.answers import Trial
from contrasweep.services.records.files import read_json
from contrasweep.services.records.parameters import from_json, to_json
from contrasweep.services.spec.replicate import REFIT, Replicate, replicate_named
from contrasweep.services.spec.spec import SeedPlan
from contrasweep.services.text import number as shown
from contrasweep.services.text import without_secrets
from contrasweep.trainers.atomic import remove, write_atomically
from contrasweep.trainers.costs import COSTS
from contrasweep.trainers.history import COMPLETE, PRUNED, RUNNING, History
from contrasweep.trainers.objectives import OBJECTIVES

FAILED: Final = "failed"
REPEATABLE = ("Diverged: ", "UserError: ")
_TRIAL, _TRIAL_KEYS = "trial.json", ("method", "params", "training", "failure")
_RACED, _RACED_KEYS = "raced.json", ("seeds", "epochs")


@dataclass(frozen=True)
class Raced:
    """How far a configuration's race went: the seeds that it was to run, and the epochs of the runs that it made."""

    seeds: tuple[int, ...]
    epochs: dict[Replicate, int]


@dataclass(frozen=True)
class TrialRecord:
    """A configuration, what it is to run, and the histories of its runs, as they are on disk.

    `raced` says how far it was when its race was over, where it went on after that as a finalist. The plan is then that
    of a finalist: what counts are the runs of its seeds.
    """

    number: int
    configuration: Configuration
    failure: str
    histories: dict[Replicate, History]
    plan: SeedPlan
    raced: "Raced | None" = None

    def as_raced(self) -> "TrialRecord":
        """The record as its race left it: without what it ran as a finalist, or with seeds that came later."""
        if self.raced is None:
            return self
        plan, epochs = replace(self.plan, seeds=self.raced.seeds), self.raced.epochs
        whole = all(epochs.get(run, 0) >= plan.judged_epochs for run in plan.replicates)
        state = COMPLETE if whole else PRUNED
        left = {run: self.histories[run].up_to(n, state) for run, n in epochs.items() if run in self.histories}
        return replace(self, failure="", histories=left, plan=plan, raced=None)

    def as_judged(self) -> "TrialRecord":
        """The record as it is ranked: where fresh seeds judge, as its race left it until it has run them all."""
        seeds = tuple(seed for seed in self.plan.fresh if any(run.seed == seed for run in self.ended))
        own = replace(self, plan=replace(self.plan, seeds=seeds)) if self.is_reported else self
        return own.as_raced() if own.is_fresh and own.state in (RUNNING, PRUNED) else own

    def as_reported(self) -> "TrialRecord":
        """The record as it is told: by the seeds that nothing was chosen by, once the winner has run them all."""
        return self if self.is_reported and self.state == COMPLETE else self.as_judged()

    @property
    def is_reported(self) -> bool:
        """Whether what it runs are seeds that nothing was chosen by: it won."""
        return {*self.plan.seeds} <= {*self.plan.reported}

    @property
    def is_fresh(self) -> bool:
        """Whether what counts are seeds that its race did not use."""
        return self.raced is not None and not {*self.raced.seeds} & {*self.plan.seeds}

    @property
    def failed_by_itself(self) -> bool:
        """Whether training failed in a way that it would again, rather than with its process."""
        return self.failure.startswith(REPEATABLE)

    @property
    def parameters(self) -> dict[str, Value]:
        """Everything that makes the configuration, by name, but the method."""
        return self.configuration.values

    @property
    def whole(self) -> tuple[Replicate, ...]:
        """The runs that came to their end, of those that count."""
        return tuple(run for run in self.ended if run in self.plan.replicates)

    @property
    def ended(self) -> tuple[Replicate, ...]:
        """The runs that came to their end."""
        return tuple(run for run, h in self.histories.items() if len(h.epochs) >= self.plan.judged_epochs)

    @property
    def values(self) -> dict[Replicate, float]:
        """The objective of every whole run, as it is ranked: less is better; none where nobody was validated on."""
        return {run: best for run in self.whole if math.isfinite(best := self.histories[run].best)}

    @property
    def state(self) -> Literal["complete", "pruned", "failed", "running"]:
        """How it stands; where nothing runs any more, `running` means unfinished."""
        if self.failure:
            return FAILED
        if len(self.whole) == len(self.plan.replicates):
            return COMPLETE
        return PRUNED if any(history.state == PRUNED for history in self.histories.values()) else RUNNING

    @property
    def reason(self) -> str:
        """Why it failed or was pruned."""
        return self.failure or next((h.reason for h in self.histories.values() if h.reason), "")

    @property
    def objective(self) -> float:
        """Mean of what its runs reached, as it is ranked: whole ones where there are any, else those cut short."""
        values = [history.best for history in self._judged]
        return fmean(values) if values else math.inf

    @property
    def objectives(self) -> dict[str, float]:
        """Each objective as it was measured, over the same runs, each at its best epoch by the first of them."""
        rows, wanted = [history.best_row for history in self._judged], (OBJECTIVES[n] for n in self.plan.objectives)
        return {one.name: fmean(row.get(one.key, math.nan) for row in rows) if rows else math.nan for one in wanted}

    @property
    def ranked(self) -> tuple[float, ...]:
        """Each objective as it is ranked, less being better; infinite where it is undefined."""
        measured = self.objectives.items()
        return tuple(OBJECTIVES[name].turned(v) if math.isfinite(v) else math.inf for name, v in measured)

    @property
    def costs(self) -> dict[str, float]:
        """What it cost, of each figure that is bounded: the least that any epoch measured."""
        return costs_of(self.histories.values(), self.plan.bounds)

    @property
    def infeasible(self) -> str:
        """Which bounds it breaks, and by how much; empty where it breaks none that is known."""
        return broken(self.costs, self.plan.bounds)

    @property
    def score(self) -> float:
        """The objective as it was measured; not finite before there is any."""
        return self.plan.objective.turned(self.objective)

    @property
    def scores(self) -> dict[Replicate, float]:
        """The objective of every whole run as it was measured."""
        return {run: self.plan.objective.turned(value) for run, value in self.values.items()}

    @property
    def sd(self) -> float | None:
        """Standard deviation over whole runs; None for fewer than two."""
        return stdev(self.values.values()) if len(self.values) > 1 else None

    @property
    def _judged(self) -> list[History]:
        return [self.histories[run] for run in self.values or self.histories]

    @property
    def refit_epochs(self) -> int | None:
        """After how many epochs training on all ends: where the model that counts was, in the median of the runs."""
        if self.plan.last:
            return None
        return math.ceil(median(history.best_epoch + 1 for history in map(self.histories.__getitem__, self.whole)))

    def told(self) -> Trial:
        """What the verbs answer of it."""
        earlier = self.plan.earlier_epochs
        return Trial(
            number=self.number,
            method=self.configuration.method,
            state=self.state,
            reason="" if self.state == COMPLETE else self.reason,
            objective=finite(self.score),
            objectives={name: finite(value) for name, value in self.objectives.items()},
            sd=self.sd,
            costs=self.costs,
            infeasible=self.infeasible,
            seeds={run: finite(self.histories[run].score) for run in self.whole},
            epochs={run: earlier + len(history.epochs) for run, history in self.histories.items()},
            params=self.parameters,
            fresh=self.is_fresh,
            reported=self.is_reported,
        )


def costs_of(histories: Iterable[History], names: Iterable[str]) -> dict[str, float]:
    """The least of each figure in any epoch, for what was measured: noise makes times longer, and never shorter."""
    rows = [row for history in histories for row in history.epochs]
    found = {name: [row[COSTS[name].key] for row in rows if COSTS[name].key in row] for name in names}
    return {name: min(values) for name, values in found.items() if values}


def broken(costs: Mapping[str, float], bounds: Mapping[str, float]) -> str:
    """Which bounds are broken, in words."""
    over = (name for name, cost in costs.items() if cost > bounds[name])
    return "; ".join(f"{name} {shown(costs[name])} is above {shown(bounds[name])}" for name in over)


def finite(value: float) -> float | None:
    """`value`, or None where JSON has no number for it."""
    return value if math.isfinite(value) else None


def trial_folder(sweep: Path, number: int) -> Path:
    """Folder of a configuration."""
    return sweep / f"trial-{number:04d}"


def run_folder(sweep: Path, number: int, replicate: Replicate) -> Path:
    """Folder of one run of a configuration: checkpoints and history."""
    return trial_folder(sweep, number) / replicate.slug


def write_configuration(
    sweep: Path, number: int, configuration: Configuration, plan: SeedPlan, failure: str = ""
) -> None:
    """Write `trial.json`: what runs with which seeds, on how many folds, for how long, and why it failed if it did."""
    content = {
        "method": configuration.method,
        "params": to_json(configuration.params),
        "training": to_json(configuration.training),
        "choices": configuration.choices,
        "start": configuration.start,
        "seeds": list(plan.seeds),
        "folds": plan.folds,
        "epochs": [plan.earlier_epochs, plan.judged_epochs],
        "failure": failure,
    }
    text = json.dumps(content, indent=1, allow_nan=False)
    write_atomically(trial_folder(sweep, number) / _TRIAL, text.encode())


def write_failure(sweep: Path, number: int, configuration: Configuration, plan: SeedPlan, error: Exception) -> None:
    """Write why a configuration failed: one line in `trial.json`, the traceback in `error.txt` beside it."""
    text = without_secrets(" ".join(str(error).split()))
    trace = without_secrets("".join(traceback.format_exception(error)))
    write_atomically(trial_folder(sweep, number) / "error.txt", trace.encode())
    write_configuration(sweep, number, configuration, plan, failure=f"{type(error).__name__}: {text}")


def read_record(sweep: Path, number: int, plan: SeedPlan) -> TrialRecord | None:
    """The record of a configuration, or None where it has not begun, or its `trial.json` is damaged.

    Its plan has its own seeds, since those of `plan` came later where a sweep was extended, folds and epochs.
    """
    path = trial_folder(sweep, number) / _TRIAL
    content = read_json(path, *_TRIAL_KEYS)
    if content is None:
        return None
    configuration = Configuration(
        content["method"],
        from_json(content["params"]),
        from_json(content["training"]),
        content.get("choices", {}),
        content.get("start"),
    )
    runs = {replicate_named(folder.name): folder for folder in path.parent.glob("*seed-*")}
    runs = {run: runs[run] for run in sorted(run for run in runs if run.fold != REFIT)}
    histories = {run: history for run, folder in runs.items() if (history := History.read(folder))}
    earlier, judged = content.get("epochs", (plan.earlier_epochs, plan.judged_epochs))
    own = replace(
        plan,
        seeds=tuple(content.get("seeds", plan.seeds)),
        folds=content.get("folds", plan.folds),
        earlier_epochs=earlier,
        judged_epochs=judged,
    )
    raced = _read_raced(path.with_name(_RACED))
    return TrialRecord(number, configuration, content["failure"], histories, own, raced)


def keep_race(sweep: Path, number: int, plan: SeedPlan) -> None:
    """Write down how far a configuration's race went, before it goes on as a finalist for the first time."""
    path, record = trial_folder(sweep, number) / _RACED, read_record(sweep, number, plan)
    if record is not None and not path.exists():
        epochs = {str(run): len(history.epochs) for run, history in record.histories.items()}
        write_atomically(path, json.dumps({"seeds": record.plan.seeds, "epochs": epochs}).encode())


def _read_raced(path: Path) -> Raced | None:
    content = read_json(path, *_RACED_KEYS)
    if content is None:
        return None
    return Raced(tuple(content["seeds"]), {replicate_named(run): epochs for run, epochs in content["epochs"].items()})


def remove_damaged(sweep: Path) -> list[str]:
    """Remove what cannot be read of the records of a sweep; a line of each says what becomes of the configuration.

    Without `trial.json` it is drawn again, the same, and its runs are kept. Without `raced.json` nobody knows how far
    its race went: it races again.
    """
    told = []
    for path in sorted(sweep.glob(f"trial-*/{_TRIAL}")):
        if read_json(path, *_TRIAL_KEYS) is None:
            path.unlink()
            told.append(f"{path} is damaged; its configuration is drawn again")
    for path in sorted(sweep.glob(f"trial-*/{_RACED}")):
        if read_json(path, *_RACED_KEYS) is None:
            remove(path.parent)
            told.append(f"{path} is damaged; its configuration is run again")
    return told


def is_refitted(sweep: Path, record: TrialRecord) -> bool:
    """Whether a configuration was trained on all but the test split, with every seed, and as long as it should be."""
    epochs = record.refit_epochs or record.plan.judged_epochs
    histories = (History.read(run_folder(sweep, record.number, Replicate(seed, REFIT))) for seed in record.plan.seeds)
    return all(history and history.state == COMPLETE and len(history.epochs) == epochs for history in histories)


def read_records(sweep: Path, plan: SeedPlan) -> list[TrialRecord]:
    """The records of a sweep by number."""
    return [record for number in begun_trials(sweep) if (record := read_record(sweep, number, plan))]


def keep_seeds(sweep: Path, plan: SeedPlan) -> None:
    """Write the seeds of `plan` down in every record of a version that did not."""
    for record in read_records(sweep, plan):
        write_configuration(sweep, record.number, record.configuration, record.plan, record.failure)


def begun_trials(sweep: Path) -> list[int]:
    """The numbers of the configurations that have begun, in their order."""
    return sorted(int(path.parent.name.removeprefix("trial-")) for path in sweep.glob(f"trial-*/{_TRIAL}"))
