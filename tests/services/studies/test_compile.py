"""A study as a sweep: points, options, precedence and scale."""

from pathlib import Path
from typing import Any

import pytest

from contrasweep.services.spec.checks import check_spec
from contrasweep.services.spec.spec import SweepSpec
from contrasweep.services.spec.yaml import load_mapping
from contrasweep.services.studies import data as datas
from contrasweep.services.studies.compile import DataSpec, Scale, compile_study, read_in
from contrasweep.services.studies.study import load_study, names
from contrasweep.trainers.errors import UserError
from tests.services.studies.left import DATA, STUDY, data, study_in

ROWS: list[dict[str, Any]] = STUDY["rows"]
TUNED = [{"name": "Ours", "method": "dynlocrep"}, {"name": "Theirs", "method": "supremix"}]
RANGE = {"low": 1e-4, "high": 1e-2, "log": True}


def compiled(tmp_path: Path, *, seeds: Any = None, quick: bool = False, **changes: Any) -> SweepSpec:
    return compile_study(study_in(tmp_path, **changes), data(), seeds=seeds, quick=quick).loaded.spec


def test_rows_are_points_with_an_option_each(tmp_path: Path) -> None:
    search = compiled(tmp_path).search
    assert [point.name for point in search.points] == ["DynLocRep", "SupReMix", "SimCLR"]
    assert [point.choices for point in search.points] == [{"row": "plain"}, {"row": "plain"}, {"row": "simclr"}]
    assert search.choices["row"]["simclr"].training == {"lr": 0.01}
    assert search.points[1].params == {"window": 5}
    assert (search.trials, search.seeds, search.racing, search.fair) == (3, (0, 1), None, False)


def test_there_is_no_axis_where_rows_change_nothing(tmp_path: Path) -> None:
    search = compiled(tmp_path, rows=ROWS[:2]).search
    assert search.choices == {} and all(not point.choices for point in search.points)


def test_what_all_rows_change_is_the_studys(tmp_path: Path) -> None:
    spec = compiled(tmp_path, rows=[row | {"training": {"lr": 0.5}} for row in ROWS[:2]])
    assert spec.training.lr == 0.5 and spec.search.choices == {}


def test_precedence(tmp_path: Path) -> None:
    """Preset < data < study < row: of `checkpoint` the preset's is left, of `width` the data's."""
    spec = compiled(tmp_path, spec={"training": {"weight_decay": 0.5, "lr": 0.25}})
    assert spec.training.checkpoint == "last" and spec.model.width == 0.25
    assert (spec.training.weight_decay, spec.training.lr) == (0.5, 0.25)
    assert spec.choosing({"row": "simclr"}).training.lr == 0.01


def test_epochs_and_batches_are_scaled(tmp_path: Path) -> None:
    """The preset has 50 epochs and batches of 32, the data 4 and 16."""
    rows = [ROWS[0] | {"training": {"epochs": 100, "batch_size": 64}}, ROWS[0] | {"name": "other"}]
    spec = compiled(tmp_path, rows=rows, spec={"read": {"epochs": [1, 6, 25, 50]}})
    assert (spec.training.epochs, spec.training.batch_size, spec.training.step_epochs) == (4, 16, 1)
    assert spec.search.choices["row"]["dynlocrep"].training == {"epochs": 8, "batch_size": 32}
    assert spec.read is not None and spec.read.epochs == (1, 2, 4)
    assert spec.search.points[1].params["nn_final"] == 7


def test_untrained_stays_untrained(tmp_path: Path) -> None:
    probing = {"name": "probing", "method": "dynlocrep", "start": "DynLocRep", "training": {"epochs": 0}}
    spec = compiled(tmp_path, rows=[ROWS[0], probing])
    assert spec.search.choices["row"]["probing"].training == {"epochs": 0}
    assert spec.search.points[1].start == "DynLocRep"


def test_rows_that_come_to_the_same_share_a_point(tmp_path: Path) -> None:
    rows = [ROWS[0] | {"name": str(size), "training": {"batch_size": size}} for size in (32, 256, 512)]
    made = compile_study(study_in(tmp_path, rows=rows), data(largest_batch=64))
    assert made.points == {"32": "32", "256": "256", "512": "256"}
    assert len(made.loaded.spec.search.points) == 2


