from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

import contrasweep
from contrasweep.services.python import sweep as module
from contrasweep.services.records.answers import Final
from contrasweep.services.records.folder import FINISHED, STOPPED, SweepFolder
from contrasweep.services.records.results import read_results
from contrasweep.services.settings import load_settings
from contrasweep.services.spec.spec import load_spec
from tests.services.small_study import SPEC, write_study
from tests.services.sweep_page.left import Left, finished, study


def test_a_sweep_is_opened_by_the_beginning_of_its_id(home: Path) -> None:
    left = finished(home)
    sweep = contrasweep.open("study")
    assert (sweep.id, sweep.state) == (left.folder.sweep_id, "finished")
    assert repr(sweep) == f"<Sweep {sweep.id}: finished>"
    with pytest.raises(contrasweep.UserError, match="no sweep 'studies' in"):
        contrasweep.open("studies")


def test_its_tables_are_those_of_its_results(home: Path) -> None:
    left = finished(home)
    sweep, tables = contrasweep.open("study"), read_results(left.settings, left.folder)
    for name in ("trials", "seed_runs", "epochs", "predictions", "readings"):
        pd.testing.assert_frame_equal(getattr(sweep, name)(), tables[name].to_pandas())


def test_its_final_figure_has_intervals_and_a_verdict(home: Path) -> None:
    finished(home)
    final = contrasweep.open("study").final
    assert isinstance(final, Final) and final.against
    assert (final.metrics["mae"].value, final.against.difference.high) == (4.93, 0.1)


def test_printed_it_is_what_its_report_begins_with(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finished(home)
    monkeypatch.setenv("FORCE_COLOR", "1")
    text = str(contrasweep.open("study"))
    assert text.startswith("rank  trial  method") and "not better than PCA + ridge" in text and "\x1b" not in text


def test_its_page_is_drawn_anew(home: Path) -> None:
    left = finished(home)
    page = contrasweep.open("study").report()
    assert page == home / "reports" / f"{left.folder.sweep_id}.html" and "PCA + ridge" in page.read_text()


def test_one_that_is_not_finished_has_no_figure_and_no_model(home: Path) -> None:
    Left(home, study(), state="stopped")
    sweep = contrasweep.open("study")
    assert sweep.final is None and sweep.trials().empty and "no configuration has begun yet" in str(sweep)
    with pytest.raises(contrasweep.UserError, match="is stopped: it has no model before it is finished"):
        sweep.predict("a.png")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({}, "says to what"),
        ({"trials": 0}, "extend: trials: 0 is not allowed"),
        ({"trials": 3}, "--trials: 3 is not allowed: sweep .* has 4 already"),
        ({"add_spaces": ["simclear"]}, "unknown method 'simclear'"),
    ],
)
def test_what_it_cannot_be_extended_to_is_one_line(home: Path, more: dict[str, Any], said: str) -> None:
    finished(home)
    with pytest.raises(contrasweep.UserError, match=said):
        contrasweep.open("study").extend(**more)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("study.yaml", "study.yaml: no such file"),
        ({"name": "a"}, "spec: data: is missing"),
        ({"name": "a", "serach": {}}, "spec: .*did you mean 'search'"),
    ],
)
def test_what_is_no_spec_is_one_line(spec: Any, said: str) -> None:
    with pytest.raises(contrasweep.UserError, match=said) as raised:
        contrasweep.run(spec)
    assert "\n" not in str(raised.value)


def test_a_mapping_may_hold_what_notebooks_have() -> None:
    held = {**SPEC, "search": {**SPEC["search"], "trials": np.int64(4), "seeds": range(2)}}
    search = module._loaded(held).spec.search
    assert (search.trials, search.seeds) == (4, (0, 1))


def test_a_finished_sweep_is_there_at_once_by_file_or_mapping(tmp_path: Path, home: Path) -> None:
    loaded = write_study(tmp_path)
    folder = SweepFolder.create(load_settings(), loaded)
    with folder.driving() as state:
        state.state = FINISHED
    given = yaml.safe_load((tmp_path / "study.yaml").read_text())
    assert {contrasweep.run(spec).id for spec in ("study.yaml", tmp_path / "study.yaml", given)} == {folder.sweep_id}


@pytest.mark.ray
@pytest.mark.timeout(600)
def test_a_mapping_is_swept_here_and_its_model_knows_its_study(ray_local: None, tmp_path: Path) -> None:
    write_study(tmp_path, search={"spaces": ["exponential"], "trials": 1, "seeds": [0], "racing": None})
    given = yaml.safe_load((tmp_path / "study.yaml").read_text())
    folder = SweepFolder.create(load_settings(), load_spec("study.yaml"))
    folder.ask_to_stop(attempt=1)
    with pytest.raises(KeyboardInterrupt):
        contrasweep.run(given)
    assert contrasweep.open("small").state == STOPPED
    sweep = contrasweep.run(given)
    assert (sweep.id, sweep.state, len(sweep.trials())) == (folder.sweep_id, FINISHED, 1)
    tested = sweep.predictions().query("split == 'test' and run == '0'").set_index("scan")
    said = sweep.predict(participants="participants.tsv").set_index("scan")
    assert said.prediction[tested.index].tolist() == tested.prediction.tolist()
    embedded = sweep.embeddings()
    assert len(embedded) == 80 and embedded.label.equals(said.label) and embedded.prediction.equals(said.prediction)
