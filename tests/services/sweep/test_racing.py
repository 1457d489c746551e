"""The referee: whom it stops, whom it does not, and that its verdicts depend on nothing but the past."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from contrasweep.search_spaces import Configuration
from contrasweep.services.records.trial_record import run_folder, write_configuration
from contrasweep.services.spec.replicate import Replicate
from contrasweep.services.spec.spec import SeedPlan
from contrasweep.services.sweep.racing import Racer, Referee, Rule
from contrasweep.trainers.history import EpochMetrics, History, Verdict
from tests.services.past import EPOCHS, by_seed, history, leave, rows

PLAN = SeedPlan((0, 1, 2), EPOCHS)
FIRST = Replicate(0)
RULE = Rule(PLAN, rungs=(2,), confidence=0.9)


def racer(histories: Mapping[Replicate, History], epochs: int = EPOCHS, plan: SeedPlan = PLAN) -> Racer:
    return Racer(histories, epochs, plan.replicates)


def seeds(*values: list[float], epochs: int = EPOCHS) -> Racer:
    return racer(by_seed({seed: history(mae, seed=seed) for seed, mae in enumerate(values)}), epochs)


GOOD = seeds([9.0, 8.0, 7.0, 6.0], [9.2, 8.2, 7.2, 6.2], [8.8, 7.8, 6.8, 5.8])


# the rule


@pytest.mark.parametrize("own", [seeds([50.0, 50.0]), seeds([50.0] * 4), seeds([50.0] * 4, [50.0] * 4)])
def test_never_stops_without_a_whole_rival(own: Racer) -> None:
    half = seeds([9.0, 8.0, 7.0, 6.0], [9.0, 8.0])
    assert RULE.hopeless(own, []) == ""
    assert RULE.hopeless(own, [half, racer({})]) == ""
    assert RULE.hopeless(own, [half, GOOD]) != ""


def test_judges_at_rungs_and_ends_of_seeds_only() -> None:
    verdicts = [bool(RULE.hopeless(seeds([50.0] * length), [GOOD])) for length in range(1, EPOCHS + 1)]
    assert verdicts == [False, True, False, True]
    verdicts = [bool(RULE.hopeless(seeds([50.0] * 4, [50.0] * length), [GOOD])) for length in range(1, EPOCHS + 1)]
    assert verdicts == [False, True, False, True]


def test_a_configuration_that_ran_everything_is_not_stopped() -> None:
    assert RULE.hopeless(seeds([50.0] * 4, [50.0] * 4, [50.0] * 4), [GOOD]) == ""


def test_does_not_stop_within_the_noise() -> None:
    noisy = [seeds(*([6.0 + d] * 4 for d in shift)) for shift in ([1, -1, 0.5], [-1, 1, 0.5], [0.3, 0.9, -1])]
    assert RULE.hopeless(seeds([6.6] * 4, [6.4] * 4), [GOOD, *noisy]) == ""
    assert RULE.hopeless(seeds([5.0] * 4), [GOOD, *noisy]) == "", "better than the best"


def test_a_slow_starter_that_won_a_seed_is_not_stopped_early_in_the_next() -> None:
    slow = [40.0, 30.0, 20.0, 5.7]
    assert RULE.hopeless(seeds(slow, slow[:2]), [GOOD]) == "", "behind at the rung, as it was in the seed that it won"
    assert RULE.hopeless(seeds(slow[:2]), [GOOD]) != "", "it has won nothing yet"
    assert RULE.hopeless(seeds(slow, [40.0, 30.0, 20.0, 19.0]), [GOOD]) != "", "at the end of a seed it is judged"
    assert RULE.hopeless(seeds([40.0, 30.0, 20.0, 12.0], slow[:2]), [GOOD]) != "", "it lost the first"


def test_pairs_are_of_the_same_seed_and_the_same_epoch() -> None:
    hard = seeds([90.0, 60.0, 50.0, 40.0], [9.0, 6.0, 5.0, 4.0], [9.0, 6.0, 5.0, 4.0])
    assert RULE.hopeless(seeds([90.0, 60.5]), [hard]) == "", "even with the best at that epoch, far above its end"
    assert RULE.hopeless(racer(by_seed({1: history([30.0, 20.0, 20.0, 20.0], seed=1)})), [hard]) != "", (
        "a bad run of the easy seed"
    )
    assert RULE.hopeless(seeds([90.0, 60.0, 50.0, 40.0]), [hard]) == "", "a fair run of the hard one"


def test_pairs_are_of_the_same_fold() -> None:
    plan = SeedPlan((0,), EPOCHS, folds=2)
    rule = Rule(plan, rungs=(2,), confidence=0.9)
    easy, hard = plan.replicates
    best = racer({easy: history([9.0, 6.0, 5.0, 4.0]), hard: history([90.0, 60.0, 50.0, 40.0])}, plan=plan)
    whole = history([9.0, 6.0, 5.0, 4.1])
    assert rule.hopeless(racer({easy: whole, hard: history([90.0, 60.5])}, plan=plan), [best]) == "", (
        "even with the best on the hard fold"
    )
    stopped = rule.hopeless(racer({easy: whole, hard: history([95.0, 90.0])}, plan=plan), [best])
    assert "over 2 paired runs" in stopped
    assert rule.hopeless(racer({easy: history([90.0, 60.0])}, plan=plan), [best]) != "", (
        "fair on the hard fold, and bad on the easy one"
    )


def test_the_best_value_so_far_counts_not_the_last() -> None:
    assert RULE.hopeless(seeds([8.0, 99.0]), [GOOD]) == ""


def test_epochs_without_an_evaluation_are_no_evidence() -> None:
    blank: list[EpochMetrics] = [{"epoch": 0, "loss": 1.0}, {"epoch": 1, "loss": 1.0}]
    unevaluated = racer({FIRST: History(0, epochs=blank)})
    rival = racer({run: History(run.seed, epochs=[*blank, *rows([5.0, 5.0], first=2)]) for run in PLAN.replicates})
    assert RULE.hopeless(unevaluated, [rival]) == ""


def test_the_bound_by_hand() -> None:
    """One rival beside the best, 1, 2 and 3 behind it: squares 1 + 0 + 1 over 3 - 1 degrees of freedom.

    The prior adds two degrees with variance (10 % of 6)^2 = 0.36, so s^2 = (2 * 0.36 + 2) / 4 = 0.68. Three seeds with
    a rung are looked at five times before the end, each with a fifth of 0.1: t(0.98, 4) = 2.9985. The best of two
    equals is z(1.625 / 2.25) = 0.5895 standard errors lucky, and that of a mean over three seeds is s / sqrt(2 * 3).
    """
    best, other = seeds([6.0] * 4, [6.0] * 4, [6.0] * 4), seeds([7.0] * 4, [8.0] * 4, [9.0] * 4)
    bound = math.sqrt(0.68) * (2.9985 / math.sqrt(2) + 0.5895 / math.sqrt(6))
    behind = [seeds([6 + bound + d - 0.1] * 4, [6 + bound + d + 0.1] * 4) for d in (-0.01, 0.01)]
    assert RULE.hopeless(behind[0], [best, other]) == ""
    said = RULE.hopeless(behind[1], [best, other])
    assert said == "1.957 behind the best over 2 paired seeds; 1.947 would still be open"


def test_a_first_difference_at_a_rung_may_yet_change() -> None:
    """The rival was 4 behind the best after two epochs and ended equal: a mean square of (2 * 0.36 + 3 * 16) / 5."""
    best, late = seeds(*[[8.0, 7.0, 6.0, 6.0]] * 3), seeds(*[[12.0, 11.0, 6.0, 6.0]] * 3)
    s = math.sqrt(2 * 0.36 / 4)
    bound = s * 0.5895 / math.sqrt(6) + 2.9985 * math.sqrt(s**2 + (2 * 0.36 + 3 * 16) / 5)
    assert RULE.hopeless(seeds([7 + bound - 0.01] * 2), [best, late]) == ""
    assert RULE.hopeless(seeds([7 + bound + 0.01] * 2), [best, late]) != ""


@pytest.mark.parametrize("rungs", [(), (1, 2)])
def test_one_as_good_as_the_best_is_rarely_stopped(rungs: tuple[int, ...]) -> None:
    """The best is the luckiest of eight equals; of 200 that are as good in truth at most a tenth is to be stopped."""
    rng, rule = np.random.default_rng(0), Rule(PLAN, rungs, 0.9)

    def run() -> Racer:
        return seeds(*(list(level + rng.normal(0, 0.2, 4)) for level in rng.normal(7, 0.3, 3)))

    stopped = 0
    for _ in range(200):
        others, whole, own = [run() for _ in range(8)], run().histories, dict[Replicate, History]()
        looks = [(replicate, stop) for replicate in whole for stop in (*rungs, EPOCHS)]
        for replicate, stop in looks:
            own[replicate] = whole[replicate].up_to(stop, "")
            if rule.hopeless(racer(own), others):
                stopped += 1
                break
    assert stopped <= 0.13 * 200, "a tenth, and two standard errors"


@pytest.mark.parametrize(("noise", "share"), [(0.3, 0.9), (1.0, 0.75)])
def test_a_race_keeps_the_true_best_and_saves_runs(noise: float, share: float) -> None:
    """Configurations 0.4 apart on average; a seed's own difficulty is common to all."""
    rng = np.random.default_rng(0)
    repeats, configurations = 20, 12
    kept = spent = 0
    for _ in range(repeats):
        quality = rng.uniform(5, 10, configurations)
        easy = rng.normal(0, 1.0, len(PLAN.seeds))
        past: list[dict[Replicate, History]] = []
        for mean in quality:
            own: dict[Replicate, History] = {}
            for run in PLAN.replicates:
                final = mean + easy[run.seed] + rng.normal(0, noise)
                curve = [final * (1 + 0.5 * 0.4**epoch) for epoch in range(EPOCHS - 1)] + [final]
                own[run] = history(curve[:2], seed=run.seed)
                if RULE.hopeless(racer(own), list(map(racer, past))):
                    break
                own[run] = history(curve, seed=run.seed)
                if RULE.hopeless(racer(own), list(map(racer, past))):
                    break
            past.append(own)
            spent += sum(len(one.epochs) for one in own.values())
        whole = {i for i, own in enumerate(past) if sum(len(one.epochs) for one in own.values()) == 3 * EPOCHS}
        kept += int(np.argmin(quality)) in whole
    assert kept >= share * repeats
    assert spent <= 0.75 * repeats * configurations * EPOCHS * len(PLAN.seeds)