def test_readings_are_asked_for(tmp_path: Path) -> None:
    """With another space that of the other rows is named, too, as it would take its place."""
    reads = [ROWS[3], {"name": "late", "of": "SimCLR", "read": {"probe": "ridge", "epoch": 25}}]
    spec = compiled(tmp_path, rows=[*ROWS[:3], *reads])
    assert spec.read is not None
    assert spec.read.model_dump() == {"probes": ({"ridge": {}},), "features": ("encoder", "projection"), "epochs": (2,)}
    study = study_in(tmp_path, rows=[*ROWS[:3], *reads])
    assert read_in(study, spec)["late"].epoch == 2


def test_features_are_kept_whatever_is_read(tmp_path: Path) -> None:
    read = compiled(tmp_path, rows=ROWS[:2]).read
    assert read is not None and not any(read.model_dump().values())


def test_the_same_is_the_same_sweep(tmp_path: Path) -> None:
    one, again = compiled(tmp_path), compiled(tmp_path)
    assert one.sweep_id == again.sweep_id == "three-dff3b7c7"
    more = compiled(tmp_path, seeds=range(5))
    assert more.sweep_id == one.sweep_id and more.search.new_seeds == "all"


def test_quick(tmp_path: Path) -> None:
    spec = compiled(tmp_path, quick=True)
    assert spec.name == "three-quick" and spec.search.seeds == (0, 1)
    assert (spec.training.epochs, spec.training.batch_size, spec.data.sample) == (2, 8, 48)
    assert compiled(tmp_path, quick=True, seeds=[0]).search.seeds == (0,)


def test_what_a_preset_of_the_data_says_is_the_datas(tmp_path: Path) -> None:
    """It trains for 200 epochs, which the study's 50 are scaled to."""
    text = DATA.replace("epochs: 4, batch_size: 16, ", "") + "preset: supremix-ukb\n"
    study = study_in(tmp_path, spec={"read": {"epochs": [1, 50]}})
    spec = compile_study(study, data(text)).loaded.spec
    assert (spec.training.epochs, spec.training.schedule) == (200, "cosine")
    assert spec.read is not None and spec.read.epochs == (4, 200)


def test_quick_has_no_warmup(tmp_path: Path) -> None:
    text = DATA.replace("epochs: 4,", "epochs: 40, warmup_epochs: 4, schedule: cosine,")
    assert compile_study(study_in(tmp_path), data(text), quick=True).loaded.spec.training.warmup_epochs == 0


def test_a_study_may_say_what_quick_is(tmp_path: Path) -> None:
    study = study_in(tmp_path, quick={"data": {"sample": 96}})
    assert compile_study(study, data(), quick=True).loaded.spec.data.sample == 96


def test_tuned_rows_are_a_fair_search(tmp_path: Path) -> None:
    """A parameter that is fixed stays so; those of other methods are nothing of the study's."""
    fix = {"supremix.window": 5, "simclr.temperature": 0.1}
    said: dict[str, Any] = {
        "tuned": 6,
        "rows": TUNED,
        "spec": {"search": {"fix": fix, "override": {"training.lr": RANGE}}},
    }
    search = compiled(tmp_path, **said).search
    assert (search.spaces, search.fix) == (("dynlocrep", "supremix"), {"supremix.window": 5})
    assert (search.points, search.choices, search.racing) == ((), {}, None)
    assert (search.sampler, search.fair, search.trials) == ("tpe", True, 12)
    assert search.override["training.lr"].ends() == (1e-4, 1e-2)
    assert compiled(tmp_path, quick=True, **said).search.trials == 2


def test_a_mistake_names_study_and_data(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^three.yaml with data: model.widht: unknown key; did you mean 'width'"):
        compiled(tmp_path, spec={"model": {"widht": 2}})


def test_scaling_keeps_what_is_told_for_no_recipe() -> None:
    assert Scale.between({}, {}).of({"epochs": 20, "lr": 0.1, "batch_size": 8}) == {
        "epochs": 20,
        "lr": 0.1,
        "batch_size": 8,
    }


@pytest.mark.parametrize("name", names())
def test_each_study_is_a_sweep_on_the_phantom(name: str, tmp_path: Path) -> None:
    phantom = DataSpec(load_mapping(datas._PHANTOM, "phantom"), "phantom", tmp_path, datas.LARGEST_BATCH)
    check_spec(compile_study(load_study(name), phantom).loaded)


@pytest.mark.slow
@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("source", ["phantom", "soop"])
def test_each_study_is_a_sweep_in_small(name: str, source: str, tmp_path: Path) -> None:
    text = {"phantom": datas._PHANTOM, "soop": datas._SOOP}[source]
    spec = DataSpec(load_mapping(text, source), source, tmp_path, datas.LARGEST_BATCH)
    check_spec(compile_study(load_study(name), spec, quick=True).loaded)
