"""Specs are checked in a process that can be killed: what that process refuses, and what becomes of it."""

import json
import multiprocessing
from pathlib import Path
from typing import Any

import pytest

from contrasweep.services.service import admission
from contrasweep.services.service.admission import admit
from contrasweep.trainers.errors import UserError
from tests.services.small_study import SPEC, write_study


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("root")
    write_study(folder)
    return folder


def body(**changes: Any) -> bytes:
    return json.dumps({key: SPEC[key] | changes.get(key, {}) if key in changes else SPEC[key] for key in SPEC}).encode()


def refusal(root: Path, **changes: Any) -> str:
    with pytest.raises(UserError) as error:
        admit(body(**changes), "json", [root])
    said = str(error.value)
    assert "\n" not in said and str(root) not in said
    return said


def test_a_sound_spec_is_admitted_with_its_base(root: Path) -> None:
    loaded = admit(body(), "json", [root / "nothing", root])
    assert (loaded.spec.name, loaded.base, loaded.path) == ("small", root, Path("spec"))
    assert not multiprocessing.active_children()


def test_what_the_data_decide_is_refused(root: Path) -> None:
    assert "participants.tsv has no column 'iq'" in refusal(root, data={"label": "iq"})
    assert "no such image" in refusal(root, data={"image": "none/{participant_id}.npy"})
    assert "batch_size: 5000 is not allowed" in refusal(root, training={"batch_size": 5_000})


def test_transforms_that_take_terabytes_are_refused(root: Path) -> None:
    assert "RepeatChannel" in refusal(root, data={"transforms": [{"RepeatChannel": {"repeats": 10**11}}]})


def test_a_check_that_takes_too_long_is_killed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "TIME_S", 0)
    assert "takes longer than 0 s" in refusal(root)
    assert not multiprocessing.active_children()


def test_a_spec_waits_no_longer_than_others_take(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "_PATIENCE_S", 0.0)
    with admission._slots, admission._slots, pytest.raises(UserError, match="other specs are being checked"):
        admit(body(), "json", [root])
