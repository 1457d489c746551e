import math
from pathlib import Path

import numpy as np
import pytest
import torch

from contrasweep.trainers.config import MethodConfig
from contrasweep.trainers.covariates import Cells
from contrasweep.trainers.inference import load_ensemble
from contrasweep.trainers.served import ServedModel, save_served
from contrasweep.trainers.served.folded import Column, Folded, Outline
from tests.trainers import tiny
from tests.trainers.served import served_sample

CELLS: list[Cells] = [{"tiv": 1400.0 + 10 * row, "sex": "FM"[row % 2]} for row in range(18)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return served_sample.model(tmp_path_factory.mktemp("served"))


@pytest.fixture(scope="module")
def with_covariates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs on two folds, of which one has a third category."""
    base = tmp_path_factory.mktemp("covariates")
    third: list[Cells] = [{**cells, "sex": "X"} if row % 3 == 0 else cells for row, cells in enumerate(CELLS)]
    members = {
        f"fold-{fold}-seed-0": served_sample.member(base / f"run-{fold}", fold, cells)
        for fold, cells in enumerate((CELLS, third))
    }
    save_served(base / "model", members, served_sample.config(covariates=["tiv", "sex"]), base)
    return base / "model"


def test_it_predicts_what_the_served_model_says_of_a_scan(folder: Path, tmp_path: Path) -> None:
    model, folded = ServedModel.load(folder), Folded.load(folder)
    prepared = model.preparation.of(served_sample.scan(served_sample.picture(tmp_path / "a.png")))
    with torch.inference_mode():
        (predicted,) = folded(torch.from_numpy(prepared.values)[None])
    assert predicted.dtype == torch.float64
    assert float(predicted) == pytest.approx(model.predict(prepared, {}).prediction, abs=1e-6)


@pytest.mark.parametrize("sex", ["F", "M", "X", "none of these"])
def test_covariates_are_scaled_as_each_run_was_told_them(with_covariates: Path, sex: str) -> None:
    folded = Folded.load(with_covariates)
    assert folded.outline.columns == (
        Column("tiv", None),
        Column("sex", "F"),
        Column("sex", "M"),
        Column("sex", "X"),
    )
    image = tiny.split(1, first_row=0, seed=3).images
    cells: Cells = {"tiv": 1512.0, "sex": sex}
    said = [float(member.infer(image, [cells]).predictions[0]) for member in load_ensemble(with_covariates).values()]
    with torch.inference_mode():
        predicted = folded(torch.from_numpy(image), torch.from_numpy(folded.outline.encode([cells])))
    assert float(predicted[0]) == pytest.approx(np.mean(said), abs=1e-5)


@pytest.mark.parametrize(("features", "has_head"), [("encoder", False), ("projection", True)])
def test_a_head_that_no_features_are_read_behind_is_left_out(features: str, has_head: bool, tmp_path: Path) -> None:
    run = served_sample.member(tmp_path / "run", model={"features": features})
    save_served(tmp_path / "model", {"seed-0": run}, served_sample.config(), tmp_path)
    assert any(".head." in name for name in Folded.load(tmp_path / "model").state_dict()) == has_head


def test_where_training_began_stays_at_home(tmp_path: Path) -> None:
    run, best = served_sample.member(tmp_path / "run")
    told = run.model_copy(update={"model": run.model.model_copy(update={"init_from": "/secret/weights.pt"})})
    save_served(tmp_path / "model", {"seed-0": (told, best)}, served_sample.config(), tmp_path)
    assert "secret" not in Folded.load(tmp_path / "model").outline.model_dump_json()


def test_it_is_built_again_from_its_outline_and_state(with_covariates: Path) -> None:
    folded = Folded.load(with_covariates)
    again = Folded(Outline.model_validate_json(folded.outline.model_dump_json()))
    again.load_state_dict(folded.state_dict())
    images = torch.from_numpy(tiny.split(2, first_row=0, seed=3).images)
    covariates = torch.from_numpy(folded.outline.encode(CELLS[:2]))
    with torch.inference_mode():
        assert torch.equal(again(images, covariates), folded(images, covariates))


def test_an_infinite_parameter_of_a_method_is_in_the_outline(folder: Path) -> None:
    outline = Folded.load(folder).outline
    method = MethodConfig(name="dynlocrep", params={"lam": math.inf})
    runs = {
        name: run.model_copy(update={"run": run.run.model_copy(update={"method": method})})
        for name, run in outline.runs.items()
    }
    told = outline.model_copy(update={"runs": runs})
    assert Outline.model_validate_json(told.model_dump_json()) == told


def test_torchs_generator_stays_as_it_was(folder: Path) -> None:
    before = torch.get_rng_state()
    Folded.load(folder)
    assert torch.equal(torch.get_rng_state(), before)
