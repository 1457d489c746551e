"""The leaderboard: configurations by rank, as they are told, and what they come to together."""

import json
import math
from pathlib import Path

import pytest
from scipy.stats import t as student

from contrasweep.services.records.answers import Counts, Trial
from contrasweep.services.records.leaderboard import counts, fronts, leaderboard, student_95, tied, told
from contrasweep.services.records.trial_record import keep_race, read_records
from contrasweep.services.spec.spec import SeedPlan, SweepSpec
from contrasweep.trainers.history import PRUNED
from tests.services.past import by_seed, leave, spec

SPEC = spec(seeds=[0, 1])


def some(sweep: Path) -> None:
    leave(sweep, 0, {0: [5.0] * 4, 1: [7.0] * 4}, params={"lam": math.inf, "nn_final": 3})
    leave(sweep, 1, {0: [4.0] * 4, 1: [9.0] * 2}, state=PRUNED, reason="3 behind")
    leave(sweep, 2, {0: [1.0]})
    leave(sweep, 3, {}, failure="Diverged: nan")


def trials(spec: SweepSpec, sweep: Path) -> list[Trial]:
    return [record.told() for record in leaderboard(read_records(sweep, spec.plan))]


def test_counts(tmp_path: Path) -> None:
    some(tmp_path)
    assert counts(read_records(tmp_path, SPEC.plan)) == Counts(ended=3, seed_runs=3, saved=1, best=6.0)
    assert counts([]) == Counts(ended=0, seed_runs=0, saved=0, best=None)


def test_the_leaderboard_has_whole_ones_first_and_failed_ones_last(tmp_path: Path) -> None:
    leave(tmp_path, 0, {0: [1.0] * 4, 1: [1.0] * 4}, failure="x")
    leave(tmp_path, 1, {0: [2.0] * 4})
    leave(tmp_path, 2, {0: [6.0] * 4, 1: [6.0] * 4})
    leave(tmp_path, 3, {0: [5.0] * 4, 1: [5.0] * 4})
    leave(tmp_path, 4, {0: [0.5] * 2})
    assert [record.number for record in leaderboard(read_records(tmp_path, SPEC.plan))] == [3, 2, 1, 4, 0]


def test_trials_the_best_first(tmp_path: Path) -> None:
    some(tmp_path)
    whole, pruned, paused, failed = trials(SPEC, tmp_path)
    assert [t.number for t in (whole, pruned, paused, failed)] == [0, 1, 2, 3]
    assert (whole.state, whole.objective, whole.seeds) == ("complete", 6.0, by_seed({0: 5.0, 1: 7.0}))
    assert whole.sd == math.sqrt(2)
    assert json.loads(whole.model_dump_json())["params"] == {"lam": "inf", "nn_final": 3}
    assert Trial.model_validate_json(whole.model_dump_json()) == whole
    assert (pruned.state, pruned.reason, pruned.objective, pruned.epochs) == (
        "pruned",
        "3 behind",
        4.0,
        by_seed({0: 4, 1: 2}),
    )
    assert (paused.state, paused.objective, paused.sd, paused.seeds) == ("running", 1.0, None, {})
    assert (failed.state, failed.reason, failed.objective) == ("failed", "Diverged: nan", None)


def test_a_finalist_has_no_reason_any_more(tmp_path: Path) -> None:
    leave(tmp_path, 0, {0: [5.0] * 4, 1: [6.0] * 4}, state=PRUNED, reason="3 behind")
    assert [trial.reason for trial in trials(SPEC, tmp_path)] == [""]


def test_epochs_count_those_before_fine_tuning(tmp_path: Path) -> None:
    tuned = SPEC.model_copy(update={"probe": {"finetune": {"method": "c_mixup", "epochs": 2}}})
    leave(tmp_path, 0, {0: [5.0] * 2})
    (trial,) = trials(tuned, tmp_path)
    assert (trial.epochs, trial.seeds) == (by_seed({0: SPEC.training.epochs + 2}), by_seed({0: 5.0}))


def test_those_that_cannot_be_told_from_the_best(tmp_path: Path) -> None:
    """Seeds differ by more than configurations do; paired, 2 is a little and 3 is far behind the best."""
    base = [5.0, 9.0, 7.0]
    noise = {0: [0.0, 0.0, 0.0], 1: [0.3, -0.2, 0.1], 2: [1.9, 2.2, 2.1]}
    for number, shift in noise.items():
        leave(tmp_path, number, {seed: [mae + d] * 4 for seed, (mae, d) in enumerate(zip(base, shift, strict=True))})
    leave(tmp_path, 3, {0: [5.0] * 2}, state=PRUNED)
    three = spec(seeds=[0, 1, 2])
    assert tied(read_records(tmp_path, three.plan)) == {0, 1}
    assert [(trial.number, trial.tied) for trial in told(read_records(tmp_path, three.plan))] == [
        (0, True),
        (1, True),
        (2, False),
        (3, False),
    ]


