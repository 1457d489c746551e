"""The searcher, driven by hand: what it suggests, when it waits, what it tells Optuna, what a resumed one does."""

import random
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import BaseStorage, InMemoryStorage, RDBStorage
from optuna.trial import TrialState
from ray.tune.search import Searcher

from search_spaces import Configuration
from services.records.trial_record import keep_race, read_record, read_records, run_folder, write_configuration
from services.spec import methods
from services.spec.replicate import REFIT, Replicate
from services.spec.spec import SeedPlan, SweepSpec
from services.stores.optuna import open_study
from services.sweep.sampling import make_sampler
from services.sweep.searcher import SweepSearcher
from tests.services.past import EPOCHS, history, spec
from trainers import losses
from trainers.history import COMPLETE, PRUNED
from trainers.seeding import fold

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

    def __init__(self, home: Path, spec: SweepSpec, storage: BaseStorage | None = None) -> None:
        self.spec, self.sweep = spec, home / spec.sweep_id
        self.storage = storage or InMemoryStorage()
        first = methods.starts(spec, 60.0)[: spec.search.trials]
        self.study = open_study(spec.sweep_id, self.storage, first)
        self.heard = Heard()
        search = spec.search
        self.searcher = SweepSearcher(
            self.study,
            lambda trial: methods.draw(trial, spec, 60.0),
            search,
            spec.plan,
            self.sweep,
            self.heard,
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
        return replace(self.spec.plan, seeds=tuple(told["seeds"]))

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
    temperatures = [one.params["temperature"] for one in sampled if "temperature" in one.params]
    assert len(temperatures) == len(set(temperatures)) > 4
    assert not [w for w in recwarn if issubclass(w.category, optuna.exceptions.ExperimentalWarning)]


def test_a_configuration_is_never_run_twice(tmp_path: Path) -> None:
    bench = Bench(tmp_path, spec(spaces=["exponential", "vanilla"], sampler="random", trials=8, parallel=2, seeds=[0]))
    bench.run()
    run = [record.configuration for record in read_records(bench.sweep, bench.spec.plan)]
    assert len(run) == 8
    assert [one.method for one in run].count("vanilla") == 1
    vanilla = next(t for t in bench.study.get_trials() if t.params["method"] == "vanilla")
    repeats = [t for t in bench.study.get_trials() if t.user_attrs.get("repeats") == vanilla.number]
    assert repeats
    assert {t.value for t in repeats if t.state is TrialState.COMPLETE} <= {vanilla.value}


def test_a_space_with_one_point_is_tried_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path, spec(spaces=["vanilla"], trials=5, parallel=2, seeds=[0]))
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
        for name in ("tpe", "random", "qmc", "gp"):
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
    bench = Bench(tmp_path, spec(trials=3, seeds=[0, 1], parallel=1, racing=racing))
    bench.run(lambda n, race: "pruned" if n and race else "complete", slots=1)
    assert len(bench.study.get_trials()) == expected


def test_what_is_reinvested_counts_pretraining_before_fine_tuning(tmp_path: Path) -> None:
    """Three of 2 x (4 + 4) epochs are 48; the others stop after 4 + 2: with 16 + 2 x 6 spent there is room for one."""
    study = spec(trials=3, seeds=[0, 1], parallel=1, racing={"finalists": 1, "reinvest": True})
    tuned = study.model_copy(update={"probe": {"finetune": {"method": "c_mixup", "epochs": EPOCHS}}})
    bench = Bench(tmp_path, tuned)
    bench.run(lambda n, race: "pruned" if n and race else "complete", slots=1)
    assert len(bench.study.get_trials()) == 4


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


@pytest.mark.parametrize("told", [False, True])
def test_a_repeat_whose_driver_died_over_it_is_passed_over_on_resume(tmp_path: Path, told: bool) -> None:
    study = spec(spaces=["vanilla", "exponential"], sampler="random", trials=12, parallel=2, seeds=[0])
    killed = Bench(tmp_path, study)
    for _ in range(11):
        killed.run_one()
    twins = repeats(killed)[-1:]
    trial = killed.study.get_trials()[twins[0]]
    storage = killed.study._storage
    assert isinstance(storage, InMemoryStorage)
    frozen = storage._get_trial(trial._trial_id)
    frozen.state, frozen.values, frozen.datetime_complete = TrialState.RUNNING, None, None
    if not told:
        del frozen.user_attrs["repeats"]
    resumed = Bench(tmp_path, study, killed.storage)
    resumed.run()
    assert twins[0] in repeats(resumed)
    assert twins[0] not in resumed.heard.starts
    assert resumed.state(twins[0]).is_finished()


def repeats(bench: Bench) -> list[int]:
    return [trial.number for trial in bench.study.get_trials() if "repeats" in trial.user_attrs]


def test_finalists_under_way_when_the_driver_died_go_on(tmp_path: Path) -> None:
    study = spec(trials=3, parallel=3, racing={"finalists": 3})
    killed = Bench(tmp_path, study)
    for _ in range(3):
        killed.suggest()
    for number, outcome in enumerate(("complete", "pruned", "pruned")):
        killed.end(number, outcome)
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
