"""The leaderboard as it is printed."""

import io
import math
from pathlib import Path

import pytest
from rich.console import Console

from contrasweep.search_spaces import Value
from contrasweep.services.records.answers import (
    Against,
    BaselineFigures,
    Beside,
    Ensembled,
    Final,
    OuterFold,
    Pooled,
    SampleFigures,
    Spread,
    Sweep,
    Trial,
    fields_of,
)
from contrasweep.services.records.leaderboard import told
from contrasweep.services.records.trial_record import read_records
from contrasweep.services.screen.tables import (
    OUTER_DOUBT,
    leaderboard_text,
    print_leaderboard,
    print_status,
    print_table,
    sweeps_table,
)
from contrasweep.services.screen.words import cut_words, ensemble_words
from contrasweep.services.spec.replicate import Replicate
from contrasweep.services.spec.spec import BudgetConfig, Extent, SweepSpec
from contrasweep.trainers.history import PRUNED
from contrasweep.trainers.interval import Interval
from tests.services.past import leave, spec
from tests.services.sweep_page.left import ensemble_report

SPEC = spec(seeds=[0, 1])


def trials(sweep: Path) -> list[Trial]:
    return told(read_records(sweep, SPEC.plan))


def printed(console_width: int, sweep: Path, *, terminal: bool = False) -> list[str]:
    file = io.StringIO()
    console = Console(file=file, width=console_width, force_terminal=terminal, no_color=True, highlight=False)
    print_leaderboard(console, trials(sweep), len(SPEC.search.seeds))
    return file.getvalue().splitlines()


def some(sweep: Path) -> None:
    fixed: dict[str, Value] = {"kernel": "rbf", "temperature": 0.1}
    leave(sweep, 0, {0: [5.0] * 4, 1: [6.0] * 4}, params={**fixed, "nn_final": 14, "lam": math.inf})
    leave(sweep, 1, {0: [4.0] * 4, 1: [4.5] * 4}, params={**fixed, "nn_final": 3, "lam": 0.5})
    leave(
        sweep, 2, {0: [9.0] * 2}, params={**fixed, "nn_final": 3, "lam": 1 / 3}, state=PRUNED, reason="4 behind [best]"
    )


def test_the_leaderboard(tmp_path: Path) -> None:
    some(tmp_path)
    assert [line.split() for line in leaderboard_text(read_records(tmp_path, SPEC.plan), 2).splitlines()] == [
        ["rank", "trial", "method", "validation", "MAE", "seeds", "state", "nn_final", "lam"],
        ["1", "1", "dynlocrep", "4.25", "±", "0.35", "2/2", "complete", "3", "0.5"],
        ["2", "0", "dynlocrep", "5.50", "±", "0.71", "2/2", "complete", "14", "inf"],
        ["3", "2", "dynlocrep", "(9.000)", "0/2", "pruned", "3", "0.333"],
    ]


def test_columns_line_up_and_fit_80(tmp_path: Path) -> None:
    some(tmp_path)
    lines = printed(80, tmp_path)
    start = lines[0].index("nn_final")
    assert [line[start : start + 2].strip() for line in lines[1:4]] == ["3", "14", "3"]
    assert max(map(len, lines)) <= 80


def test_only_parameters_that_differ_within_a_method_are_shown(tmp_path: Path) -> None:
    leave(tmp_path, 0, {}, params={"temperature": 0.1, "sigma": 2.0})
    leave(tmp_path, 1, {}, params={"temperature": 0.1, "sigma": 3.0})
    leave(tmp_path, 2, {}, params={"temperature": 0.5, "window": 5.0}, method="supremix")
    header = leaderboard_text(read_records(tmp_path, SPEC.plan), 2).splitlines()[0].split()
    assert header[7:] == ["sigma"], "each method has one temperature, and window has one value"


def test_the_point_that_any_starts_from_is_shown(tmp_path: Path) -> None:
    leave(tmp_path, 0, {})
    leave(tmp_path, 1, {}, method="supremix", start="pretrained")
    header, *lines = (line.split() for line in leaderboard_text(read_records(tmp_path, SPEC.plan), 2).splitlines())
    assert header[7:] == ["start"]
    assert [line[-1] for line in lines[:2]] == ["unfinished", "pretrained"]


