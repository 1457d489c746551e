"""The searcher, driven by hand: what it suggests, when it waits, what it tells Optuna, what a resumed one does."""

import random
import shutil
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

import optuna
import pytest
from optuna.storages import BaseStorage, InMemoryStorage, RDBStorage
from optuna.study import StudyDirection
from optuna.trial import TrialState
from ray.tune.search import Searcher

from contrasweep.search_spaces import Configuration
from contrasweep.services.records.leaderboard import best, fronts, leaderboard
from contrasweep.services.records.trial_record import (
    keep_race,
    read_record,
    read_records,
    run_folder,
    trial_folder,
    write_configuration,
)
from contrasweep.services.spec import methods
from contrasweep.services.spec.replicate import REFIT, Replicate
from contrasweep.services.spec.spec import SeedPlan, SweepSpec
from contrasweep.services.stores.optuna import line_up, open_study
from contrasweep.services.sweep.learned import Learned
from contrasweep.services.sweep.sampling import Scratch, make_sampler
from contrasweep.services.sweep.searcher import SweepSearcher
from contrasweep.services.sweep.spaces import Spaces, add_spaces
from contrasweep.trainers import losses
from contrasweep.trainers.history import COMPLETE, PRUNED
from contrasweep.trainers.seeding import fold
from tests.services.past import EPOCHS, history, spec

Outcome = Callable[[int, bool], str]
RACING = {"rungs": [2], "finalists": 2}


class Heard:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.starts: list[int] = []
        self.ends: list[tuple[int, str]] = []

    def trial_started(self, number: int, configuration: Configuration) -> None:
        self.starts.append(number)

    def trial_ended(self, number: int, state: str) -> None:
        self.ends.append((number, state))


class Bench:
    """A sweep without Ray: a searcher on a study, and trials that end when told to."""

    def __init__(
        self,
        home: Path,
        spec: SweepSpec,
        storage: BaseStorage | None = None,
        sweep_id: str = "",
        learned: Sequence[Learned] = (),
    ) -> None:
        self.spec, self.sweep = spec, home / (sweep_id or spec.sweep_id)
        self.storage = storage or InMemoryStorage()
        starts = methods.starts(spec, {(): 60.0})
        name = sweep_id or spec.sweep_id
        self.study = open_study(name, self.storage, starts[: spec.search.trials], spec.search.objective)
        line_up(
            self.study, [start for start in starts if start.method in Spaces.of(self.study, spec.search.spaces).added]
        )
        self.heard = Heard()
        search = spec.search
        self.searcher = SweepSearcher(
            self.study,
            lambda trial, spaces: methods.draw(trial, spec.searching(spaces=spaces), {(): 60.0}),
            search,
            spec.plan,
            lambda configuration: spec.plan_of(configuration, 0),
            self.sweep,
            self.heard,
            learned,
        )
        self.open: dict[str, dict[str, Any]] = {}
        self._ids = 0

    def suggest(self) -> dict[str, Any] | str | None:
        """As Tune asks; what is suggested is under way from then on."""
        self._ids += 1
        told = self.searcher.suggest(f"tune-{self._ids}")
        if isinstance(told, dict):
            self.open[f"tune-{self._ids}"] = told
            if not told["race"]:
                keep_race(self.sweep, told["number"], self.spec.plan)
            configuration = Configuration(told["method"], told["params"], told["training"], told["choices"])
            write_configuration(self.sweep, told["number"], configuration, self.plan_of(told))
        return told

    def refit(self, number: int, outcome: str = "complete") -> None:
        """Train configuration `number` on all but the test split, and tell the searcher."""
        trial_id = next(key for key, told in self.open.items() if told["number"] == number and told["refit"])
        record = read_record(self.sweep, number, self.spec.plan)
        assert record and record.refit_epochs
        for seed in self.open[trial_id]["seeds"]:
            folder = run_folder(self.sweep, number, Replicate(seed, REFIT))
            history([1.0] * record.refit_epochs, seed=seed, state=COMPLETE).write(folder)
        told = self.open.pop(trial_id)
        if outcome == "failed":
            configuration = Configuration(told["method"], told["params"], told["training"], told["choices"])
            write_configuration(self.sweep, number, configuration, self.plan_of(told), "Diverged: the loss is nan")
        self.searcher.on_trial_complete(trial_id)

    def plan_of(self, told: dict[str, Any]) -> SeedPlan:
        configuration = Configuration(told["method"], told["params"], told["training"], told["choices"])
        return replace(self.spec.plan_of(configuration, 0), seeds=tuple(told["seeds"]))

    def leave(self, number: int, mae: float) -> None:
        """Have all that configuration `number` runs now come to `mae`, and tell the searcher."""
        trial_id = next(key for key, told in self.open.items() if told["number"] == number)
        for seed in self.open.pop(trial_id)["seeds"]:
            history([mae] * EPOCHS, seed=seed).write(run_folder(self.sweep, number, Replicate(seed)))
        self.searcher.on_trial_complete(trial_id)

    def numbers(self) -> list[int]:
        return [told["number"] for told in self.open.values()]

    def end(self, number: int, outcome: str = "complete") -> None:
        """Train configuration `number`, and tell the searcher: complete, pruned, failed, paused or died."""
        trial_id = next(key for key, told in self.open.items() if told["number"] == number)
        told = self.open.pop(trial_id)
        configuration = Configuration(told["method"], told["params"], told["training"], told["choices"])
        values = [[mae] * EPOCHS for mae in self.maes(number)]
        for seed, mae in zip(told["seeds"], values, strict=True):
            folder = run_folder(self.sweep, number, Replicate(seed))
            if outcome == "complete":
                history(mae, seed=seed).write(folder)
            elif outcome == "pruned":
                history(mae[:2], seed=seed, state=PRUNED, reason="3 behind the best").write(folder)
                break
            elif outcome == "paused":
                history(mae[:1], seed=seed).write(folder)
                break
        if outcome == "failed":
            write_configuration(self.sweep, number, configuration, self.plan_of(told), "Diverged: the loss is nan")
        self.searcher.on_trial_complete(trial_id, error=outcome == "died")

    def lr(self, number: int) -> float:
        told = read_record(self.sweep, number, self.spec.plan)
        assert told
        return float(told.configuration.training["lr"] or 0)

    def maes(self, number: int) -> list[float]:
        """An objective of the parameters alone."""
        told = read_record(self.sweep, number, self.spec.plan)
        assert told
        level = 5 + fold(repr(told.configuration)) % 1000 / 100
        return [level + 0.1 * seed for seed in self.spec.search.seeds]

    def run(self, outcome: Outcome = lambda number, race: "complete", *, slots: int = 2, seed: int = 0) -> None:
        """To the end, with `slots` trials at once that end in an order drawn from `seed`."""
        order = random.Random(seed)
        while True:
            told: dict[str, Any] | str | None = None
            if len(self.open) < slots:
                told = self.suggest()
            if isinstance(told, dict):
                continue
            if told == Searcher.FINISHED and not self.open:
                return
            if not self.open:
                continue  # as Tune does: a draw was passed over
            one = order.choice(list(self.open.values()))
            self.end(one["number"], outcome(one["number"], one["race"]))

    def run_one(self) -> None:
        """InitialWeights one configuration, unless its draw is passed over, and let it end."""
        if isinstance(self.suggest(), dict):
            for number in self.numbers():
                self.end(number)

    def state(self, number: int) -> TrialState:
        return self.study.get_trials()[number].state

    def reason(self, number: int) -> str | None:
        reason: str | None = self.study.get_trials()[number].user_attrs.get("reason")
        return reason

    def suggestions(self) -> list[dict[str, Any]]:
        return [trial.params for trial in self.study.get_trials()]


