"""What a sampler sees of earlier sweeps, and what it makes of it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from contrasweep.search_spaces import Configuration, Value
from contrasweep.services.records.seed_runs import SeedRuns
from contrasweep.services.records.trial_record import TrialRecord, read_records
from contrasweep.services.spec import methods
from contrasweep.services.spec.spec import SweepSpec
from contrasweep.services.sweep.learned import Learned
from contrasweep.services.sweep.prior import Prior
from contrasweep.services.sweep.reuse import count_there
from contrasweep.services.sweep.trial import run_config
from contrasweep.trainers import losses
from tests.services.past import history, leave, spec
from tests.services.sweep.test_searcher import Bench

PARAMS = losses.parameters("vanilla")
RATES = {"training.lr": {"low": 0.01, "high": 1.0}}
TRIED = [0.05 + k / 10 for k in range(10)]


def study(**changes: Any) -> SweepSpec:
    return spec(**{"spaces": ["vanilla"], "seeds": [0], "override": RATES, "parallel": 1, **changes})


def learned(
    value: float = 4.0,
    *,
    lr: float = 0.5,
    sweep: str = "study-1",
    method: str = "vanilla",
    training: Mapping[str, Value] | None = None,
    choices: Mapping[str, str] | None = None,
    **params: Value,
) -> Learned:
    """A configuration of an earlier sweep, at the published point but for `params`."""
    own = {**losses.parameters(method), **params}
    configuration = Configuration(method, own, {"lr": lr, "epochs": 4, **(training or {})}, dict(choices or {}))
    return Learned(sweep, configuration, (value,))


def prior(of: Sequence[Learned], one: SweepSpec) -> Prior:
    return Prior(of, lambda trial, spaces: methods.draw(trial, one.searching(spaces=spaces), {(): 60.0}))


def values(of: Sequence[Learned], one: SweepSpec, known: Sequence[TrialRecord] = ()) -> list[list[float]]:
    return [trial.values for trial in prior(of, one).trials(one.search.spaces, known)]


# what is left out


def test_what_could_be_drawn_is_seen_as_if_it_had_been() -> None:
    (trial,) = prior([learned(lr=0.25)], study()).trials(["vanilla"], [])
    assert (trial.params, trial.values, trial.state.name) == ({"training.lr": 0.25}, [4.0], "COMPLETE")


@pytest.mark.parametrize(
    ("one", "changes"),
    [
        (learned(lr=1.5), {}),
        (learned(bend=2.0), {}),
        (learned(kind="dex"), {"fix": {"vanilla.kind": "mse"}}),
        (learned(kind="dex"), {"override": {"vanilla.kind": {"choices": ["l1", "mse"]}}}),
        (learned(lr=0.25), {"fix": {"training.lr": 0.5}, "override": {}}),
        (learned(choices={"size": "small"}), {}),
        (learned(), {"choices": {"size": {"small": {}, "wide": {"model": {"width": 2.0}}}}}),
        (learned(method="dynlocrep"), {}),
        (learned(), {"override": {"training.ema": {"low": 0.5, "high": 0.9}}}),
    ],
    ids=[
        "range",
        "parameter",
        "fixed",
        "category",
        "fixed training",
        "no such choice",
        "choice not made",
        "method",
        "searched now",
    ],
)
def test_what_could_not_be_drawn_is_left_out(
    one: Learned, changes: dict[str, Any], recwarn: pytest.WarningsRecorder
) -> None:
    assert values([one], study(**changes)) == []
    assert not recwarn.list


def test_training_that_is_searched_now_stands_where_it_stood() -> None:
    decay = {"training.weight_decay": {"low": 0.01, "high": 1.0}}
    wider = study(override={**RATES, **decay})
    (trial,) = prior([learned(training={"weight_decay": 0.75})], wider).trials(["vanilla"], [])
    assert trial.params == {"training.lr": 0.5, "training.weight_decay": 0.75}


def test_a_sampler_that_chooses_methods_sees_them_and_one_that_does_not_sees_one() -> None:
    two = study(spaces=["vanilla", "dynlocrep"], fair=False)
    found = prior([learned(), learned(method="dynlocrep")], two)
    assert [trial.params["method"] for trial in found.trials(["vanilla", "dynlocrep"], [])] == ["vanilla", "dynlocrep"]
    assert [trial.params for trial in found.trials(["vanilla"], [])] == [{"training.lr": 0.5}]


# the shift


def test_what_both_have_tried_says_by_how_much_all_is_moved(tmp_path: Path) -> None:
    """0.25 and 0.5 came to 1 and 2 more here than in the first sweep; the second has nothing in common."""
    here = study()
    for number, (lr, mae) in enumerate(((0.25, 4.0), (0.5, 6.0), (0.75, 1.0))):
        leave(tmp_path, number, {0: [mae] * 4}, method="vanilla", params=PARAMS, training={"lr": lr}, planned=[0])
    leave(tmp_path, 3, {0: [50.0]}, method="vanilla", params=PARAMS, training={"lr": 0.125}, planned=[0])
    earlier = [learned(value, lr=lr) for lr, value in ((0.25, 3.0), (0.5, 4.0), (0.125, 8.0))]
    other = learned(7.0, lr=0.625, sweep="study-2")
    known = read_records(tmp_path, here.plan)
    assert values([*earlier, other], here, known) == [[4.5], [5.5], [9.5], [7.0]]
    assert values([*earlier, other], here, known[:1]) == [[4.0], [5.0], [9.0], [7.0]]
    assert values([*earlier, other], here) == [[3.0], [4.0], [8.0], [7.0]]


# what comes of it


class Valley(Bench):
    """The objective is how far the learning rate is from 0.8."""

    def maes(self, number: int) -> list[float]:
        return [20 * abs(self.lr(number) - 0.8) for _ in self.spec.search.seeds]


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
def test_a_search_begins_where_earlier_ones_were_good(tmp_path: Path, sampler: str) -> None:
    """In the earlier sweep all came to 100 more; at random a third is as near to the best."""
    one = study(sampler=sampler, trials=9, training={"lr": 0.5})
    earlier = [learned(100 + 20 * abs(lr - 0.8), lr=lr) for lr in [*TRIED, 0.5]]
    near = []
    for name, of in (("with", earlier), ("without", [])):
        bench = Valley(tmp_path / name, one, learned=of)
        bench.run()
        assert bench.lr(0) == 0.5, "the published point comes first"
        near.append(sum(abs(bench.lr(number) - 0.8) < 0.17 for number in range(1, 9)))
        assert values(earlier, one, read_records(bench.sweep, one.plan))[-1] == pytest.approx([6.0]), "not 106"
    assert near[0] >= 6 and near[1] <= 3


def test_a_resumed_sweep_draws_the_same(tmp_path: Path) -> None:
    one = study(spaces=["vanilla", "dynlocrep"], trials=8)
    earlier = [learned(lr, lr=lr) for lr in TRIED]
    undisturbed = Bench(tmp_path / "undisturbed", one, learned=earlier)
    undisturbed.run()
    killed = Bench(tmp_path / "killed", one, learned=earlier)
    for _ in range(4):
        killed.run_one()
    resumed = Bench(tmp_path / "killed", one, killed.storage, learned=earlier)
    resumed.run()
    alone = Bench(tmp_path / "alone", one)
    alone.run()
    assert resumed.suggestions() == undisturbed.suggestions() != alone.suggestions()


def test_runs_that_are_there_are_those_of_what_it_will_draw(tmp_path: Path) -> None:
    one = study(trials=3)
    earlier = [learned(lr, lr=lr) for lr in TRIED]
    bench = Bench(tmp_path / "bench", one, learned=earlier)
    bench.run()
    runs = SeedRuns(tmp_path / "runs", "data")
    for record in read_records(bench.sweep, one.plan):
        folder = tmp_path / f"runs/one-1/trial-{record.number}/seed-0"
        history([record.objective] * 4).write(folder)
        (folder / "best.pt").touch()
        runs.add(run_config(one, record.configuration, 0), folder)
    assert count_there(one, 0, {((), None): runs}, {(): 60.0}, earlier) == 3
    assert count_there(one, 0, {((), None): runs}, {(): 60.0}) == 1, "the published point is drawn by any"