@pytest.mark.parametrize("width", [20, 80, 300])
@pytest.mark.parametrize("terminal", [True, False])
def test_nothing_is_cut_however_narrow_the_screen(tmp_path: Path, width: int, terminal: bool) -> None:
    for number in range(3):
        params = {f"a_rather_long_parameter_{i}": number + i / 7 for i in range(9)}
        leave(tmp_path, number, {0: [5.0 + number] * 4, 1: [5.0] * 4}, params=params)
    *lines, ranked, doubt = printed(width, tmp_path, terminal=terminal)
    assert len(lines) == 4
    assert ranked == "ranked by MAE on the validation split, each run by the model that it keeps"
    assert doubt == "trial 0 cannot be told from 1, 2 (95 %, compared run by run)"
    assert "…" not in "".join(lines)
    assert all(f"a_rather_long_parameter_{i}" in lines[0] for i in range(9))
    assert "2.86" in lines[3] or "1.86" in lines[3]


def test_failures_are_told_in_whole_below(tmp_path: Path) -> None:
    leave(tmp_path, 0, {}, failure="Diverged: the loss is nan [in] epoch 3 of seed 0, " + "a long story " * 10)
    lines = printed(80, tmp_path)
    assert lines[1].split()[:5] == ["1", "0", "dynlocrep", "–", "0/2"]
    assert lines[2].startswith("trial 0 failed: Diverged: the loss is nan [in] epoch 3")
    assert lines[2].rstrip().endswith("story")


def test_before_anything_began(tmp_path: Path) -> None:
    assert printed(80, tmp_path) == ["no configuration has begun yet"]


FINAL = Final(
    trial=1,
    method="dynlocrep",
    metrics={"mae": Interval(4.93, 4.02, 5.88), "r2": Interval(0.5, math.nan, 0.75)},
    sample="62 subjects",
    seed_mae={0: 4.7, 1: 5.1},
    mean=4.9,
    sd=0.28,
    baselines={
        "predict_mean": BaselineFigures(title="predict-the-mean", mae=Interval(18.9, 17.0, 20.0)),
        "pca_ridge": BaselineFigures(title="PCA + ridge", mae=Interval(5.24, 4.5, 6.0), cross_validated_mae=5.3),
    },
    against=Against(baseline="pca_ridge", title="PCA + ridge", difference=Interval(-0.31, -0.6, -0.02)),
    shot_mae={"many": 3.5, "few": 8.25},
)
SWEEP = Sweep(id="study-1c2e", name="study", state="stopped", label="age", trials=30, seeds=2, ended=3, best=4.25)


def shown(*, sweep: Sweep, trials_of: Path) -> list[str]:
    file = io.StringIO()
    print_status(Console(file=file, width=30, highlight=False), sweep, trials(trials_of))
    return file.getvalue().splitlines()


def test_status(tmp_path: Path) -> None:
    some(tmp_path)
    lines = shown(sweep=SWEEP, trials_of=tmp_path)
    assert lines[0] == "study-1c2e  stopped  0 s"
    assert lines[1].startswith("rank")
    waits = SWEEP.model_copy(update={"state": "queued", "position": 3, "user": "ada", "reason": "[ada] runs 2 of 2"})
    assert shown(sweep=waits, trials_of=tmp_path / "none") == [
        "study-1c2e  queued  0 s  ada  3 in the queue  [ada] runs 2 of 2",
        "no configuration has begun yet",
    ]


def test_phases_say_of_which_spaces_they_were_where_there_are_others_now(tmp_path: Path) -> None:
    now = Extent(trials=60, seeds=(0, 1), spaces=("simclr", "vanilla"))
    first = Extent(trials=20, seeds=(0,))
    phases = (first, first.model_copy(update={"spaces": ("simclr",)}), now.model_copy(update={"trials": 40}))
    lines = shown(sweep=SWEEP.model_copy(update={"extent": now, "phases": phases}), trials_of=tmp_path / "none")
    assert lines[1] == "extended  after 20 x 1 seed, 20 x 1 seed of simclr, 40 x 2 seeds"
    shorter = SWEEP.model_copy(update={"phases": (first.model_copy(update={"hours": 0.5}),)})
    assert shown(sweep=shorter, trials_of=tmp_path / "none")[1] == "extended  after 20 x 1 seed in 0.5 h"


