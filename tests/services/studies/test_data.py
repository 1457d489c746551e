"""What a study is run on."""

from contextlib import nullcontext
from pathlib import Path

import pytest

from contrasweep.services.studies import data
from contrasweep.services.studies.data import data_named
from contrasweep.trainers.errors import UserError
from tests.services.small_study import write_study


def test_the_phantom_is_generated_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "SUBJECTS", 20)
    told: list[str] = []

    def saying(words: str) -> nullcontext[None]:
        told.append(words)
        return nullcontext()

    for _ in range(2):
        found = data_named("phantom", tmp_path, saying)
    assert len(told) == 1 and found.base == tmp_path / "phantom"
    assert (found.base / found.document["data"]["participants"]).is_file()
    assert len([*found.base.glob("stiffness/*.nii.gz")]) == 20


def test_soop_says_where_it_is_from(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"/soop has no participants.tsv; the slices are in github.com/neurolab"):
        data_named("soop", tmp_path, nullcontext)
    (tmp_path / "participants.tsv").touch()
    with pytest.raises(UserError, match="has no flair_slices"):
        data_named(f"soop={tmp_path}", tmp_path, nullcontext)
    (tmp_path / "flair_slices").mkdir()
    assert data_named(f"soop={tmp_path}", Path("elsewhere"), nullcontext).base == tmp_path


def test_of_a_spec_what_is_said_counts(tmp_path: Path) -> None:
    path = write_study(tmp_path).path
    found = data_named(str(path), tmp_path, nullcontext)
    assert found.base == tmp_path and found.document["training"]["epochs"] == 3
    assert "schedule" not in found.document["training"]


def test_a_spec_that_is_wrong_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        data_named(str(tmp_path / "none.yaml"), tmp_path, nullcontext)
    with pytest.raises(UserError, match="--data: no such file: 'phantm'; did you mean 'phantom'"):
        data_named("phantm", tmp_path, nullcontext)