# what comes first, and what waits


def test_published_points_come_first(tmp_path: Path) -> None:
    bench = Bench(tmp_path, spec(spaces=["supremix", "vanilla", "exponential"], trials=5))
    told = [bench.suggest() for _ in range(3)]
    assert all(isinstance(one, dict) for one in told)
    assert [one["method"] for one in bench.open.values()] == ["supremix", "vanilla", "exponential"]
    assert bench.open["tune-1"]["params"] == losses.parameters("supremix")
    assert bench.open["tune-3"]["params"] == losses.parameters("exponential")


def test_waits_for_configuration_n_minus_parallel(tmp_path: Path) -> None:
    bench = Bench(tmp_path, spec(trials=10, parallel=3))
    for _ in range(3):
        bench.suggest()
    assert bench.numbers() == [0, 1, 2]
    bench.end(1)
    bench.end(2)
    assert bench.suggest() is None, "3 needs 0"
    bench.end(0)
    bench.suggest()
    bench.suggest()
    bench.suggest()
    assert bench.numbers() == [3, 4, 5]
    assert [bench.state(n) for n in range(6)] == [TrialState.COMPLETE] * 3 + [TrialState.RUNNING] * 3


def test_optuna_is_told_only_of_what_every_machine_would_know(tmp_path: Path) -> None:
    bench = Bench(tmp_path, spec(trials=10, parallel=3))
    for _ in range(3):
        bench.suggest()
    for number in range(3):
        bench.end(number)
    bench.suggest()
    assert [bench.state(n) for n in range(4)] == [TrialState.COMPLETE, *[TrialState.RUNNING] * 3]


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc", "gp"])
def test_suggestions_do_not_depend_on_timing(tmp_path: Path, sampler: str) -> None:
    trials = 14 if sampler in ("tpe", "gp") else 8
    study = spec(
        spaces=["dynlocrep", "supremix"], sampler=sampler, trials=trials, parallel=3, racing=RACING, seeds=[0, 1]
    )
    runs = []
    for number, slots in enumerate((1, 2, 3)):
        bench = Bench(tmp_path / str(number), study)
        bench.run(lambda n, race: "pruned" if race and n % 3 == 2 else "complete", slots=slots, seed=number)
        runs.append((bench.suggestions(), [bench.state(n) for n in range(trials)]))
    assert runs[0] == runs[1] == runs[2]
    assert len({str(params) for params in runs[0][0]}) == trials, "no configuration twice"


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc", "gp"])
def test_every_sampler_draws_from_a_conditional_space(
    tmp_path: Path, sampler: str, recwarn: pytest.WarningsRecorder
) -> None:
    bench = Bench(tmp_path, spec(spaces=losses.names(), sampler=sampler, trials=36, parallel=2, seeds=[0]))
    bench.run()
    drawn = [record.configuration for record in read_records(bench.sweep, bench.spec.plan)]
    assert len(drawn) == 36
    sampled = drawn[len(losses.names()) :]
    assert len({one.method for one in sampled}) > 2
    temperatures = [(one.method, one.params["temperature"]) for one in sampled if "temperature" in one.params]
    assert len(temperatures) == len(set(temperatures)) > 4
    assert not [w for w in recwarn if issubclass(w.category, optuna.exceptions.ExperimentalWarning)]


def test_a_configuration_is_never_run_twice_and_numbers_have_no_gaps(tmp_path: Path) -> None:
    """`vanilla` has one point: a random sampler draws it in every second configuration."""
    spaces = ["exponential", "vanilla"]
    bench = Bench(tmp_path, spec(spaces=spaces, sampler="random", trials=8, parallel=2, seeds=[0], fair=False))
    bench.run()
    run = [record.configuration for record in read_records(bench.sweep, bench.spec.plan)]
    assert len(run) == len(bench.study.get_trials()) == 8
    assert [one.method for one in run].count("vanilla") == 1
    assert [trial.params["method"] for trial in bench.study.get_trials()] == [one.method for one in run]


def test_a_study_with_gaps_goes_on(tmp_path: Path) -> None:
    """Earlier versions told repeats as trials; one was under way over that when its driver died."""
    study = spec(trials=4, parallel=1, seeds=[0])
    old = Bench(tmp_path, study)
    for _ in range(2):
        old.run_one()
    for state in (TrialState.COMPLETE, TrialState.RUNNING):
        trial = old.study.ask()
        trial.set_user_attr("repeats", 1)
        if state.is_finished():
            old.study.tell(trial, 5.0)
    resumed = Bench(tmp_path, study, old.storage)
    resumed.run()
    assert resumed.heard.starts == [4, 5]
    assert [record.number for record in read_records(resumed.sweep, study.plan)] == [0, 1, 4, 5]
    assert all(resumed.state(number).is_finished() for number in (2, 3))


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc"])
def test_every_method_gets_as_many_configurations(tmp_path: Path, sampler: str) -> None:
    """A point is none of them."""
    point = {"name": "one", "method": "vanilla", "training": {"lr": 0.01}}
    spaces = ["supremix", "vanilla", "exponential"]
    bench = Bench(tmp_path, spec(spaces=spaces, sampler=sampler, trials=14, parallel=2, seeds=[0], points=[point]))
    bench.run()
    drawn = [record.configuration for record in read_records(bench.sweep, bench.spec.plan)]
    assert [one.method for one in drawn] == ["vanilla", *spaces * 4, "supremix"]
    rates = [one.training["lr"] for one in drawn]
    assert rates[:4] == [0.01, 1e-4, 1e-4, 1e-4], "the published points stand at the spec's"
    assert len(set(rates[3:])) == 11
    assert all(1e-5 <= float(rate or 0) <= 1e-3 for rate in rates[1:])


def test_a_method_without_anything_more_to_try_leaves_the_rest_to_others(tmp_path: Path) -> None:
    study = spec(spaces=["vanilla", "exponential"], trials=6, parallel=2, seeds=[0], fix={"training.lr": 1e-3})
    bench = Bench(tmp_path, study)
    bench.run()
    drawn = [record.configuration for record in read_records(bench.sweep, bench.spec.plan)]
    assert [one.method for one in drawn] == ["vanilla", *["exponential"] * 5]
    assert {one.training["lr"] for one in drawn} == {1e-3}
    resumed = Bench(tmp_path, study, bench.storage)
    assert resumed.suggest() == Searcher.FINISHED