def test_what_a_budget_left_unfinished_is_the_last_line(tmp_path: Path) -> None:
    study = SPEC.model_copy(update={"budget": BudgetConfig(hours=0.3)})
    reason = cut_words("study-1c2e", study, 2, evaluated=True)
    assert reason == (
        "the budget of 0.3 h ended it with 2 of 30 configurations unfinished; "
        "go on with: contrasweep extend study-1c2e --hours 0.6"
    )
    assert cut_words("study-1c2e.0", study, 30, evaluated=False) == (
        "the budget of 0.3 h ended it with 30 of 30 configurations unfinished, and nothing to evaluate"
    )
    some(tmp_path)
    cut = SWEEP.model_copy(update={"state": "finished", "unfinished": 2, "reason": reason})
    lines = shown(sweep=cut, trials_of=tmp_path)
    assert (lines[0], lines[-1]) == ("study-1c2e  finished  0 s", reason)
    assert "finished, 2 unfinished" in [line.cells[1] for line in sweeps_table([cut]).lines]


def test_the_final_figure(tmp_path: Path) -> None:
    lines = shown(sweep=SWEEP.model_copy(update={"final": FINAL}), trials_of=tmp_path)
    assert lines[-6:] == [
        "final     test MAE 4.930 [4.020, 5.880] age over 62 subjects, mean prediction of 2 seeds, which alone reach "
        "4.90 ± 0.28",
        "          baselines: PCA + ridge 5.240 · predict-the-mean 18.90",
        "          r2 0.5000 [–, 0.7500]",
        "          MAE by training subjects near a label: many 3.500 · few 8.250",
        "          trial 1, dynlocrep; test split read once; dashboard: contrasweep ui",
        "          better than PCA + ridge by 0.3100 [0.0200, 0.6000] age",
    ]


def test_an_ensemble_that_is_the_best_configuration_is_not_compared_with_it() -> None:
    same = Interval(5, 4, 6)
    beside = Beside(ensemble=same, alone=same, difference=Interval(0, 0, 0))
    weights = {Replicate(0, None, 3): 1.0}
    alone = Ensembled(weights=weights, methods={3: "supcon"}, candidates=2, by="mae", validation=beside, test=beside)
    (line,) = ensemble_words(alone, 3, "age")
    assert line.endswith("out of 2 seeds: 1 x trial 3 seed 0, which is trial 3 alone")


def test_an_ensemble_stands_beside_the_best_configuration(tmp_path: Path) -> None:
    final = ensemble_report((20, 40, 60, 80)).told()
    lines = shown(sweep=SWEEP.model_copy(update={"final": final}), trials_of=tmp_path)
    assert "weighted mean prediction of 3 seeds of 2 configurations, which alone reach 5.10" in lines[-9]
    assert lines[-5:-2] == [
        "          ensemble chosen by validation MAE out of 7 seeds: 0.5 x trial 0 seed 1, 0.3 x trial 2 seed 0, "
        "0.2 x trial 0 seed 0",
        "          on the test split MAE 4.930 [4.020, 5.880], trial 0 alone 5.300 [4.400, 6.200]: not better than it "
        "beyond chance: 0.3700 [-0.0600, 0.8000] age better",
        "          on validation MAE 4.500 [4.000, 5.000], trial 0 alone 5.100 [4.600, 5.600]: better than it by "
        "0.600 [0.200, 1.000] age; too good: the ensemble was chosen on these people",
    ]


def test_one_seed_has_no_spread(tmp_path: Path) -> None:
    alone = FINAL.model_copy(update={"seed_mae": {Replicate(0): 4.93}, "mean": 4.93, "sd": None})
    printed = "\n".join(shown(sweep=SWEEP.model_copy(update={"final": alone}), trials_of=tmp_path))
    assert "over 62 subjects, one seed\n" in printed
    assert "±" not in printed