def test_a_whole_run_is_one_by_its_own_epochs() -> None:
    """Who trains for 4 epochs meets a best of 8, and the other way round."""
    long = seeds(*[[9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0]] * 3, epochs=8)
    assert RULE.hopeless(seeds([9.0, 8.0]), [long]) == "", "as good at that epoch"
    assert RULE.hopeless(seeds([9.0, 8.0, 7.0, 6.0]), [long]) != "", "its 6.0 is its end, that of the best is 2.0"
    assert RULE.hopeless(seeds([9.0, 8.0, 7.0, 6.0], epochs=8), [long]) == "", "it has not ended, and no rung is at 4"
    assert RULE.hopeless(seeds(*[[9.0, 8.0, 7.0, 6.0]] * 3, epochs=8), [GOOD]) == "", "nothing of it has ended"
    assert RULE.hopeless(seeds([50.0] * 2), [seeds(*[[9.0, 8.0, 7.0, 6.0]] * 3, epochs=8)]) == "", (
        "nor is a rival whole"
    )


def test_who_raced_before_seeds_were_added_is_whole_by_fewer() -> None:
    longer = replace(PLAN, seeds=(0, 1, 2, 3, 4))
    rule = Rule(longer, rungs=(2,), confidence=0.9)
    late = racer(by_seed({0: history([50.0, 50.0])}), plan=longer)
    assert "over 1 paired seed" in rule.hopeless(late, [GOOD])
    unfinished = racer({run: GOOD.histories[run] for run in PLAN.replicates}, plan=longer)
    assert rule.hopeless(late, [unfinished]) == ""
    others = racer(by_seed({3: history([50.0, 50.0], seed=3)}), plan=longer)
    assert rule.hopeless(others, [GOOD]) == "", "no seed in common"