GRID_OF_TWO: dict[str, Any] = {
    "spaces": ["exponential", "vanilla"],
    "sampler": "grid",
    "override": {"training.lr": {"choices": [1e-3, 1e-4]}, "exponential.sigma": {"low": 1.0, "high": 3.0, "step": 1.0}},
    "fix": {"exponential.temperature": 0.5},
    "seeds": [0],
}


@pytest.mark.parametrize("killed_after", [0, 3])
def test_a_grid_tries_everything_once(tmp_path: Path, killed_after: int) -> None:
    """Three values times two rates, and two rates; methods take turns, the published points begin."""
    study = spec(
        trials=9, parallel=2, points=[{"name": "one", "method": "vanilla", "training": {"lr": 0.5}}], **GRID_OF_TWO
    )
    bench = Bench(tmp_path, study)
    for _ in range(killed_after):
        bench.run_one()
    bench = Bench(tmp_path, study, bench.storage)
    bench.run()
    drawn = [record.configuration for record in read_records(bench.sweep, study.plan)]
    assert [one.method for one in drawn] == ["vanilla", *["exponential", "vanilla"] * 2, *["exponential"] * 4]
    rates = [(one.params.get("sigma"), one.training["lr"]) for one in drawn[1:]]
    assert len({*rates}) == len(rates) == 8
    assert {sigma for sigma, _ in rates} == {None, 1.0, 2.0, 3.0}
    assert bench.suggest() == Searcher.FINISHED


def test_a_space_with_one_point_is_tried_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path, spec(spaces=["vanilla"], trials=5, parallel=2, seeds=[0], fair=False))
    bench.run()
    assert [record.number for record in read_records(bench.sweep, bench.spec.plan)] == [0]
    again = Bench(tmp_path, bench.spec, bench.storage)
    again.run()
    assert [record.number for record in read_records(bench.sweep, bench.spec.plan)] == [0]


def test_an_infinite_choice_survives_sqlite(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path}/optuna.db"
    study = spec(trials=3, seeds=[0], override={"dynlocrep.lam": {"choices": [0.5, float("inf")]}})
    first = Bench(tmp_path, study, RDBStorage(storage))
    first.suggest()
    told = first.open["tune-1"]["params"]
    assert told["lam"] == float("inf")
    (first.sweep / "trial-0000" / "trial.json").unlink()
    again = Bench(tmp_path, study, RDBStorage(storage))
    again.suggest()
    assert again.open["tune-1"]["params"] == told


def test_a_sampler_is_made_without_warnings() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in ("tpe", "random", "qmc", "gp", "nsga2"):
            make_sampler(name, 3)


# what Optuna is told


def test_states_and_reasons_in_optuna(tmp_path: Path) -> None:
    bench = Bench(tmp_path, spec(trials=4, parallel=4))
    for _ in range(4):
        bench.suggest()
    for number, outcome in enumerate(("complete", "pruned", "failed", "died")):
        bench.end(number, outcome)
    assert bench.heard.ends == [(0, "complete"), (1, "pruned"), (2, "failed"), (3, "failed")]
    assert bench.suggest() == Searcher.FINISHED
    bench.searcher.settle()
    states = [bench.state(n) for n in range(4)]
    assert states == [TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL, TrialState.FAIL]
    reasons = [bench.reason(n) for n in range(4)]
    assert reasons == [None, "3 behind the best", "Diverged: the loss is nan", "its process died, again and again"]
    complete, pruned, *failed = bench.study.get_trials()
    assert complete.value == pytest.approx(sum(bench.maes(0)) / 3)
    assert pruned.intermediate_values == {2: pytest.approx(bench.maes(1)[0])}
    assert [trial.value for trial in failed] == [None, None]


def test_a_trial_pruned_before_its_first_evaluation(tmp_path: Path) -> None:
    bench = Bench(tmp_path, spec(trials=2, parallel=1))
    bench.suggest()
    history([float("inf")] * 2, state=PRUNED, reason="slow").write(run_folder(bench.sweep, 0, Replicate(0)))
    bench.searcher.on_trial_complete("tune-1")
    bench.open.clear()
    bench.suggest()
    bench.searcher.settle()
    assert (bench.state(0), bench.study.get_trials()[0].intermediate_values) == (TrialState.PRUNED, {})


def test_a_sweep_that_ends_early_leaves_nothing_running_in_optuna(tmp_path: Path) -> None:
    bench = Bench(tmp_path, spec(trials=9, parallel=3))
    for _ in range(3):
        bench.suggest()
    bench.searcher.close()
    assert bench.suggest() == Searcher.FINISHED
    for number, outcome in enumerate(("complete", "paused", "pruned")):
        bench.end(number, outcome)
    assert bench.heard.ends[1] == (1, "running")
    bench.searcher.settle()
    assert [bench.state(n) for n in range(3)] == [TrialState.COMPLETE, TrialState.PRUNED, TrialState.PRUNED]
    assert bench.reason(1) == "the sweep ended before it"


def test_nothing_is_drawn_after_one_that_was_held_up(tmp_path: Path) -> None:
    bench = Bench(tmp_path, spec(trials=3, parallel=1))
    bench.suggest()
    bench.end(0, "paused")
    assert bench.suggest() == Searcher.FINISHED
    assert bench.heard.ends == [(0, "running")]


def test_one_whose_beginning_could_not_be_written_has_not_ended(tmp_path: Path) -> None:
    bench = Bench(tmp_path, spec(trials=3, parallel=1))
    bench.suggest()
    (trial_folder(bench.sweep, 0) / "trial.json").unlink()
    bench.searcher.on_trial_complete("tune-1")
    assert bench.suggest() == Searcher.FINISHED
    assert bench.heard.ends == []


# the end of a search


def test_finalists_run_all_their_seeds_at_the_same_time(tmp_path: Path) -> None:
    bench = Bench(tmp_path, spec(trials=4, parallel=4, racing={"finalists": 3}))
    for _ in range(4):
        bench.suggest()
    bench.end(0)
    for number in (1, 2):
        bench.end(number, "pruned")
    assert bench.suggest() is None, "the finalists are known when all have ended"
    bench.end(3, "pruned")
    ranked = sorted(range(4), key=lambda n: bench.maes(n)[0] + (0.1 if n == 0 else 0))
    chosen = [n for n in ranked[:3] if n != 0]
    for _ in chosen:
        bench.suggest()
    assert bench.suggest() == Searcher.FINISHED
    assert bench.numbers() == chosen
    assert not any(told["race"] for told in bench.open.values())
    for number in chosen:
        bench.end(number)
    record = read_record(bench.sweep, chosen[0], bench.spec.plan)
    assert record and record.state == "complete"
    assert record.as_raced().state == "pruned"
    bench.searcher.settle()
    told = {record.number: record.state for record in read_records(bench.sweep, bench.spec.plan)}
    assert {n: bench.state(n).name.lower() for n in told} == told, "Optuna says the same as the leaderboard"


