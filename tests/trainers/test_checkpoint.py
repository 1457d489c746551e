import os
import pickle
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from contrasweep.trainers import checkpoint
from contrasweep.trainers.errors import Damaged

STATE = {"weight": torch.arange(300.0), "bias": torch.ones(7), "epoch": 3, "probe": {"kind": "ridge"}}


def test_round_trip(tmp_path: Path) -> None:
    state = {"weight": torch.arange(3.0), "epochs": [{"epoch": 0, "loss": float("nan")}], "kind": "ridge", "ema": None}
    checkpoint.save(tmp_path / "new" / "latest.pt", state)
    loaded = checkpoint.load(tmp_path / "new" / "latest.pt")
    assert torch.equal(loaded["weight"], state["weight"])  # type: ignore[arg-type]
    assert str({**loaded, "weight": 0}) == str({**state, "weight": 0})


class Code:
    ran = False

    def __reduce__(self) -> tuple[object, tuple[type, str, bool]]:
        return setattr, (Code, "ran", True)


def test_a_file_that_holds_code_is_refused(tmp_path: Path) -> None:
    torch.save({"model": Code()}, tmp_path / "bad.pt")
    with pytest.raises(pickle.UnpicklingError, match=r"[Ww]eights"):
        checkpoint.load(tmp_path / "bad.pt")
    assert not Code.ran


def test_a_failing_save_leaves_the_old_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "latest.pt"
    checkpoint.save(path, {"epoch": 1})
    with pytest.raises((AttributeError, pickle.PicklingError)):
        checkpoint.save(path, {"epoch": lambda: 2})
    assert checkpoint.load(path) == {"epoch": 1}
    assert list(tmp_path.iterdir()) == [path]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("checkpoint") / "best.pt"
    checkpoint.save(path, STATE)
    return path.read_bytes()


@given(place=st.floats(0, 1, exclude_max=True), bits=st.integers(1, 255))
def test_changed_bytes_are_noticed_or_nothing_that_counts(
    written: bytes, tmp_path_factory: pytest.TempPathFactory, place: float, bits: int
) -> None:
    path, content = tmp_path_factory.getbasetemp() / "changed.pt", bytearray(written)
    content[int(place * len(content))] ^= bits
    path.write_bytes(content)
    try:
        state = checkpoint.load(path)
    except Damaged as error:
        assert str(error).startswith(f"{path} is damaged: ")
    else:
        assert torch.equal(state.pop("weight"), STATE["weight"]) and torch.equal(state.pop("bias"), STATE["bias"])  # type: ignore[arg-type]
        assert state == {"epoch": 3, "probe": {"kind": "ridge"}}


@given(kept=st.floats(0, 1, exclude_max=True))
def test_a_file_that_is_cut_off_or_empty_is_damaged(
    written: bytes, tmp_path_factory: pytest.TempPathFactory, kept: float
) -> None:
    path = tmp_path_factory.getbasetemp() / "cut.pt"
    path.write_bytes(written[: int(kept * len(written))])
    with pytest.raises(Damaged):
        checkpoint.check(path)


def test_a_file_that_is_gone_is_not_damaged(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        checkpoint.load(tmp_path / "best.pt")


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
def test_the_checkpoint_before_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool) -> None:
    def refuse(*paths: Path) -> None:
        raise PermissionError

    if not links:
        monkeypatch.setattr(os, "link", refuse)
    latest, former = tmp_path / checkpoint.LATEST, tmp_path / checkpoint.PREVIOUS
    for epoch in range(3):
        checkpoint.save(latest, {"epoch": epoch}, former)
    assert [checkpoint.load(path)["epoch"] for path in (latest, former)] == [2, 1]
    assert checkpoint.last(tmp_path) == latest
    latest.unlink()
    assert checkpoint.last(tmp_path) == former and checkpoint.last(tmp_path / "other") is None