@pytest.mark.parametrize(
    ("fresh", "configurations", "said"),
    [
        (False, 30, "validation MAE 4.200 over seeds 0, 1; too good: it chose the best of 30 configurations; test"),
        (False, 0, "validation MAE 4.200 over seeds 0, 1; too good: it chose the best of all; test"),
        (False, 1, "validation MAE 4.200 over seeds 0, 1; test"),
        (True, 30, "validation MAE 4.200 over seeds 0, 1, which no race used; test"),
    ],
)
def test_a_validation_figure_that_chose_is_too_good(
    tmp_path: Path, fresh: bool, configurations: int, said: str
) -> None:
    reached = {Replicate(0): 4.0, Replicate(1): 4.4}
    told = FINAL.model_copy(update={"validation": reached, "fresh": fresh, "configurations": configurations})
    assert said in shown(sweep=SWEEP.model_copy(update={"final": told}), trials_of=tmp_path)[-2]


def test_figures_of_cohorts_come_after_those_of_the_test_split(tmp_path: Path) -> None:
    cohort = SampleFigures(**fields_of(SampleFigures, FINAL)).model_copy(update={"sample": "[9] subjects", "sd": 0.5})
    final = FINAL.model_copy(update={"external": {"adni": cohort}})
    lines = shown(sweep=SWEEP.model_copy(update={"final": final}), trials_of=tmp_path)
    assert lines[-10].startswith("final     test MAE 4.930")
    assert lines[-6:-1] == [
        "external  adni MAE 4.930 [4.020, 5.880] age over [9] subjects, mean prediction of 2 seeds, which alone reach "
        "4.90 ± 0.50",
        "          baselines: PCA + ridge 5.240 · predict-the-mean 18.90",
        "          r2 0.5000 [–, 0.7500]",
        "          MAE by training subjects near a label: many 3.500 · few 8.250",
        "          trial 1, dynlocrep; test split read once; dashboard: contrasweep ui",
    ]


def listed(*sweeps: Sweep) -> list[list[str]]:
    file = io.StringIO()
    print_table(Console(file=file, width=30, highlight=False), sweeps_table(sweeps))
    return [line.split() for line in file.getvalue().splitlines()]


def test_what_mlflow_lacks_is_told(tmp_path: Path) -> None:
    lacking = SWEEP.model_copy(update={"state": "finished", "undelivered": True})
    last = shown(sweep=lacking, trials_of=tmp_path)[-1]
    assert last == "mlflow    some of it is not delivered; when MLflow answers: contrasweep sync study-1c2e"
    assert listed(lacking)[1][1:4] == ["finished,", "not", "delivered"]


def test_list() -> None:
    assert listed(SWEEP) == [
        ["sweep", "state", "began", "trials", "best", "label"],
        ["study-1c2e", "stopped", "–", "3/30", "4.250", "age"],
    ]
    assert listed(SWEEP.model_copy(update={"state": "queued", "position": 3}))[1][1:3] == ["queued", "(3)"]
    theirs = SWEEP.model_copy(update={"user": "ada"})
    assert [line[-1] for line in listed(SWEEP, theirs)] == ["user", "age", "ada"]


def pooled() -> Pooled:
    """What two outer folds say together."""
    metrics = {"mae": Interval(4.5, 4.0, 5.0)}
    folds = tuple(
        OuterFold(
            id=f"s-00000000.{number}",
            trial=number + 7,
            method=method,
            params={},
            objective=4.0,
            metrics={"mae": mae},
            external_mae={"adni": mae + 1},
            sample="40 subjects",
        )
        for number, (method, mae) in enumerate([("supremix", 4.0), ("dynlocrep", 5.0)])
    )
    figures = {"seed_mae": {"0": 4.4, "1": 4.6}, "mean": 4.5, "sd": 0.1}
    between = {"mae": Spread(mean=4.5, sd=0.71), "external adni": Spread(mean=5.5, sd=0.71)}
    known = {"metrics": metrics, **figures, "sample": "80 subjects", "outer": folds, "between": between}
    return Pooled.model_validate(known)