def test_the_best_is_refitted_once_all_is_chosen(tmp_path: Path) -> None:
    study = spec(trials=3, parallel=2, racing=None, refit=True)
    bench = Bench(tmp_path, study)
    for _ in range(2):
        bench.suggest()
    bench.end(0)
    bench.suggest()
    bench.end(1)
    assert bench.suggest() is None, "the best is known when all have ended"
    bench.end(2)
    bench.suggest()
    first, second, _ = sorted(range(3), key=lambda number: bench.maes(number))
    assert bench.numbers() == [first]
    assert bench.suggest() is None
    resumed = Bench(tmp_path, study, bench.storage)
    resumed.suggest()
    assert resumed.numbers() == [first], "one that was interrupted goes on"
    resumed.refit(first, "failed")
    resumed.suggest()
    assert resumed.numbers() == [second], "one that fails there is the best no more"
    resumed.refit(second)
    assert resumed.suggest() == Searcher.FINISHED
    record = read_record(resumed.sweep, second, study.plan)
    assert record and set(record.histories) == {*study.plan.replicates}, "the search knows nothing of it"


def test_without_racing_there_are_no_finalists(tmp_path: Path) -> None:
    bench = Bench(tmp_path, spec(trials=2, racing=None))
    bench.run()
    assert bench.heard.starts == [0, 1]


@pytest.mark.parametrize(("reinvest", "expected"), [(False, 3), (True, 6)])
def test_what_racing_saves_buys_more_configurations(tmp_path: Path, reinvest: bool, expected: int) -> None:
    """Three configurations of 2 x 4 epochs are 24; the first runs whole, the others stop after 2 epochs.

    8 + 4 x 2 = 16 are spent when the sixth starts, which may take 8; a seventh, at 18, might take too many.
    """
    racing = {"finalists": 1, "reinvest": reinvest}
    bench = Bench(tmp_path, spec(trials=3, seeds=[0, 1], parallel=1, racing=racing, fair=False))
    bench.run(lambda n, race: "pruned" if n and race else "complete", slots=1)
    assert len(bench.study.get_trials()) == expected


def test_what_is_reinvested_counts_pretraining_before_fine_tuning(tmp_path: Path) -> None:
    """Three of 2 x (4 + 4) epochs are 48; the others stop after 4 + 2: with 16 + 2 x 6 spent there is room for one."""
    study = spec(trials=3, seeds=[0, 1], parallel=1, racing={"finalists": 1, "reinvest": True}, fair=False)
    tuned = study.model_copy(update={"probe": {"finetune": {"method": "c_mixup", "epochs": EPOCHS}}})
    bench = Bench(tmp_path, tuned)
    bench.run(lambda n, race: "pruned" if n and race else "complete", slots=1)
    assert len(bench.study.get_trials()) == 4


def test_what_is_reinvested_counts_epochs_of_each(tmp_path: Path) -> None:
    """Points of 4, 8 and 4 epochs, two seeds each, are 32; the last two stop after 2 epochs.

    After 12 the best, a short one, has 6 to run as a finalist: that leaves no room for another of up to 16.
    """
    choices = {"length": {"short": {}, "long": {"training": {"epochs": 2 * EPOCHS}}}}
    points = [
        {"name": str(number), "method": "dynlocrep", "params": {"lam": 1.0 + number}, "choices": {"length": option}}
        for number, option in enumerate(("short", "long", "short"))
    ]
    racing = {"finalists": 1, "reinvest": True}
    study = spec(trials=3, seeds=[0, 1], parallel=1, racing=racing, choices=choices, points=points, fair=False)
    bench = Bench(tmp_path, study)
    bench.run(lambda n, race: "pruned" if n and race else "complete", slots=1)
    assert (len(bench.study.get_trials()), epochs_of(bench)) == (3, 12 + 6)


@pytest.mark.parametrize("parallel", [1, 4, 8])
def test_what_racing_frees_is_spent_whatever_runs_at_once(tmp_path: Path, parallel: int) -> None:
    """Twelve of 2 x 4 epochs are 96. The first `parallel` run whole, the others stop after 2 epochs; the last stays."""
    racing = {"finalists": 2, "reinvest": True}
    study = spec(trials=12, seeds=[0, 1], parallel=parallel, racing=racing)
    runs = []
    for slots in (1, 3, 8):
        bench = Bench(tmp_path / str(slots), study)
        bench.run(lambda n, race: "pruned" if n >= parallel and race else "complete", slots=slots, seed=slots)
        runs.append(bench.suggestions())
        assert 96 - study.plan.epochs < epochs_of(bench) <= 96
    assert runs[0] == runs[1] == runs[2]


def test_fresh_seeds_of_finalists_are_paid_for_by_what_racing_frees(tmp_path: Path) -> None:
    """Of 96 epochs finalists and the winner take 24; 8 are whole, then 2 each, and one must fit in: 29 more."""
    racing = {"finalists": 2, "reinvest": True, "judged_on": "fresh"}
    bench = Bench(tmp_path, spec(trials=12, seeds=[0, 1], parallel=1, racing=racing))
    bench.run(lambda n, race: "pruned" if n and race else "complete", slots=1)
    assert epochs_of(bench) <= 96
    assert len(bench.study.get_trials()) == 1 + (96 - 24 - 8 - 8) // 2 + 1


def epochs_of(bench: Bench) -> int:
    """All that was run."""
    records = read_records(bench.sweep, bench.spec.plan)
    return sum(len(history.epochs) for record in records for history in record.histories.values())


FRESH = {"finalists": 2, "judged_on": "fresh"}


def test_finalists_run_fresh_seeds_and_the_search_hears_nothing_of_them(tmp_path: Path) -> None:
    bench = Bench(tmp_path, spec(trials=4, parallel=4, racing=FRESH))
    for _ in range(4):
        bench.suggest()
    for number, outcome in enumerate(("complete", "complete", "complete", "pruned")):
        bench.end(number, outcome)
    ranked = sorted(range(4), key=lambda n: bench.maes(n)[0] + (0.1 if n < 3 else 0))
    chosen = [bench.suggest(), bench.suggest()]
    assert bench.suggest() is None, "the winner is not known yet"
    assert bench.numbers() == ranked[:2]
    assert [(told["seeds"], told["race"]) for told in chosen if isinstance(told, dict)] == [
        ([1000, 1001, 1002], False)
    ] * 2
    for number in ranked[:2]:
        bench.leave(number, 20.0 + number)
    winner = min(ranked[:2])
    last = bench.suggest()
    assert isinstance(last, dict) and (last["number"], last["seeds"]) == (winner, [2000, 2001, 2002])
    first = best(read_records(bench.sweep, bench.spec.plan))
    assert first and first.objective == 20.0 + winner, "as long as these have not run"
    bench.leave(winner, 50.0)
    assert bench.suggest() == Searcher.FINISHED
    bench.searcher.settle()
    records = [read_record(bench.sweep, number, bench.spec.plan) for number in range(4)]
    assert [record.is_fresh for record in records if record] == [number in ranked[:2] for number in range(4)]
    shown = leaderboard(record for record in records if record)
    others = [number for number in ranked if number != winner]
    assert [one.number for one in shown] == [winner, *others], "it stays the winner whatever they come to"
    assert [one.objective for one in shown[:2]] == [50.0, 20.0 + others[0]]
    values = [trial.value for trial in bench.study.get_trials()]
    raced = [pytest.approx(mean(bench.maes(number))) for number in range(3)]
    assert values[:3] == raced, "of the race, where that was whole"
    assert bench.study.user_attrs["fresh"] == {str(number): 20.0 + number for number in ranked[:2]}
    told = {record.number: record.state for record in records if record}
    assert {n: bench.state(n).name.lower() for n in told} == told, "Optuna says the same as the leaderboard"
    again = Bench(tmp_path, bench.spec, bench.storage)
    assert again.suggest() == Searcher.FINISHED