def test_the_quantile_is_students() -> None:
    for freedom in (*range(1, 30), 100, 1000):
        assert student_95(freedom) == pytest.approx(student.ppf(0.95, freedom), abs=1e-3)


def test_one_seed_tells_nothing_from_anything(tmp_path: Path) -> None:
    for number in range(3):
        leave(tmp_path, number, {0: [5.0 + number] * 4})
    assert tied(read_records(tmp_path, spec(seeds=[0]).plan)) == {0, 1, 2}
    assert tied([]) == frozenset()


def finals(sweep: Path) -> SeedPlan:
    """A race that 0 won before 1 and 2; by fresh seeds 1 is before 0, which 2 has not run to their end yet."""
    plan = spec(seeds=[0, 1], racing={"finalists": 3, "judged_on": "fresh"}).plan
    for number, raced in enumerate((4.0, 5.0, 6.0)):
        leave(sweep, number, {0: [raced] * 4, 1: [raced] * 4}, planned=[0, 1])
    for number, fresh in ((0, {1000: [9.0] * 4, 1001: [9.0] * 4}), (1, {1000: [7.0] * 4, 1001: [8.0] * 4})):
        keep_race(sweep, number, plan)
        leave(sweep, number, fresh, planned=plan.fresh)
    keep_race(sweep, 2, plan)
    leave(sweep, 2, {1000: [1.0] * 4}, planned=plan.fresh)
    return plan


def test_finalists_are_ranked_by_fresh_seeds_once_they_have_run_them(tmp_path: Path) -> None:
    plan = finals(tmp_path)
    leave(tmp_path, 3, {0: [4.5] * 4, 1: [4.5] * 4}, planned=[0, 1])
    records = read_records(tmp_path, plan)
    ranked = told(records)
    assert [(trial.number, trial.objective, trial.fresh) for trial in ranked] == [
        (1, 7.5, True),
        (0, 9.0, True),
        (3, 4.5, False),
        (2, 6.0, False),
    ]
    assert ranked[0].seeds == by_seed({1000: 7.0, 1001: 8.0})
    assert tied(records) <= {0, 1}, "the others were behind them in the race"
    assert counts(records) == Counts(ended=4, seed_runs=13, saved=0, best=7.5)


def test_the_winner_is_told_by_seeds_that_nothing_was_chosen_by(tmp_path: Path) -> None:
    plan = finals(tmp_path)
    leave(tmp_path, 1, {2000: [9.5] * 4}, planned=plan.reported)
    assert [(t.number, t.objective) for t in told(read_records(tmp_path, plan))][:2] == [(1, 7.5), (0, 9.0)], "not all"
    leave(tmp_path, 1, {2001: [9.9] * 4}, planned=plan.reported)
    records = read_records(tmp_path, plan)
    first, second, *_ = told(records)
    assert (first.number, first.reported, second.reported) == (1, True, False)
    assert first.objective == pytest.approx(9.7)
    assert first.seeds == by_seed({2000: 9.5, 2001: 9.9})
    assert tied(records) == {0, 1}, "paired by the seeds that they have in common"
    assert leaderboard(leaderboard(records)) == leaderboard(records)
    assert counts(records).best == pytest.approx(9.7)


def test_one_that_fails_by_a_fresh_seed_cannot_win_and_its_race_stays(tmp_path: Path) -> None:
    plan = finals(tmp_path)
    leave(tmp_path, 1, {}, planned=plan.fresh, failure="Diverged: nan")
    records = read_records(tmp_path, plan)
    assert [record.number for record in leaderboard(records)] == [0, 2, 1]
    assert records[1].as_raced().objective == 5.0 and not records[1].as_raced().failure


# other objectives, and bounds


def test_more_is_better_and_told_as_it_is(tmp_path: Path) -> None:
    study = spec(seeds=[0, 1], objective="pearson")
    leave(tmp_path, 0, {0: [0.5, 0.6, 0.6, 0.1], 1: [0.2, 0.4, 0.4, 0.4]}, objective="pearson")
    leave(tmp_path, 1, {0: [0.9] * 4, 1: [0.7] * 4}, objective="pearson")
    records = read_records(tmp_path, study.plan)
    best, other = told(records)
    assert (best.number, best.seeds) == (1, by_seed({0: 0.9, 1: 0.7}))
    assert [trial.objective for trial in (best, other)] == [pytest.approx(0.8), pytest.approx(0.5)]
    assert other.objectives == {"pearson": other.objective}
    assert best.sd == pytest.approx(0.1 * math.sqrt(2))
    assert counts(records).best == pytest.approx(0.8)
    assert [record.objective for record in leaderboard(records)] == [pytest.approx(-0.8), pytest.approx(-0.5)]