# other objectives, and bounds

PEARSON = replace(PLAN, objectives=("pearson",))


def correlations(*values: list[float]) -> Racer:
    return racer(by_seed({seed: history(r, seed=seed, objective="pearson") for seed, r in enumerate(values)}))


def test_more_is_better_where_it_is() -> None:
    rule, best = Rule(PEARSON, (2,), 0.9), correlations(*[[0.5, 0.7, 0.9, 0.9]] * 3)
    assert rule.hopeless(correlations([0.1, 0.2]), [best]).startswith("0.5000 behind the best over 1 paired seed; ")
    assert rule.hopeless(correlations([0.1, 0.72]), [best]) == ""
    assert rule.hopeless(correlations([0.95, 0.1]), [best]) == "", "its best so far counts"


def test_a_correlations_prior_is_of_what_it_lacks() -> None:
    """Of r = 0.9 a tenth of 1 - 0.81, for one pair, two degrees of freedom and a fifth of 0.1: t(0.98, 2) = 4.8487."""
    rule, best = Rule(PEARSON, (2,), 0.9), correlations(*[[0.9] * 4] * 3)
    bound = 4.8487 * 0.1 * (1 - 0.9**2)
    assert rule.hopeless(correlations([0.9 - bound + 1e-3] * 4), [best]) == ""
    assert rule.hopeless(correlations([0.9 - bound - 1e-3] * 4), [best]) != ""