def after_a_race(home: Path, study: SweepSpec) -> Bench:
    """Three configurations have raced, of which the first is whole."""
    bench = Bench(home, study)
    for _ in range(3):
        bench.suggest()
    for number, outcome in enumerate(("complete", "pruned", "pruned")):
        bench.end(number, outcome)
    return bench


def test_a_finalist_whose_driver_died_goes_on_with_its_fresh_seeds(tmp_path: Path) -> None:
    study = spec(trials=3, parallel=3, racing=FRESH)
    killed = after_a_race(tmp_path, study)
    killed.suggest()
    killed.suggest()
    resumed = Bench(tmp_path, study, killed.storage)
    told = [resumed.suggest(), resumed.suggest()]
    assert [(one["seeds"], one["race"]) for one in told if isinstance(one, dict)] == [([1000, 1001, 1002], False)] * 2
    assert sorted(resumed.heard.starts) == sorted(killed.numbers())


def test_more_seeds_are_more_fresh_ones_for_finalists(tmp_path: Path) -> None:
    """Those that went before into the finals are chosen by their race again, and run what they lack."""
    short = Bench(tmp_path, spec(trials=4, parallel=2, seeds=[0, 1], racing=FRESH))
    short.run()
    short.searcher.settle()
    short.study.set_user_attr("finalists", None)
    longer = Bench(tmp_path, spec(trials=4, parallel=2, seeds=[0, 1, 2], racing=FRESH), short.storage)
    longer.run()
    *finalists, winner = short.heard.starts[4:]
    assert winner in finalists
    *again, last = longer.heard.starts
    assert again == finalists
    for number in finalists:
        record = read_record(longer.sweep, number, longer.spec.plan)
        reported = [seed for seed in (2000, 2001, 2002) if number == last or (number == winner and seed < 2002)]
        assert record and [run.seed for run in record.ended] == [0, 1, 1000, 1001, 1002, *reported]
        assert record.as_raced().plan.seeds == (0, 1)


@pytest.mark.parametrize("trials", [2, 8])
def test_a_sweep_in_which_everything_fails_is_given_up(tmp_path: Path, trials: int) -> None:
    bench = Bench(tmp_path, spec(trials=trials, parallel=1))
    bench.run(lambda n, race: "failed", slots=1)
    assert bench.searcher.aborted and bench.searcher.aborted.failure == "Diverged: the loss is nan"
    assert len(bench.heard.starts) == min(3, trials)


@pytest.mark.parametrize("slots", [1, 2, 4])
def test_giving_up_does_not_depend_on_how_many_run_at_once(tmp_path: Path, slots: int) -> None:
    """The first three fail, the published points of two methods among them: one more decides."""
    two = spec(spaces=["dynlocrep", "exponential"], trials=8, parallel=4)
    bench = Bench(tmp_path / "goes on", two)
    bench.run(lambda n, race: "failed" if n < 3 else "complete", slots=slots)
    assert not bench.searcher.aborted and len(bench.heard.starts) == 8
    bench = Bench(tmp_path / "gives up", two)
    bench.run(lambda n, race: "failed" if n < 4 else "complete", slots=slots)
    assert bench.searcher.aborted and bench.searcher.aborted.number == 0


def test_a_sampler_leaves_a_region_that_fails(tmp_path: Path) -> None:
    """The upper half of the learning rates diverges: at random it is drawn half the time."""
    override = {"training.lr": {"low": 0.0, "high": 1.0}}
    study = spec(spaces=["vanilla"], trials=40, parallel=1, seeds=[0], override=override)
    bench = Bench(tmp_path, study)
    bench.run(lambda n, race: "failed" if bench.lr(n) > 0.5 else "complete", slots=1)
    rates = [bench.lr(n) for n in range(40)]
    assert sum(rate > 0.5 for rate in rates[:10]) >= 2, "it has seen some"
    assert sum(rate > 0.5 for rate in rates[20:]) <= 4


def test_failures_beside_a_success_are_not_the_end(tmp_path: Path) -> None:
    bench = Bench(tmp_path, spec(trials=8, parallel=1))
    bench.run(lambda n, race: "complete" if n == 1 else "failed", slots=1)
    assert not bench.searcher.aborted
    assert len(bench.heard.starts) == 8


@pytest.mark.parametrize("sampler", ["tpe", "qmc"])
def test_a_sweep_that_is_extended_draws_what_one_at_once_does(tmp_path: Path, sampler: str) -> None:
    """Far enough for TPE to model, with finalists that come to more seeds in between."""
    asked: dict[str, Any] = {"spaces": ["dynlocrep", "supremix"], "sampler": sampler, "parallel": 3, "seeds": [0, 1]}
    asked |= {"racing": {"finalists": 4}}

    def outcome(number: int, race: bool) -> str:
        return "pruned" if race and number % 3 == 2 else "failed" if number == 7 else "complete"

    at_once = Bench(tmp_path / "at once", spec(**asked, trials=26))
    at_once.run(outcome)
    short = Bench(tmp_path / "extended", spec(**asked, trials=14))
    short.run(outcome)
    short.searcher.settle()
    assert any(record.raced for record in read_records(short.sweep, short.spec.plan))
    short.study.set_user_attr("finalists", None)
    extended = Bench(tmp_path / "extended", spec(**asked, trials=26), short.storage)
    extended.run(outcome, slots=1)
    assert extended.suggestions() == at_once.suggestions()
    assert len(extended.suggestions()) == 26
    assert raced(extended) == raced(at_once)


def with_space(bench: Bench, space: str, trials: int) -> Bench:
    """A driver of the sweep of `bench` after it was extended by a space."""
    spaces = bench.spec.search.spaces
    add_spaces(bench.study, spaces, (*spaces, space))
    longer = bench.spec.searching(spaces=(*spaces, space), trials=trials)
    return Bench(bench.sweep.parent, longer, bench.storage, bench.sweep.name)


