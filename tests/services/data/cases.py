"""Small studies with one fault each, as researchers have them, and the command line that they meet."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tests.services.data.command_line import Ended
from tests.services.data.layouts import table

SCANS = 24
RNG = np.random.default_rng(0)
Write = Callable[[Path, int], object]
"""Writes the scan of that number."""


@dataclass(frozen=True)
class Folder:
    """A study's folder, in which commands are given."""

    path: Path
    call: Callable[..., Ended]

    def scans(self, ending: str, write: Write, **columns: Callable[[int], object]) -> None:
        """Scans s00, s01 ... and their table: ages 20, 21 ... where no column says otherwise."""
        told = {"age": lambda number: 20 + number, **columns}
        names = [f"s{number:02d}" for number in range(SCANS)]
        for number, name in enumerate(names):
            (self.path / f"{name}{ending}").parent.mkdir(parents=True, exist_ok=True)
            write(self.path / f"{name}{ending}", number)
        rows = [[name, *(cell(number) for cell in told.values())] for number, name in enumerate(names)]
        table(self.path / "participants.tsv", "\t".join(["participant_id", *told]), rows, "\t")

    def validate(self, dims: int = 2, **data: Any) -> Ended:
        """`contrasweep validate` of a study with the smallest model."""
        model = {"encoder": "resnet18", "spatial_dims": dims, "width": 0.0625, "head_hidden": 16, "embedding": 8}
        document = {
            "name": "case",
            "data": {"label": "age", **({} if "bids" in data else {"participants": "participants.tsv"}), **data},
            "model": model,
            "training": {"epochs": 2, "batch_size": 4, "lr": 1e-3},
            "search": {"spaces": ["dynlocrep"], "trials": 1, "seeds": [0], "racing": None},
        }
        (self.path / "study.yaml").write_text(yaml.safe_dump(document))
        return self.call("validate", "study.yaml")

    def init(self, image: str, *options: str, participants: str = "participants.tsv", label: str = "age") -> Ended:
        """`contrasweep init`, which writes first.yaml."""
        (self.path / "first.yaml").unlink(missing_ok=True)
        return self.call(
            *("init", "first.yaml", "--participants", participants, "--image", image, "--label", label, *options)
        )

    @property
    def first(self) -> dict[str, Any]:
        """What `init` wrote."""
        document: dict[str, Any] = yaml.safe_load((self.path / "first.yaml").read_text())
        return document


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, contrasweep: Callable[..., Ended]) -> Folder:
    """An empty one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONTRASWEEP_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    return Folder(tmp_path, contrasweep)


def check_valid(ended: Ended, usable: int = SCANS, rejected: int = 0, shape: tuple[int, ...] | None = None) -> None:
    """All is well, and so many scans are usable, most of which have the shape in their files."""
    assert (ended.code, ended.err) == (0, ""), ended.err
    assert f"{usable} usable, {rejected} rejected" in ended.out
    assert "study.yaml is valid" in ended.out or "first.yaml is valid" in ended.out
    assert shape is None or f"shapes {list(shape)} x" in " ".join(ended.out.split())


def check_refused(ended: Ended, *told: str) -> None:
    """It ended as a mistake of the user's does, in one line that tells all of that."""
    assert ended.code == 2
    assert ended.err.startswith("error: ") and ended.err.count("\n") == 1
    assert all(text in ended.err for text in told), ended.err


def noise(shape: tuple[int, ...]) -> Write:
    """Arrays of noise."""
    return lambda path, number: np.save(path, RNG.random(shape, dtype=np.float32))
