from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own for each test, who works in the folder that it is in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONTRASWEEP_HOME", str(tmp_path / "home"))
    return tmp_path / "home"