@pytest.mark.parametrize("spaces", [["dynlocrep"], ["dynlocrep", "supremix"]])
@pytest.mark.parametrize("sampler", ["tpe", "qmc"])
def test_a_space_that_is_added_is_tried_at_its_published_point_and_then_searched(
    tmp_path: Path, sampler: str, spaces: list[str]
) -> None:
    study = spec(spaces=spaces, sampler=sampler, trials=8, parallel=2, seeds=[0], fair=False)
    runs = []
    for slots in (1, 2):
        home = tmp_path / str(slots)
        bench = Bench(home, study)
        bench.run(slots=slots)
        before = bench.suggestions()
        bench = with_space(bench, "exponential", 16)
        bench.run(slots=slots)
        assert bench.suggestions()[:8] == before
        end = len(bench.suggestions())
        bench = with_space(bench, "vanilla", 18)
        bench.run(slots=slots)
        runs.append(bench.suggestions())
    assert runs[0] == runs[1], "it does not depend on timing"
    drawn = {record.number: record.configuration for record in read_records(bench.sweep, bench.spec.plan)}
    assert {drawn[number].method for number in range(8)} == {*spaces}
    assert drawn[8] == Configuration("exponential", losses.parameters("exponential"))
    later = {drawn[number].method for number in range(9, end) if number in drawn}
    assert later > {"exponential"}, "the old ones are searched on"
    assert drawn[end] == Configuration("vanilla", losses.parameters("vanilla"))


def test_a_space_that_is_added_gets_as_many_configurations_as_the_others(tmp_path: Path) -> None:
    bench = Bench(tmp_path, spec(spaces=["dynlocrep", "supremix"], trials=8, parallel=2, seeds=[0]))
    bench.run()
    bench = with_space(bench, "exponential", 15)
    bench.run()
    drawn = [record.configuration for record in read_records(bench.sweep, bench.spec.plan)]
    assert drawn[8] == Configuration("exponential", losses.parameters("exponential"), {"lr": 1e-4})
    assert [one.method for one in drawn[8:]] == [*["exponential"] * 4, "dynlocrep", "supremix", "exponential"]
    named = [trial.params.get("method", trial.params.get("method of 3")) for trial in bench.study.get_trials()]
    assert named == [one.method for one in drawn], "Optuna's study knows the methods"


@pytest.mark.parametrize("spaces", [["dynlocrep"], ["dynlocrep", "supremix"]])
def test_a_sampler_sees_all_that_came_before_a_space_was_added(tmp_path: Path, spaces: list[str]) -> None:
    bench = Bench(tmp_path, spec(spaces=spaces, trials=4, parallel=1, seeds=[0]))
    bench.run()
    bench = with_space(bench, "exponential", 7)
    for _ in range(3):
        bench.run_one()
    records = {record.number: record for record in read_records(bench.sweep, bench.spec.plan)}
    scratch = Scratch(bench.study, 6, records, make_sampler("tpe", 6), Spaces.of(bench.study, bench.spec.search.spaces))
    *before, own = scratch.trial.study.get_trials()
    assert [trial.params["method"] for trial in before] == [r.configuration.method for r in records.values()][:6]
    assert [trial.value for trial in before] == [record.objective for record in records.values()][:6]
    assert {trial.distributions["method"].choices for trial in before} == {(*spaces, "exponential")}  # type: ignore[attr-defined]
    assert own.state == TrialState.RUNNING


def test_an_optuna_storage_on_disk_takes_a_space_that_is_added(tmp_path: Path) -> None:
    """It refuses other choices of a parameter."""
    storage = RDBStorage(f"sqlite:///{tmp_path}/optuna.db")
    bench = Bench(tmp_path, spec(spaces=["dynlocrep", "supremix"], trials=2, parallel=1, seeds=[0]), storage)
    bench.run()
    bench = with_space(bench, "exponential", 4)
    bench.run()
    assert [{*trial.params} & {"method", "method of 3"} for trial in bench.study.get_trials()] == [
        {"method"},
        {"method"},
        {"method of 3"},
        {"method of 3"},
    ]


def test_a_space_that_is_added_goes_on_where_it_was_killed(tmp_path: Path) -> None:
    study = spec(spaces=["dynlocrep"], trials=6, parallel=2, seeds=[0])
    undisturbed = Bench(tmp_path / "undisturbed", study)
    undisturbed.run()
    undisturbed = with_space(undisturbed, "exponential", 16)
    undisturbed.run()
    killed = Bench(tmp_path / "killed", study)
    killed.run()
    killed = with_space(killed, "exponential", 16)
    for _ in range(4):
        killed.run_one()
    killed.suggest()
    killed.study.ask()
    resumed = Bench(tmp_path / "killed", killed.spec, killed.storage, killed.sweep.name)
    resumed.run()
    assert resumed.suggestions() == undisturbed.suggestions()


def test_what_was_in_line_before_a_space_was_added_is_drawn_from_those_before(tmp_path: Path) -> None:
    override = {"dynlocrep.sigma": {"low": 1.0, "high": 2.0}}
    point = {"name": "one", "method": "dynlocrep", "params": {"sigma": 1.5}}
    study = spec(spaces=["dynlocrep"], trials=6, parallel=1, seeds=[0], points=[point], override=override)
    undisturbed = Bench(tmp_path / "undisturbed", study)
    undisturbed.run()
    killed = Bench(tmp_path / "killed", study)
    killed.study.ask()
    more = with_space(killed, "simclr", 9)
    more.run()
    assert more.suggestions()[:2] == undisturbed.suggestions()[:2], "of which the second was still in line"
    drawn = [record.configuration.method for record in read_records(more.sweep, more.spec.plan)]
    assert (drawn[:3], len(drawn)) == (["dynlocrep", "dynlocrep", "simclr"], 9)


def test_an_exhausted_space_is_no_end_where_another_is_added(tmp_path: Path) -> None:
    bench = Bench(tmp_path, spec(spaces=["vanilla"], trials=5, parallel=2, seeds=[0], fair=False))
    bench.run()
    bench = with_space(bench, "exponential", 8)
    bench.run()
    methods_run = [record.configuration.method for record in read_records(bench.sweep, bench.spec.plan)]
    assert (len(methods_run), methods_run.count("vanilla")) == (8, 1)


def raced(bench: Bench) -> list[dict[Replicate, list[Any]]]:
    """The epochs of every race."""
    records = [record.as_raced() for record in read_records(bench.sweep, bench.spec.plan)]
    return [{seed: list(history.epochs) for seed, history in record.histories.items()} for record in records]


# resume


@pytest.mark.parametrize("sampler", ["tpe", "qmc"])
@pytest.mark.parametrize("killed_after", [0, 1, 4, 9])
def test_a_resumed_sweep_suggests_what_the_undisturbed_one_does(
    tmp_path: Path, sampler: str, killed_after: int
) -> None:
    study = spec(spaces=["dynlocrep", "supremix"], sampler=sampler, trials=14, parallel=2, seeds=[0])
    undisturbed = Bench(tmp_path / "undisturbed", study)
    undisturbed.run()
    killed = Bench(tmp_path / "killed", study)
    for _ in range(killed_after):
        killed.suggest()
        killed.end(killed.numbers()[0])
    killed.suggest()
    killed.suggest()
    under_way = {told["number"]: told["params"] for told in killed.open.values()}
    done = set(killed.heard.starts) - set(under_way)

    resumed = Bench(tmp_path / "killed", study, killed.storage)
    for number, params in sorted(under_way.items()):
        resumed.suggest()
        assert (resumed.numbers()[-1], resumed.open[f"tune-{resumed._ids}"]["params"]) == (number, params)
    resumed.run()
    assert not done & set(resumed.heard.starts), "no finished configuration again"
    assert resumed.suggestions() == undisturbed.suggestions()