def test_an_epoch_at_which_either_is_undefined_is_no_evidence() -> None:
    rule = Rule(PEARSON, (2,), 0.9)
    epochs: list[EpochMetrics] = [{}, {}, *rows([0.9, 0.9], 2, objective="pearson")]
    late = racer(by_seed({seed: History(seed, epochs=epochs, objective="pearson") for seed in range(3)}))
    assert rule.hopeless(correlations([0.1, 0.1]), [late]) == "", "the best had no value yet"
    assert rule.hopeless(correlations([0.1] * 4), [late]) != ""


BOUNDED = replace(PLAN, bounds={"parameters": 100.0, "seconds_per_scan": 2.0})


def sized(mae: float, parameters: float, *, seconds: Sequence[float] = (1.0, 1.0)) -> Racer:
    """A seed of two epochs."""
    also = [{"parameters": parameters, "seconds_per_scan": one} for one in seconds]
    epochs = [row | more for row, more in zip(rows([mae] * len(seconds)), also, strict=True)]
    return racer(by_seed({0: History(0, epochs=epochs)}))


def test_an_infeasible_configuration_is_stopped_whoever_its_rivals_are() -> None:
    rule = Rule(BOUNDED, (2,), 0.9)
    assert rule.hopeless(sized(5.0, 100.0), []) == "", "at the bound"
    assert rule.hopeless(sized(5.0, 101.0), []) == "infeasible: parameters 101.0 is above 100.0"
    assert rule.hopeless(sized(5.0, 101.0, seconds=[1.0]), []) == "", "it is judged at rungs"
    assert rule.hopeless(sized(5.0, 100.0, seconds=[9.0, 1.9]), []) == "", "the machine was slow once"
    assert rule.hopeless(sized(5.0, 101.0, seconds=[9.0, 2.1]), []).endswith("; seconds_per_scan 2.100 is above 2.000")