def objectives(sweep: Path, number: int, mae: float, site: float) -> None:
    leave(sweep, number, {0: [9.0, mae, 9.5, 9.0]}, also={"validation_site": site})


SEVERAL = spec(seeds=[0], objective=["mae", "site"], group="site")


def test_fronts_by_hand(tmp_path: Path) -> None:
    """0, 1 and 4 are beaten by nobody; 2 by 1; 3 by 2, too."""
    for number, figures in enumerate([(5.0, 0.9), (6.0, 0.5), (7.0, 0.6), (8.0, 0.7), (6.0, 0.5)]):
        objectives(tmp_path, number, *figures)
    leave(tmp_path, 5, {0: [1.0, 1.0]}, also={"validation_site": 0.1}, state=PRUNED)
    records = read_records(tmp_path, SEVERAL.plan)
    assert fronts(records) == {0: 1, 1: 1, 4: 1, 2: 2, 3: 3}
    assert [(t.number, t.front) for t in told(records)] == [(0, 1), (1, 1), (4, 1), (2, 2), (3, 3), (5, None)]
    assert fronts(read_records(tmp_path, SPEC.plan)) == {}, "of one objective"


def test_a_front_goes_before_the_first_objective(tmp_path: Path) -> None:
    for number, figures in enumerate([(5.0, 0.9), (5.5, 0.95), (8.0, 0.2)]):
        objectives(tmp_path, number, *figures)
    assert [record.number for record in leaderboard(read_records(tmp_path, SEVERAL.plan))] == [0, 2, 1]


def test_what_has_no_front_comes_after_those_that_have(tmp_path: Path) -> None:
    """One has more seeds to run, of which it ran as many as the other has."""
    plan = spec(seeds=[0, 1], objective=["mae", "site"], group="site").plan
    leave(tmp_path, 0, {0: [3.0] * 4}, planned=[0, 1], also={"validation_site": 0.5})
    leave(tmp_path, 1, {0: [5.0] * 4}, planned=[0], also={"validation_site": 0.5})
    assert [record.number for record in leaderboard(read_records(tmp_path, plan))] == [1, 0]


def test_others_are_read_at_the_first_ones_best_epoch(tmp_path: Path) -> None:
    leave(tmp_path, 0, {0: [9.0, 4.0, 4.0, 5.0]})
    for epoch, r in enumerate([0.9, 0.3, 0.4, 0.8]):
        path = tmp_path / "trial-0000/seed-0/history.json"
        content = json.loads(path.read_text())
        content["epochs"][epoch]["validation_r2"] = r
        path.write_text(json.dumps(content))
    (record,) = read_records(tmp_path, spec(seeds=[0], objective=["mae", "r2"]).plan)
    assert record.objectives == {"mae": 4.0, "r2": 0.3}
    (trial,) = told([record])
    assert trial.objectives == {"mae": 4.0, "r2": 0.3}


def test_an_objective_that_is_undefined_beats_nothing(tmp_path: Path) -> None:
    leave(tmp_path, 0, {0: [5.0] * 4})
    objectives(tmp_path, 1, 5.0, 0.9)
    records = read_records(tmp_path, SEVERAL.plan)
    assert fronts(records) == {1: 1, 0: 2}
    assert told(records)[1].objectives == {"mae": 5.0, "site": None}


def test_an_infeasible_configuration_is_kept_and_wins_nothing(tmp_path: Path) -> None:
    study = spec(seeds=[0, 1], constraints={"parameters": {"max": 100}, "epoch_seconds": {"max": 60}})
    leave(tmp_path, 0, {0: [1.0] * 4, 1: [1.0] * 4}, also={"parameters": 200.0, "epoch_s": 61.0})
    leave(tmp_path, 1, {0: [5.0] * 4, 1: [5.0] * 4}, also={"parameters": 100.0, "epoch_s": 59.0})
    leave(tmp_path, 2, {0: [3.0] * 2}, also={"parameters": 100.0}, state=PRUNED)
    leave(tmp_path, 3, {}, failure="Diverged: nan")
    records = read_records(tmp_path, study.plan)
    assert [record.number for record in leaderboard(records)] == [1, 2, 0, 3]
    assert tied(records) == {1}
    assert counts(records).best == 5.0
    trial = told(records)[2]
    assert (trial.state, trial.costs) == ("complete", {"parameters": 200.0, "epoch_seconds": 61.0})
    assert trial.infeasible == "parameters 200.0 is above 100.0; epoch_seconds 61.00 is above 60.00"
    assert not told(records)[0].infeasible