def test_a_driver_killed_between_asking_and_drawing(tmp_path: Path) -> None:
    study = spec(spaces=["dynlocrep", "supremix"], trials=14, parallel=1, seeds=[0])
    undisturbed = Bench(tmp_path / "undisturbed", study)
    undisturbed.run()
    killed = Bench(tmp_path / "killed", study)
    for _ in range(12):
        killed.suggest()
        killed.end(killed.numbers()[0])
    killed.searcher._tell_up_to(11)
    assert killed.study.ask().number == 12
    resumed = Bench(tmp_path / "killed", study, killed.storage)
    resumed.run()
    assert resumed.suggestions() == undisturbed.suggestions()


def test_those_that_ended_untold_are_told_and_one_whose_process_died_is_tried_again(tmp_path: Path) -> None:
    study = spec(trials=6, parallel=4)
    killed = Bench(tmp_path, study)
    for _ in range(4):
        killed.suggest()
    for number, outcome in enumerate(("complete", "pruned", "failed", "died")):
        killed.end(number, outcome)
    resumed = Bench(tmp_path, study, killed.storage)
    resumed.run()
    resumed.searcher.settle()
    assert resumed.heard.starts == [3, 4, 5]
    states = [resumed.state(n) for n in range(4)]
    assert states == [TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL, TrialState.COMPLETE]


def test_finalists_under_way_when_the_driver_died_go_on(tmp_path: Path) -> None:
    study = spec(trials=3, parallel=3, racing={"finalists": 3})
    killed = after_a_race(tmp_path, study)
    killed.suggest()
    (under_way,) = killed.numbers()
    history([5.0] * EPOCHS, seed=0).write(
        run_folder(killed.sweep, under_way, Replicate(0))
    )  # no longer pruned, not yet whole
    resumed = Bench(tmp_path, study, killed.storage)
    resumed.run()
    assert sorted(resumed.heard.starts) == [1, 2]
    records = [read_record(resumed.sweep, n, study.plan) for n in range(3)]
    assert all(r and r.state == "complete" for r in records)


def test_a_finished_search_has_nothing_more(tmp_path: Path) -> None:
    study = spec(trials=3, racing=RACING)
    bench = Bench(tmp_path, study)
    bench.run(lambda n, race: "pruned" if n and race else "complete")
    again = Bench(tmp_path, study, bench.storage)
    assert again.suggest() == Searcher.FINISHED
    assert again.heard.starts == []


# other objectives, and bounds


class Measured(Bench):
    """Trials that leave further figures in each epoch."""

    def figures(self, number: int) -> dict[str, float]:
        told = read_record(self.sweep, number, self.spec.plan)
        assert told
        drawn = fold(repr(told.configuration))
        return {"validation_site": drawn % 97 / 97, "parameters": float(drawn % 89)}

    def end(self, number: int, outcome: str = "complete") -> None:
        trial_id = next(key for key, told in self.open.items() if told["number"] == number)
        told = self.open.pop(trial_id)
        (objective, *_), also = self.spec.search.objective, self.figures(number)
        for seed, value in zip(told["seeds"], self.maes(number), strict=True):
            measured = 1 / value if objective == "pearson" else value
            whole = history([measured] * EPOCHS, seed=seed, objective=objective, also=also)
            whole.write(run_folder(self.sweep, number, Replicate(seed)))
        self.searcher.on_trial_complete(trial_id)


def test_optuna_has_a_correlation_as_it_is_and_looks_for_more(tmp_path: Path) -> None:
    bench = Measured(tmp_path, spec(trials=3, parallel=1, objective="pearson"))
    bench.run()
    bench.searcher.settle()
    assert bench.study.direction is StudyDirection.MAXIMIZE
    assert bench.study.metric_names == ["validation Pearson's r"]
    by_hand = [sum(1 / mae for mae in bench.maes(number)) / 3 for number in range(3)]
    assert [trial.value for trial in bench.study.get_trials()] == pytest.approx(by_hand)
    best = max(range(3), key=lambda number: by_hand[number])
    assert bench.study.best_trial.number == leaderboard(read_records(bench.sweep, bench.spec.plan))[0].number == best


def test_one_that_failed_is_worse_than_all_in_every_objectives_own_direction(tmp_path: Path) -> None:
    study = spec(trials=4, parallel=1, racing=None, objective=["pearson", "site"], group="site")
    bench = Measured(tmp_path, study)
    for number in range(3):
        bench.suggest()
        if number == 1:
            Bench.end(bench, number, "failed")
        else:
            bench.end(number)
    known = {number: read_record(bench.sweep, number, study.plan) for number in range(3)}
    spaces = Spaces.of(bench.study, study.search.spaces)
    seen = Scratch(bench.study, 3, known, make_sampler("tpe", 3), spaces).trial.study.get_trials()
    r, site = zip(*(seen[number].values for number in (0, 1)), strict=True)
    others = [record.objectives for record in known.values() if record and not record.failure]
    assert r[1] == pytest.approx(2 * min(o["pearson"] for o in others) - max(o["pearson"] for o in others))
    assert site[1] == pytest.approx(2 * max(o["site"] for o in others) - min(o["site"] for o in others))


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_several_objectives_are_searched_and_do_not_depend_on_timing(tmp_path: Path, sampler: str) -> None:
    trials = 36 if sampler == "nsga2" else 14
    study = spec(
        trials=trials, parallel=3, racing=None, objective=["mae", "site"], group="site", seeds=[0], sampler=sampler
    )
    runs = []
    for slots in (1, 3):
        bench = Measured(tmp_path / str(slots), study)
        bench.run(slots=slots, seed=slots)
        bench.searcher.settle()
        runs.append(bench.suggestions())
    assert runs[0] == runs[1]
    assert bench.study.metric_names == ["validation MAE", "validation site accuracy"]
    records = read_records(bench.sweep, study.plan)
    front = {number for number, at in fronts(records).items() if at == 1}
    assert {trial.number for trial in bench.study.best_trials if "repeats" not in trial.user_attrs} == front
    generations = {trial.system_attrs.get("NSGAIISampler:generation") for trial in bench.study.get_trials()}
    assert generations >= {0, 1} if sampler == "nsga2" else generations == {None}


def test_parents_of_a_generation_are_of_the_same_method(tmp_path: Path) -> None:
    """Each method's scratch counts from 0: numbers of one are none of the other's."""
    spaces = ["dynlocrep", "exponential"]
    bench = Measured(tmp_path, spec(spaces=spaces, trials=74, parallel=2, racing=None, seeds=[0], sampler="nsga2"))
    bench.run()
    generations = [trial.system_attrs.get("NSGAIISampler:generation", 0) for trial in bench.study.get_trials()]
    assert max(generations) >= 2
    assert not [key for key in bench.storage.get_study_system_attrs(bench.study._study_id) if "parent" in key]