def test_an_infeasible_configuration_is_nobodys_rival(tmp_path: Path) -> None:
    leave(tmp_path, 0, BEST, also={"parameters": 101.0})
    leave(tmp_path, 1, {seed: [40.0] * 4 for seed in range(3)}, also={"parameters": 99.0})
    referee = Referee(Rule(BOUNDED, (2,), 0.9), BOUNDED, 1, tmp_path)
    assert run_seed(referee, tmp_path, 2, 0, [30.0] * 4) == [GO] * 4, "better than the best that is feasible"
    assert run_seed(referee, tmp_path, 3, 0, [90.0] * 4) == [GO, PRUNE]


# the referee


def run_seed(referee: Referee, sweep: Path, number: int, seed: int, values: list[float]) -> list[Verdict]:
    """Tell the referee of epoch after epoch as a worker does, up to a verdict that ends it."""
    verdicts = []
    for epoch, row in enumerate(rows(values)):
        verdict, _ = referee.judge(number, Replicate(seed), row, True)
        verdicts.append(verdict)
        history(values[: epoch + 1], seed=seed).write(run_folder(sweep, number, Replicate(seed)))
        if verdict is not Verdict.GO:
            break
    return verdicts


GO, PRUNE, PAUSE = Verdict.GO, Verdict.PRUNE, Verdict.PAUSE
BEST = {0: [6.0] * 4, 1: [6.0] * 4, 2: [6.0] * 4}


def test_stops_a_worse_configuration_at_a_rung_and_after_a_seed(tmp_path: Path) -> None:
    leave(tmp_path, 0, BEST)
    referee = Referee(RULE, PLAN, 1, tmp_path)
    assert run_seed(referee, tmp_path, 1, 0, [20.0] * 4) == [GO, PRUNE]
    late = [6.0, 6.0, 6.0, 6.0]
    assert run_seed(referee, tmp_path, 2, 0, late) == [GO] * 4
    assert run_seed(referee, tmp_path, 2, 1, [12.0] * 4) == [GO, PRUNE]
    only_ends = Referee(Rule(PLAN, (), 0.9), PLAN, 1, tmp_path)
    assert run_seed(only_ends, tmp_path, 3, 0, [20.0] * 4) == [GO, GO, GO, PRUNE]


def test_a_referee_knows_how_long_each_trains(tmp_path: Path) -> None:
    leave(tmp_path, 0, BEST, planned=PLAN.seeds)
    write_configuration(tmp_path, 1, Configuration("dynlocrep", {}), replace(PLAN, judged_epochs=6))
    ends = Referee(Rule(PLAN, (), 0.9), PLAN, 1, tmp_path)
    assert run_seed(ends, tmp_path, 1, 0, [20.0] * 6) == [GO] * 5 + [PRUNE]


def test_a_referee_knows_who_raced_before_seeds_were_added(tmp_path: Path) -> None:
    leave(tmp_path, 0, BEST, planned=PLAN.seeds)
    longer = replace(PLAN, seeds=(0, 1, 2, 3, 4))
    write_configuration(tmp_path, 1, Configuration("dynlocrep", {}), longer)
    assert run_seed(Referee(Rule(longer, (2,), 0.9), longer, 1, tmp_path), tmp_path, 1, 0, [20.0] * 4)[1] is PRUNE


def test_the_reason_is_told(tmp_path: Path) -> None:
    leave(tmp_path, 0, BEST)
    referee = Referee(RULE, PLAN, 1, tmp_path)
    referee.judge(1, FIRST, rows([20.0])[0], True)
    verdict, reason = referee.judge(1, FIRST, rows([20.0, 20.0])[1], True)
    assert verdict is PRUNE
    assert reason.startswith("14.00 behind the best over 1 paired seed; ")


def test_a_finalist_is_never_stopped(tmp_path: Path) -> None:
    leave(tmp_path, 0, BEST)
    referee = Referee(RULE, PLAN, 1, tmp_path)
    assert [referee.judge(1, FIRST, row, False)[0] for row in rows([20.0] * 4)] == [GO] * 4