def test_outer_folds_and_what_they_say_together() -> None:
    one = {"label": "age", "trials": 30, "seeds": 2}
    searches = tuple(
        Sweep(id=f"s-00000000.{number}", state="finished", ended=30, best=4.0, test_mae=4.0 + number, **one)
        for number in range(2)
    )
    sweep = Sweep(id="s-00000000", state="finished", outer=2, ended=60, final=pooled(), searches=searches, **one)
    file = io.StringIO()
    print_status(Console(file=file, width=200, no_color=True), sweep, [])
    lines = [" ".join(line.split()) for line in file.getvalue().splitlines()]
    assert lines[2] == "s-00000000.0 finished 30/30 4.000 4.000 7 supremix 40 subjects"
    assert lines[3] == "s-00000000.1 finished 30/30 4.000 5.000 8 dynlocrep 40 subjects"
    assert lines[4] == OUTER_DOUBT
    assert lines[6].startswith("final test MAE 4.500 [4.000, 5.000] age over 80 subjects, mean prediction of 2 seeds")
    assert "over 2 outer folds mae 4.50 ± 0.71 · external adni 5.50 ± 0.71" in lines
    assert "won: supremix in 1, dynlocrep in 1" in lines
    (listed,) = sweeps_table([sweep]).lines
    assert listed.cells[3] == "60/60"
    assert Sweep.model_validate_json(sweep.model_dump_json()) == sweep, "a final figure of either kind is read back"


# other objectives, and bounds


def shown_of(study: SweepSpec, sweep: Path) -> list[list[str]]:
    file = io.StringIO()
    ranked = told(read_records(sweep, study.plan))
    print_leaderboard(Console(file=file, width=300, highlight=False), ranked, len(study.search.seeds))
    return [line.split() for line in file.getvalue().splitlines()]


def test_another_objective_is_named_and_shown_as_it_is(tmp_path: Path) -> None:
    leave(tmp_path, 0, {0: [0.5] * 4, 1: [0.75] * 4}, objective="pearson")
    header, line, ranked = shown_of(spec(seeds=[0, 1], objective="pearson"), tmp_path)
    assert header[3:6] == ["validation", "Pearson's", "r"]
    assert line[3:6] == ["0.62", "±", "0.18"]
    assert " ".join(ranked) == "ranked by Pearson's r on the validation split, each run by the model that it keeps"
    sweep = SWEEP.model_copy(update={"objective": ("pearson",), "best": 0.625})
    assert listed(sweep, SWEEP) == [
        ["sweep", "state", "began", "trials", "best", "of", "label"],
        ["study-1c2e", "stopped", "–", "3/30", "0.6250", "Pearson's", "r", "age"],
        ["study-1c2e", "stopped", "–", "3/30", "4.250", "MAE", "age"],
    ]


def test_several_objectives_have_a_column_each_and_a_front(tmp_path: Path) -> None:
    for number, (mae, site) in enumerate([(5.0, 0.9), (6.0, 0.5), (7.0, 0.6)]):
        leave(tmp_path, number, {0: [mae] * 4}, also={"validation_site": site})
    leave(tmp_path, 3, {})
    study = spec(seeds=[0], objective=["mae", "site"], group="site")
    header, *lines = shown_of(study, tmp_path)
    assert header == [
        "rank",
        "trial",
        "method",
        *["validation", "MAE", "validation", "site", "accuracy", "front", "seeds", "state"],
    ]
    assert [line[3:7] for line in lines[:4]] == [
        ["5.000", "0.9000", "1", "1/1"],
        ["6.000", "0.5000", "1", "1/1"],
        ["7.000", "0.6000", "2", "1/1"],
        ["–", "–", "–", "0/1"],
    ]
    assert " ".join(lines[4]).startswith(
        "ranked by Pareto front of MAE and site accuracy, then by MAE on the validation"
    )


def test_what_breaks_a_bound_says_so(tmp_path: Path) -> None:
    leave(tmp_path, 0, {0: [5.0] * 4}, also={"parameters": 30e6})
    study = spec(seeds=[0], constraints={"parameters": {"max": 20e6}})
    _, line, said = shown_of(study, tmp_path)
    assert line[-1] == "infeasible"
    assert " ".join(said) == "trial 0 is infeasible: parameters 30,000,000 is above 20,000,000"