@pytest.mark.parametrize("sampler", ["gp", "qmc", "nsga2"])
def test_a_point_leaves_a_sampler_what_it_learns_from(tmp_path: Path, sampler: str) -> None:
    """A point was asked for nothing, so that it has no parameter in common with the others."""
    points = [{"name": "own", "method": "dynlocrep", "params": {"lam": 3.0}}]
    bench = Bench(tmp_path, spec(trials=20, parallel=1, seeds=[0], sampler=sampler, points=points))
    bench.run()
    known = dict(enumerate(read_records(bench.sweep, bench.spec.plan)))
    trial = Scratch(bench.study, 20, known, make_sampler(sampler, 20), Spaces.of(bench.study, ["dynlocrep"])).trial
    assert len(trial.relative_params) > 2


def test_a_point_costs_no_method_its_published_one(tmp_path: Path) -> None:
    """It is where the published one is, but for what is not searched."""
    points = [{"name": "decayed", "method": "dynlocrep", "training": {"weight_decay": 0.1}}]
    bench = Bench(tmp_path, spec(spaces=["dynlocrep", "supcon"], trials=3, parallel=1, seeds=[0], points=points))
    bench.run()
    drawn = [record.configuration for record in read_records(bench.sweep, bench.spec.plan)]
    assert [(one.method, one.training.get("weight_decay")) for one in drawn] == [
        ("dynlocrep", 0.1),
        ("dynlocrep", None),
        ("supcon", None),
    ]
    assert drawn[1].params == losses.parameters("dynlocrep") and drawn[2].params == losses.parameters("supcon")


def test_a_resumed_nsga2_goes_on_with_the_same_generations(tmp_path: Path) -> None:
    study = spec(trials=36, parallel=2, racing=None, seeds=[0], sampler="nsga2")
    whole = Measured(tmp_path / "whole", study)
    whole.run()
    first = Measured(tmp_path / "resumed", study)
    for _ in range(20):
        first.run_one()
    resumed = Measured(tmp_path / "resumed", study, first.storage)
    resumed.run()
    assert resumed.suggestions() == whole.suggestions()


def test_optuna_is_told_which_break_a_bound_and_by_how_much(tmp_path: Path) -> None:
    study = spec(trials=8, parallel=1, seeds=[0], constraints={"parameters": {"max": 40}})
    bench = Measured(tmp_path, study)
    bench.run()
    bench.searcher.settle()
    records = read_records(bench.sweep, study.plan)
    told = {trial.number: trial.constraints for trial in bench.study.get_trials() if "repeats" not in trial.user_attrs}
    assert told == {
        r.number: {"parameters": pytest.approx(bench.figures(r.number)["parameters"] / 40 - 1)} for r in records
    }
    assert {bool(record.infeasible) for record in records} == {True, False}
    assert bench.study.best_trial.number == leaderboard(records)[0].number
    known, spaces = dict(enumerate(records[:6])), Spaces.of(bench.study, study.search.spaces)
    seen = Scratch(bench.study, 7, known, make_sampler("tpe", 7), spaces).trial.study.get_trials()
    assert [trial.constraints for trial in seen[:6]] == [told[number] for number in range(6)]


def test_a_failure_is_no_end_of_a_bounded_search(tmp_path: Path) -> None:
    """A Gaussian process draws from the eleventh on, and has failures among what it knows."""
    bounded = spec(sampler="gp", seeds=[0], trials=13, parallel=1, constraints={"parameters": {"max": 500}})
    bench = Measured(tmp_path, bounded)
    for number in range(13):
        bench.suggest()
        if number == 3:
            Bench.end(bench, number, "failed")
        else:
            bench.end(number)
    assert bench.heard.starts == list(range(13))


def test_what_breaks_a_bound_is_no_finalist(tmp_path: Path) -> None:
    study = spec(trials=6, parallel=6, racing={"finalists": 6}, constraints={"parameters": {"max": 40}})
    bench = Measured(tmp_path, study)
    for _ in range(6):
        bench.suggest()
    for number in range(6):
        bench.end(number)
    bench.run()
    over = {record.number for record in read_records(bench.sweep, study.plan) if record.infeasible}
    chosen = bench.study.user_attrs["finalists"]
    assert over and set(chosen) == set(range(6)) - over


# what was lost, or cut off


@pytest.mark.parametrize("racing", [None, RACING], ids=["no racing", "racing"])
def test_what_was_lost_of_ended_configurations_is_run_again_and_the_earliest_first(
    tmp_path: Path, racing: dict[str, Any] | None
) -> None:
    study = spec(trials=6, parallel=2, seeds=[0, 1], racing=racing)
    bench = Bench(tmp_path, study)
    bench.run()
    before = read_records(bench.sweep, study.plan)
    lost = [record.number for record in before if record.raced is None][:3]
    shutil.rmtree(trial_folder(bench.sweep, lost[0]))
    for number in lost[1:]:
        shutil.rmtree(run_folder(bench.sweep, number, Replicate(1)))
    again = Bench(tmp_path, study, bench.storage)
    told = again.suggest()
    assert isinstance(told, dict) and (told["number"], told["race"]) == (lost[0], True)
    while isinstance(told := again.suggest(), dict):
        assert lost[0] > told["number"] - 2, "what is judged by the first waits for it"
    assert told is None or lost[-1] < lost[0] + 2
    again.run()
    assert read_records(again.sweep, study.plan) == before


def test_a_finalist_whose_record_was_lost_gets_its_seeds_back(tmp_path: Path) -> None:
    study = spec(trials=5, parallel=2, seeds=[0, 1], racing=RACING | {"judged_on": "fresh"})
    bench = Bench(tmp_path, study)
    bench.run()
    before = read_records(bench.sweep, study.plan)
    fresh = next(record.number for record in before if record.is_fresh and not record.is_reported)
    (trial_folder(bench.sweep, fresh) / "trial.json").unlink()
    again = Bench(tmp_path, study, bench.storage)
    again.run()
    assert read_records(again.sweep, study.plan) == before


def test_how_much_is_unfinished(tmp_path: Path) -> None:
    study = spec(trials=4, parallel=2, seeds=[0, 1], racing=RACING)
    bench = Bench(tmp_path, study)
    assert bench.searcher.unfinished() == 4
    bench.run_one()
    assert isinstance(bench.suggest(), dict)
    bench.end(1, "paused")
    bench.searcher.close()
    assert bench.suggest() == Searcher.FINISHED
    assert bench.searcher.unfinished() == 3, "one is paused, and two have not begun"
    again = Bench(tmp_path, study, bench.storage)
    again.run(lambda number, race: "pruned" if race and number else "complete")
    assert again.searcher.unfinished() == 0
    finals = Bench(tmp_path, study, again.storage)
    shutil.rmtree(run_folder(finals.sweep, read_records(finals.sweep, study.plan)[1].number, Replicate(1)))
    assert finals.searcher.unfinished() == int(read_records(finals.sweep, study.plan)[1].raced is not None)
