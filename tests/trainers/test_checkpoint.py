import pickle
from pathlib import Path

import pytest
import torch

from contrasweep.trainers import checkpoint


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