def test_what_holds_one_run_up_holds_all_up(tmp_path: Path) -> None:
    referee = Referee(None, PLAN, 2, tmp_path)
    assert (referee.hindrance(), referee.is_pausing()) == ("", False)
    referee.hold_up("/data: full")
    referee.hold_up("/data: still full")
    assert (referee.hindrance(), referee.is_pausing()) == ("/data: full", True)


def test_a_run_that_is_made_again_is_judged_as_it_was(tmp_path: Path) -> None:
    """Without the runs after it, by which the configuration would be stopped."""
    leave(tmp_path, 0, BEST)
    leave(tmp_path, 1, {1: [40.0] * 4, 2: [40.0] * 4})
    assert run_seed(Referee(RULE, PLAN, 1, tmp_path), tmp_path, 1, 0, [6.0] * 4) == [GO] * 4


def test_no_racing(tmp_path: Path) -> None:
    leave(tmp_path, 0, BEST)
    assert run_seed(Referee(None, PLAN, 1, tmp_path), tmp_path, 1, 0, [20.0] * 4) == [GO] * 4


def test_rivals_are_those_that_ended_before_it_was_sampled(tmp_path: Path) -> None:
    leave(tmp_path, 2, BEST)
    referee = Referee(RULE, PLAN, 3, tmp_path)
    assert run_seed(referee, tmp_path, 4, 0, [20.0] * 4) == [GO] * 4, "2 > 4 - 3"
    assert run_seed(referee, tmp_path, 5, 0, [20.0] * 4) == [GO, PRUNE], "2 <= 5 - 3"


def test_a_failed_configuration_is_nobodys_rival(tmp_path: Path) -> None:
    leave(tmp_path, 0, BEST, failure="Diverged: the loss is nan")
    assert run_seed(Referee(RULE, PLAN, 1, tmp_path), tmp_path, 1, 0, [20.0] * 4) == [GO] * 4


def test_a_referee_made_again_says_the_same(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    told = []
    lasting = Referee(RULE, PLAN, 2, tmp_path)
    for number in range(8):
        for run in PLAN.replicates:
            values = [float(5 * 2 ** rng.uniform(0, 6))] * 4
            for epoch, row in enumerate(rows(values)):
                fresh = Referee(RULE, PLAN, 2, tmp_path)
                verdict = lasting.judge(number, run, row, True)
                assert fresh.judge(number, run, row, True) == verdict
                if run == FIRST and epoch == 0:
                    leave(tmp_path, number, {})
                history(values[: epoch + 1], seed=run.seed).write(run_folder(tmp_path, number, run))
                told.append(verdict[0])
                if verdict[0] is PRUNE:
                    break
            if told[-1] is PRUNE:
                break
    assert {GO, PRUNE} == set(told)


def test_an_epoch_told_again_replaces_what_followed_it(tmp_path: Path) -> None:
    """A worker that died goes on from its checkpoint, maybe some epochs back."""
    leave(tmp_path, 0, BEST)
    referee = Referee(RULE, PLAN, 1, tmp_path)
    referee.judge(1, FIRST, rows([6.0])[0], True)
    referee.judge(1, FIRST, rows([6.0, 6.0])[1], True)
    referee.judge(1, FIRST, rows([20.0])[0], True)
    assert referee.judge(1, FIRST, rows([20.0, 20.0])[1], True)[0] is PRUNE


def test_pause(tmp_path: Path) -> None:
    leave(tmp_path, 0, BEST)
    referee = Referee(RULE, PLAN, 1, tmp_path)
    referee.judge(1, FIRST, rows([20.0])[0], True)
    referee.pause()
    assert referee.judge(2, FIRST, rows([6.0])[0], True) == (PAUSE, "")
    assert referee.judge(1, FIRST, rows([20.0, 20.0])[1], True)[0] is PRUNE, "a rung passed now would not come again"


def test_events_are_handed_over_once(tmp_path: Path) -> None:
    referee = Referee(RULE, PLAN, 1, tmp_path)
    row = rows([6.0])[0]
    referee.judge(3, Replicate(1), row, True)
    assert [tuple(event) for event in referee.drain()] == [(3, Replicate(1), row)]
    assert referee.drain() == []
